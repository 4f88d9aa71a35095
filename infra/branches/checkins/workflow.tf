# The check-in workflow: transform (waits on the ledger) -> test -> load -> notify. Each step writes its own start and end to
# the log; the workflow writes the failure of a step that could not.

locals {
  steps = { transform = "Transform", test = "Test", load = "Load" }

  # Where each state goes by the outcome of its step; any other outcome stops the run, with a notice.
  next = {
    transform = { done = "Test", wait = "Wait" }
    test      = { done = "Load", again = "Transform" }
    load      = { done = "NotifySuccess", again = "Transform" }
  }
}

module "tasks" {
  source = "../../modules/workflow_tasks"

  function_arn             = module.function.arn
  function_timeout_seconds = var.settings.timeout_seconds
  topic_arn                = var.core.topic_arn
  notice_path              = "$.ended"

  steps = {
    transform = { "request.$" = "$.request" }
    test      = { "request.$" = "$.request", "ledger_run.$" = "$.ended.ledger_run" }
    load      = { "request.$" = "$.request", "ledger_run.$" = "$.ended.ledger_run" }
  }

  failed = {
    error  = "CheckinFailed"
    cause  = "The file was not loaded; the notice and the log table say in which state it stopped, and why"
    record = "the log table"
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

  permissions = concat(
    [{
      sid       = "WriteLog"
      actions   = ["dynamodb:UpdateItem"]
      resources = [module.log.arn]
    }],
    var.deployment.kms_key_arn == null ? [] : [{
      sid       = "UseDataKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.deployment.kms_key_arn]
    }],
  )

  aborted_notice = {
    kind     = "checkin.failed"
    severity = "error"
    run      = "<name>"
    dataset  = "*"
    reason   = "<status>"
    look     = "sluice checkins log <name>"
    repair   = "fix the cause, then sluice checkins submit with the day and another --id"
    workflow = "<machine>"
  }

  # An aborted run executes no further state, so its function closes the run in the log.
  aborted_function = {
    name      = module.function.name
    qualifier = module.function.qualifier
    target_id = "log"
    input     = { step = "cut-short", name = "<name>", status = "<status>" }
  }

  definition = {
    Comment = "Brings a day's check-in file from silver into the check-in table when its tests let it"
    # The wait has a deadline of its own; after it, two more steps may use up all their tries.
    TimeoutSeconds = var.settings.deadline_seconds + 18 * (var.settings.timeout_seconds + 10)
    StartAt        = "Defaults"
    States = merge(module.tasks.endings, {
      Defaults = {
        Type = "Pass"
        Parameters = {
          "given.$" = "$"
          defaults  = { day = "unknown", dataset = "*", key = "unknown", object_id = "unknown", hard_testing = "", id = "" }
        }
        Next = "Request"
      }
      Request = {
        Type       = "Pass"
        Parameters = { "request.$" = "States.JsonMerge($.defaults, $.given, false)" }
        Next       = "Transform"
      }
      Wait = {
        Type        = "Wait"
        SecondsPath = "$.ended.wait_seconds"
        Next        = "Transform"
      }
      CollectFailure = {
        Type = "Pass"
        Parameters = {
          "state.$" = "$.failure.state"
          "sk.$"    = "$.failure.sk"
          # A timeout has no cause.
          "error.$" = "States.JsonMerge($.failure.empty, $.error, false)"
        }
        ResultPath = "$.failure"
        Next       = "LogFailure"
      }
      LogFailure = {
        Type     = "Task"
        Resource = "arn:${module.tasks.partition}:states:::dynamodb:updateItem"
        Parameters = {
          TableName = module.log.name
          Key = {
            pk = { "S.$" = "States.Format('run#{}', $$.Execution.Name)" }
            sk = { "S.$" = "$.failure.sk" }
          }
          UpdateExpression = "SET ingestedID = :object, ingestedTable = :table, #state = :state, #status = :status, #run = :run, #day = :day, #source = :source, startedAt = if_not_exists(startedAt, :at), endedAt = :at, #error = :error"
          ExpressionAttributeNames = {
            for name in ["state", "status", "run", "day", "source", "error"] : "#${name}" => name
          }
          ExpressionAttributeValues = {
            ":object" = { "S.$" = "$.request.object_id" }
            ":table"  = { S = module.table.name }
            ":state"  = { "S.$" = "$.failure.state" }
            ":status" = { S = "failed" }
            ":run"    = { "S.$" = "$$.Execution.Name" }
            ":day"    = { "S.$" = "$.request.day" }
            ":source" = { "S.$" = "$.request.key" }
            ":at"     = { "S.$" = "$$.State.EnteredTime" }
            ":error"  = { "S.$" = "States.Format('{}: {}', $.failure.error.Error, $.failure.error.Cause)" }
          }
        }
        ResultPath     = null
        TimeoutSeconds = 30
        Retry          = module.tasks.retry
        Catch          = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.unlogged", Next = "DescribeFailure" }]
        Next           = "DescribeFailure"
      }
      DescribeFailure = {
        Type = "Pass"
        Parameters = {
          notice = {
            kind          = "checkin.failed"
            severity      = "error"
            "dataset.$"   = "$.request.dataset"
            "run.$"       = "$$.Execution.Name"
            "day.$"       = "$.request.day"
            "key.$"       = "$.request.key"
            "object_id.$" = "$.request.object_id"
            "state.$"     = "$.failure.state"
            "reason.$"    = "$.failure.error.Error"
            "detail.$"    = "$.failure.error.Cause"
            "look.$"      = "States.Format('sluice checkins log {}', $$.Execution.Name)"
            repair        = "fix the cause, then sluice checkins submit with the day and another --id"
          }
        }
        ResultPath = "$.ended"
        Next       = "NotifyFailure"
      }
      },
      { for step, state in local.steps : state => merge(module.tasks.steps[step], {
        ResultSelector = { for name in ["outcome", "ledger_run", "wait_seconds", "notice"] : "${name}.$" => "$.Payload.${name}" }
        ResultPath     = "$.ended"
        Catch          = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.error", Next = "${state}Failed" }]
        Next           = "${state}Ended"
      }) },
      { for step, state in local.steps : "${state}Ended" => {
        Type = "Choice"
        Choices = [
          for outcome, next in local.next[step] :
          { Variable = "$.ended.outcome", StringEquals = outcome, Next = next }
        ]
        Default = "NotifyFailure"
      } },
      { for step, state in local.steps : "${state}Failed" => {
        Type       = "Pass"
        Result     = { state = step, sk = "${index(["submit", "transform", "test", "load"], step)}#${step}", empty = { Error = "", Cause = "" } }
        ResultPath = "$.failure"
        Next       = "CollectFailure"
      } },
    )
  }
}
