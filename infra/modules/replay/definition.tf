# The workflow itself. Its state holds batch numbers only; the plan lies in S3 (pipeline.replay_store).

locals {
  # arn:aws, arn:aws-cn, ...: service integrations carry the partition too.
  partition = split(":", var.function_arn)[1]

  # Full jitter, so that batches which were throttled together do not come back together. A request that is wrong
  # stays wrong.
  retry = [
    {
      ErrorEquals = ["InvalidRequest"]
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

  failed = [{
    ErrorEquals = ["States.ALL"]
    ResultPath  = "$.error"
    Next        = "DescribeFailure"
  }]

  # What every step has in common; the parameters of each are merged into its payload.
  steps = {
    for step, parameters in {
      plan      = { "request.$" = "$.request" }
      requeue   = { "batch.$" = "$.batch" }
      check     = { "batches.$" = "States.ArrayLength($.plan.batches)", "next.$" = "$.check.next" }
      reconcile = { "batches.$" = "States.ArrayLength($.plan.batches)", "dataset.$" = "$.plan.dataset" }
      } : step => {
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
      ResultPath  = "$.error"
      Next        = "NotTold"
    }]
  }

  definition = {
    Comment = "Takes bronze objects in again, and proves that every row of them is accounted for"
    # Nobody is told of a timeout of the whole, so the wait's own deadline ends before it.
    TimeoutSeconds = var.deadline_seconds + 6 * (var.function_timeout_seconds + 10)
    StartAt        = "Defaults"
    States = {
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
      Plan = merge(local.steps.plan, {
        ResultSelector = {
          "dataset.$" = "$.Payload.dataset"
          "objects.$" = "$.Payload.objects"
          "batches.$" = "$.Payload.batches"
        }
        ResultPath = "$.plan"
        Catch      = local.failed
        Next       = "Requeue"
      })
      Requeue = {
        Type           = "Map"
        ItemsPath      = "$.plan.batches"
        MaxConcurrency = var.max_concurrency
        ItemSelector   = { "batch.$" = "$$.Map.Item.Value" }
        ItemProcessor = {
          ProcessorConfig = { Mode = "INLINE" }
          StartAt         = "RequeueBatch"
          States = {
            RequeueBatch = merge(local.steps.requeue, {
              ResultSelector = { "batch.$" = "$.Payload.batch" }
              End            = true
            })
          }
        }
        ResultPath = null
        Catch      = local.failed
        Next       = "Check"
      }
      Check = merge(local.steps.check, {
        ResultSelector = {
          "next.$"         = "$.Payload.next"
          "done.$"         = "$.Payload.done"
          "late.$"         = "$.Payload.late"
          "wait_seconds.$" = "$.Payload.wait_seconds"
        }
        ResultPath = "$.check"
        Catch      = local.failed
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
      Reconcile = merge(local.steps.reconcile, {
        ResultSelector = { "notice.$" = "$.Payload" }
        ResultPath     = "$.reconciled"
        OutputPath     = "$.reconciled"
        Catch          = local.failed
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
      TellDone = merge(local.notify, { Next = "Done" })
      Done     = { Type = "Succeed" }
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
      TellFailed = merge(local.notify, { Next = "Failed" })
      Failed = {
        Type  = "Fail"
        Error = "ReplayFailed"
        Cause = "Not every object of the plan was taken in again; the notice and result.json say which and why"
      }
      NotTold = {
        Type  = "Fail"
        Error = "NoticeNotSent"
        Cause = "The replay has ended, but its notice could not be published; result.json says how it ended"
      }
    }
  }
}
