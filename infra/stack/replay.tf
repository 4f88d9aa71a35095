# The replay workflow: plan -> requeue in bounded parallel -> wait on the ledger -> reconcile -> notify.
# Its state holds batch numbers only; the plan lies in S3 (pipeline.replay_store).

locals {
  replay_failed = [{
    ErrorEquals = ["States.ALL"]
    ResultPath  = "$.error"
    Next        = "DescribeFailure"
  }]
}

module "replay_tasks" {
  source = "../modules/workflow_tasks"
  count  = var.ops_enabled ? 1 : 0

  function_arn             = module.replay_function[0].arn
  function_timeout_seconds = var.replay_timeout_seconds
  topic_arn                = module.notifications.arn

  steps = {
    plan      = { "request.$" = "$.request" }
    requeue   = { "batch.$" = "$.batch" }
    check     = { "batches.$" = "States.ArrayLength($.plan.batches)", "next.$" = "$.check.next" }
    reconcile = { "batches.$" = "States.ArrayLength($.plan.batches)", "dataset.$" = "$.plan.dataset" }
  }

  failed = {
    error  = "ReplayFailed"
    cause  = "Not every object of the plan was taken in again; the notice and result.json say which and why"
    record = "result.json"
  }
}

module "replay" {
  source = "../modules/workflow"
  count  = var.ops_enabled ? 1 : 0

  name               = local.replay_name
  account_id         = module.notifications.account.id
  function_arn       = module.replay_function[0].arn
  topic_arn          = module.notifications.arn
  topic_kms_key_arn  = var.topic_kms_key_arn
  log_retention_days = var.log_retention_days
  tracing_mode       = var.tracing_mode

  schedule = var.replay_schedule == null ? null : {
    expression = var.replay_schedule.expression
    input      = { for name, value in var.replay_schedule.request : name => value if value != null }
  }

  cut_short_notice = {
    kind     = "replay.failed"
    severity = "error"
    replay   = "<name>"
    dataset  = "*"
    reason   = "<status>"
    detail   = "the workflow ended before it could reconcile; chunks that were sent are worked all the same"
    look     = "sluice replay --show <name>"
    repair   = "replay again with another --id"
    workflow = "<machine>"
  }

  definition = {
    Comment = "Takes bronze objects in again, and proves that every row of them is accounted for"
    # Nobody is told of a timeout of the whole, so the wait's own deadline ends before it.
    TimeoutSeconds = var.replay_deadline_seconds + 6 * (var.replay_timeout_seconds + 10)
    StartAt        = "Defaults"
    States = merge(module.replay_tasks[0].endings, {
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
      Plan = merge(module.replay_tasks[0].steps.plan, {
        ResultSelector = {
          "dataset.$" = "$.Payload.dataset"
          "objects.$" = "$.Payload.objects"
          "batches.$" = "$.Payload.batches"
        }
        ResultPath = "$.plan"
        Catch      = local.replay_failed
        Next       = "Requeue"
      })
      Requeue = {
        Type           = "Map"
        ItemsPath      = "$.plan.batches"
        MaxConcurrency = var.replay_max_concurrency
        ItemSelector   = { "batch.$" = "$$.Map.Item.Value" }
        ItemProcessor = {
          ProcessorConfig = { Mode = "INLINE" }
          StartAt         = "RequeueBatch"
          States = {
            RequeueBatch = merge(module.replay_tasks[0].steps.requeue, {
              ResultSelector = { "batch.$" = "$.Payload.batch" }
              End            = true
            })
          }
        }
        ResultPath = null
        Catch      = local.replay_failed
        Next       = "Check"
      }
      Check = merge(module.replay_tasks[0].steps.check, {
        ResultSelector = {
          "next.$"         = "$.Payload.next"
          "done.$"         = "$.Payload.done"
          "late.$"         = "$.Payload.late"
          "wait_seconds.$" = "$.Payload.wait_seconds"
        }
        ResultPath = "$.check"
        Catch      = local.replay_failed
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
      Reconcile = merge(module.replay_tasks[0].steps.reconcile, {
        ResultSelector = { "notice.$" = "$.Payload" }
        ResultPath     = "$.reconciled"
        OutputPath     = "$.reconciled"
        Catch          = local.replay_failed
        Next           = "Even"
      })
      Even = {
        Type = "Choice"
        Choices = [{
          Variable     = "$.notice.kind"
          StringEquals = "replay.done"
          Next         = "TellDone"
        }]
        Default = "TellFailed"
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
            repair       = "mend the cause, then replay again with another --id"
            "started.$"  = "$$.Execution.StartTime"
            "workflow.$" = "$$.StateMachine.Name"
          }
        }
        Next = "TellFailed"
      }
    })
  }
}
