# The check-in workflow: transform (waits on the ledger) -> test -> load -> notify. Steps write their own start and end to
# the log; what kills a step is written by the workflow itself.

locals {
  checkin_states = { transform = "Transform", test = "Test", load = "Load" }

  # Where each state goes by the outcome of its step; any other outcome is a run that has stopped, with a notice.
  checkin_next = {
    transform = { done = "Test", wait = "Wait" }
    test      = { done = "Load", again = "Transform" }
    load      = { done = "TellDone", again = "Transform" }
  }
}

module "checkins_tasks" {
  source = "../modules/workflow_tasks"
  count  = var.checkin_enabled ? 1 : 0

  function_arn             = module.checkins_function[0].arn
  function_timeout_seconds = var.checkin_timeout_seconds
  topic_arn                = module.notifications.arn
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

module "checkins" {
  source = "../modules/workflow"
  count  = var.checkin_enabled ? 1 : 0

  name               = local.checkins_name
  account_id         = module.notifications.account.id
  function_arn       = module.checkins_function[0].arn
  topic_arn          = module.notifications.arn
  topic_kms_key_arn  = var.topic_kms_key_arn
  log_retention_days = var.log_retention_days
  tracing_mode       = var.tracing_mode

  permissions = concat(
    [{
      sid       = "WriteLog"
      actions   = ["dynamodb:UpdateItem"]
      resources = [module.checkin_log[0].arn]
    }],
    var.kms_key_arn == null ? [] : [{
      sid       = "UseDataKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.kms_key_arn]
    }],
  )

  cut_short_notice = {
    kind     = "checkin.failed"
    severity = "error"
    run      = "<name>"
    dataset  = "*"
    reason   = "<status>"
    look     = "sluice checkins log <name>"
    repair   = "mend the cause, then sluice checkins submit with the day and another --id"
    workflow = "<machine>"
  }

  definition = {
    Comment = "Brings a day's check-in file from silver into the check-in table when its tests let it"
    # The wait has a deadline of its own; after it, two more steps may use up all their tries.
    TimeoutSeconds = var.checkin_deadline_seconds + 18 * (var.checkin_timeout_seconds + 10)
    StartAt        = "Defaults"
    States = merge(module.checkins_tasks[0].endings, {
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
      Died = {
        Type = "Pass"
        Parameters = {
          "state.$" = "$.died.state"
          "sk.$"    = "$.died.sk"
          # A timeout has no cause.
          "error.$" = "States.JsonMerge($.died.empty, $.error, false)"
        }
        ResultPath = "$.died"
        Next       = "LogDied"
      }
      LogDied = {
        Type     = "Task"
        Resource = "arn:${module.checkins_tasks[0].partition}:states:::dynamodb:updateItem"
        Parameters = {
          TableName = module.checkin_log[0].name
          Key = {
            pk = { "S.$" = "States.Format('run#{}', $$.Execution.Name)" }
            sk = { "S.$" = "$.died.sk" }
          }
          UpdateExpression = "SET ingestedID = :object, ingestedTable = :table, #state = :state, #status = :status, #run = :run, #day = :day, #source = :source, startedAt = if_not_exists(startedAt, :at), endedAt = :at, #error = :error"
          ExpressionAttributeNames = {
            for name in ["state", "status", "run", "day", "source", "error"] : "#${name}" => name
          }
          ExpressionAttributeValues = {
            ":object" = { "S.$" = "$.request.object_id" }
            ":table"  = { S = module.checkins_table[0].name }
            ":state"  = { "S.$" = "$.died.state" }
            ":status" = { S = "failed" }
            ":run"    = { "S.$" = "$$.Execution.Name" }
            ":day"    = { "S.$" = "$.request.day" }
            ":source" = { "S.$" = "$.request.key" }
            ":at"     = { "S.$" = "$$.State.EnteredTime" }
            ":error"  = { "S.$" = "States.Format('{}: {}', $.died.error.Error, $.died.error.Cause)" }
          }
        }
        ResultPath     = null
        TimeoutSeconds = 30
        Retry          = module.checkins_tasks[0].retry
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
            "state.$"     = "$.died.state"
            "reason.$"    = "$.died.error.Error"
            "detail.$"    = "$.died.error.Cause"
            "look.$"      = "States.Format('sluice checkins log {}', $$.Execution.Name)"
            repair        = "mend the cause, then sluice checkins submit with the day and another --id"
          }
        }
        ResultPath = "$.ended"
        Next       = "TellFailed"
      }
      },
      { for step, state in local.checkin_states : state => merge(module.checkins_tasks[0].steps[step], {
        ResultSelector = { for name in ["outcome", "ledger_run", "wait_seconds", "notice"] : "${name}.$" => "$.Payload.${name}" }
        ResultPath     = "$.ended"
        Catch          = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.error", Next = "${state}Died" }]
        Next           = "${state}Ended"
      }) },
      { for step, state in local.checkin_states : "${state}Ended" => {
        Type = "Choice"
        Choices = [
          for outcome, next in local.checkin_next[step] :
          { Variable = "$.ended.outcome", StringEquals = outcome, Next = next }
        ]
        Default = "TellFailed"
      } },
      { for step, state in local.checkin_states : "${state}Died" => {
        Type       = "Pass"
        Result     = { state = step, sk = "${index(["submit", "transform", "test", "load"], step)}#${step}", empty = { Error = "", Cause = "" } }
        ResultPath = "$.died"
        Next       = "Died"
      } },
    )
  }
}

# A run that is cut short runs no further state, so the log hears of it as the topic does: from Step Functions' own event.
resource "aws_cloudwatch_event_target" "checkin_cut_short" {
  count = var.checkin_enabled ? 1 : 0

  rule      = module.checkins[0].cut_short_rule.name
  target_id = "log"
  arn       = module.checkins_function[0].arn

  input_transformer {
    input_paths = {
      name   = "$.detail.name"
      status = "$.detail.status"
    }
    input_template = "{\"step\": \"cut-short\", \"name\": \"<name>\", \"status\": \"<status>\"}"
  }
}

resource "aws_lambda_permission" "checkin_cut_short" {
  count = var.checkin_enabled ? 1 : 0

  statement_id  = "AllowCutShort"
  action        = "lambda:InvokeFunction"
  function_name = module.checkins_function[0].name
  principal     = "events.amazonaws.com"
  source_arn    = module.checkins[0].cut_short_rule.arn
}
