# The workflow of a job: run the question, tell; or record why not, tell, and fail. An execution's name is the job's id.

locals {
  # arn:aws, arn:aws-cn, ...: service integrations carry the partition too.
  partition = split(":", var.function_arn)[1]

  # Full jitter, so that jobs that found no database do not come back together. What is refused stays refused.
  retry = [
    {
      ErrorEquals = ["JobRefused"]
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

  notify = {
    Type     = "Task"
    Resource = "arn:${local.partition}:states:::sns:publish"
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
      ResultPath  = "$.untold"
      Next        = "NotTold"
    }]
  }

  definition = {
    Comment = "Answers a question that takes its time, and keeps what came of it"
    # Every attempt and every wait between them.
    TimeoutSeconds = 6 * (var.function_timeout_seconds + 10) + 600
    StartAt        = "Run"
    States = {
      Run = {
        Type     = "Task"
        Resource = "arn:${local.partition}:states:::lambda:invoke"
        Parameters = {
          FunctionName = var.function_arn
          Payload = {
            "job_id.$"  = "$$.Execution.Name"
            "request.$" = "$.request"
          }
        }
        ResultSelector = {
          "operation.$" = "$.Payload.operation"
          "rows.$"      = "$.Payload.rows"
          "bytes.$"     = "$.Payload.bytes"
        }
        ResultPath     = "$.result"
        TimeoutSeconds = var.function_timeout_seconds + 10
        Retry          = local.retry
        Catch = [{
          ErrorEquals = ["States.ALL"]
          ResultPath  = "$.error"
          Next        = "RecordFailure"
        }]
        Next = "DescribeSuccess"
      }
      DescribeSuccess = {
        Type = "Pass"
        Parameters = {
          notice = {
            kind          = "analytics.done"
            severity      = "info"
            dataset       = "*"
            "job.$"       = "$$.Execution.Name"
            "operation.$" = "$.result.operation"
            "rows.$"      = "$.result.rows"
            "bytes.$"     = "$.result.bytes"
            "look.$"      = "States.Format('sluice api job show {}', $$.Execution.Name)"
          }
        }
        Next = "TellDone"
      }
      TellDone = merge(local.notify, { Next = "Done" })
      Done     = { Type = "Succeed" }

      # Without the function, for that may be what fails.
      RecordFailure = {
        Type     = "Task"
        Resource = "arn:${local.partition}:states:::dynamodb:updateItem"
        Parameters = {
          TableName = var.table_name
          Key = {
            pk = { "S.$" = "States.Format('job#{}', $$.Execution.Name)" }
            sk = { S = "job" }
          }
          UpdateExpression = join(" , ", [
            "SET #state = :failed", "finished_at = :now", "error_type = :error", "error_cause = :cause", "job_id = :job",
            "kind = if_not_exists(kind, :kind)", "created_at = if_not_exists(created_at, :now)",
            "created_key = if_not_exists(created_key, :created)",
          ])
          ExpressionAttributeNames = { "#state" = "state" }
          ExpressionAttributeValues = {
            ":failed"  = { S = "failed" }
            ":kind"    = { S = "job" }
            ":now"     = { "S.$" = "$$.State.EnteredTime" }
            ":error"   = { "S.$" = "$.error.Error" }
            ":cause"   = { "S.$" = "$.error.Cause" }
            ":job"     = { "S.$" = "$$.Execution.Name" }
            ":created" = { "S.$" = "States.Format('{}#{}', $$.Execution.StartTime, $$.Execution.Name)" }
          }
        }
        ResultPath     = null
        TimeoutSeconds = 30
        Retry          = local.retry
        Catch = [{
          ErrorEquals = ["States.ALL"]
          ResultPath  = "$.unrecorded"
          Next        = "DescribeFailure"
        }]
        Next = "DescribeFailure"
      }
      DescribeFailure = {
        Type = "Pass"
        Parameters = {
          notice = {
            kind        = "analytics.failed"
            severity    = "error"
            dataset     = "*"
            "job.$"     = "$$.Execution.Name"
            "request.$" = "$.request"
            "reason.$"  = "$.error.Error"
            "detail.$"  = "$.error.Cause"
            "look.$"    = "States.Format('sluice api job show {}', $$.Execution.Name)"
            repair      = "change the question, or mend the cause, and ask again"
          }
        }
        Next = "TellFailed"
      }
      TellFailed = merge(local.notify, { Next = "Failed" })
      Failed = {
        Type  = "Fail"
        Error = "JobFailed"
        Cause = "The job's item in the analytics table and the notice say why"
      }
      NotTold = {
        Type  = "Fail"
        Error = "NoticeNotSent"
        Cause = "The job has ended, but its notice could not be published; its item says how it ended"
      }
    }
  }
}
