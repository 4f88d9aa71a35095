# The parts that the definitions of all workflows share: the call of a step of the workflow's function, the retries, and
# the states that notify the topic and end the run. Makes no resources.

locals {
  # arn:aws, arn:aws-cn, ...: service integrations carry the partition too.
  partition = split(":", var.function_arn)[1]

  # Full jitter, so that what was throttled together does not come back together. A permanent error is not retried.
  retry = [
    {
      ErrorEquals = [for name in var.permanent_errors : name]
      MaxAttempts = 0
    },
    {
      ErrorEquals     = ["States.ALL"]
      IntervalSeconds = var.retry_interval_seconds
      BackoffRate     = 2
      MaxAttempts     = 5
      MaxDelaySeconds = 60
      JitterStrategy  = "FULL"
    },
  ]

  # What every step has in common; the parameters of each are merged into its payload.
  steps = {
    for step, parameters in var.steps : step => {
      Type     = "Task"
      Resource = "arn:${local.partition}:states:::lambda:invoke"
      Parameters = {
        FunctionName = var.function_arn
        Payload = merge({
          step        = step
          "name.$"    = "$$.Execution.Name"
          "started.$" = "$$.Execution.StartTime"
        }, parameters)
      }
      TimeoutSeconds = var.function_timeout_seconds + 10
      Retry          = local.retry
    }
  }

  notify = {
    Type      = "Task"
    Resource  = "arn:${local.partition}:states:::sns:publish"
    InputPath = var.notice_path
    Parameters = {
      TopicArn    = var.topic_arn
      "Subject.$" = "States.Format('{}: {}', $.notice.kind, $$.Execution.Name)"
      "Message.$" = "States.JsonToString($.notice)"
      MessageAttributes = {
        for name in ["dataset", "severity", "kind"] : name => {
          DataType        = "String"
          "StringValue.$" = "$.notice.${name}"
        }
      }
    }
    ResultPath     = null
    TimeoutSeconds = 30
    Retry          = local.retry
    Catch = [{
      ErrorEquals = ["States.ALL"]
      ResultPath  = "$.error"
      Next        = "NoticeNotSent"
    }]
  }

  endings = {
    NotifySuccess = merge(local.notify, { Next = "Done" })
    Done          = { Type = "Succeed" }
    NotifyFailure = merge(local.notify, { Next = "Failed" })
    Failed        = { Type = "Fail", Error = var.failed.error, Cause = var.failed.cause }
    NoticeNotSent = {
      Type  = "Fail"
      Error = "NoticeNotSent"
      Cause = "The workflow has ended, but its notice could not be published; ${var.failed.record} says how it ended"
    }
  }
}
