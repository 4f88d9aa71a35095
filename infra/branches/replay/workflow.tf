# The replay workflow: plan -> requeue in bounded parallel -> wait on the ledger -> reconcile -> notify.
# Its state holds batch numbers only; the plan is in S3 (lambdas/core/replay).

locals {
  on_failure = [{
    ErrorEquals = ["States.ALL"]
    ResultPath  = "$.error"
    Next        = "DescribeFailure"
  }]
}

module "tasks" {
  source = "../../modules/workflow_tasks"

  function_arn             = module.function.arn
  function_timeout_seconds = var.settings.timeout_seconds
  topic_arn                = var.core.topic_arn

  steps = {
    plan      = { "request.$" = "$.request" }
    requeue   = { "batch.$" = "$.batch" }
    check     = { "batches.$" = "States.ArrayLength($.plan.batches)", "next.$" = "$.check.next" }
    reconcile = { "batches.$" = "States.ArrayLength($.plan.batches)", "dataset.$" = "$.plan.dataset" }
  }

  failed = {
    error  = "ReplayFailed"
    cause  = "Not every object of the plan was reprocessed; the notice and result.json say which and why"
    record = "result.json"
  }
}

module "workflow" {
  source = "../../modules/workflow"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.name
  account_id         = var.core.account.id
  function_arn       = module.function.arn
  topic_arn          = var.core.topic_arn
  event_dlq_arn      = var.core.event_dlq_arn
  topic_kms_key_arn  = var.deployment.topic_kms_key_arn
  log_retention_days = var.deployment.log_retention_days
  tracing_mode       = var.deployment.tracing_mode

  schedules = var.settings.schedule == null ? {} : {
    schedule = {
      expression = var.settings.schedule.expression
      input      = jsonencode({ for name, value in var.settings.schedule.request : name => value if value != null })
    }
  }

  aborted_notice = {
    kind     = "replay.failed"
    severity = "error"
    replay   = "<name>"
    dataset  = "*"
    reason   = "<status>"
    detail   = "the workflow ended before it could reconcile; transform still processes the chunks that were sent"
    look     = "sluice replay --show <name>"
    repair   = "replay again with another --id"
    workflow = "<machine>"
  }

  definition = {
    Comment = "Reprocesses bronze objects, and proves that every row of them is accounted for"
    # A workflow that times out sends no reconciled notice, so the wait has a deadline of its own that ends before it.
    TimeoutSeconds = var.settings.deadline_seconds + 6 * (var.settings.timeout_seconds + 10)
    StartAt        = "Defaults"
    States = merge(module.tasks.endings, {
      Defaults = {
        Type = "Pass"
        Parameters = {
          "given.$" = "$"
          defaults  = { dataset = "*", prefix = "", since = "", until = "", object_id = "", id = "" }
        }
        Next = "Request"
      }
      Request = {
        Type = "Pass"
        Parameters = {
          "request.$" = "States.JsonMerge($.defaults, $.given, false)"
          check       = { next = 0 } # the first batch that has not ended
        }
        Next = "Plan"
      }
      Plan = merge(module.tasks.steps.plan, {
        ResultSelector = {
          "dataset.$" = "$.Payload.dataset"
          "objects.$" = "$.Payload.objects"
          "batches.$" = "$.Payload.batches"
        }
        ResultPath = "$.plan"
        Catch      = local.on_failure
        Next       = "Requeue"
      })
      Requeue = {
        Type           = "Map"
        ItemsPath      = "$.plan.batches"
        MaxConcurrency = var.settings.max_concurrency
        ItemSelector   = { "batch.$" = "$$.Map.Item.Value" }
        ItemProcessor = {
          ProcessorConfig = { Mode = "INLINE" }
          StartAt         = "RequeueBatch"
          States = {
            RequeueBatch = merge(module.tasks.steps.requeue, {
              ResultSelector = { "batch.$" = "$.Payload.batch" }
              End            = true
            })
          }
        }
        ResultPath = null
        Catch      = local.on_failure
        Next       = "Check"
      }
      Check = merge(module.tasks.steps.check, {
        ResultSelector = {
          "next.$"         = "$.Payload.next"
          "done.$"         = "$.Payload.done"
          "late.$"         = "$.Payload.late"
          "wait_seconds.$" = "$.Payload.wait_seconds"
        }
        ResultPath = "$.check"
        Catch      = local.on_failure
        Next       = "Ended"
      })
      Ended = {
        Type = "Choice"
        Choices = [{
          Or = [
            { Variable = "$.check.done", BooleanEquals = true },
            { Variable = "$.check.late", BooleanEquals = true },
          ]
          Next = "Reconcile"
        }]
        Default = "Wait"
      }
      Wait = {
        Type        = "Wait"
        SecondsPath = "$.check.wait_seconds"
        Next        = "Check"
      }
      Reconcile = merge(module.tasks.steps.reconcile, {
        ResultSelector = { "notice.$" = "$.Payload" }
        ResultPath     = "$.reconciled"
        OutputPath     = "$.reconciled"
        Catch          = local.on_failure
        Next           = "IsReconciled"
      })
      IsReconciled = {
        Type = "Choice"
        Choices = [{
          Variable     = "$.notice.kind"
          StringEquals = "replay.done"
          Next         = "NotifySuccess"
        }]
        Default = "NotifyFailure"
      }
      DescribeFailure = {
        Type = "Pass"
        Parameters = {
          notice = {
            kind         = "replay.failed"
            severity     = "error"
            "replay.$"   = "$$.Execution.Name"
            "dataset.$"  = "$.request.dataset"
            "reason.$"   = "$.error.Error"
            "detail.$"   = "$.error.Cause"
            "look.$"     = "States.Format('sluice replay --show {}', $$.Execution.Name)"
            repair       = "fix the cause, then replay again with another --id"
            "started.$"  = "$$.Execution.StartTime"
            "workflow.$" = "$$.StateMachine.Name"
          }
        }
        Next = "NotifyFailure"
      }
    })
  }
}
