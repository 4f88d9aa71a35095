# The workflow of a month: IngestRaw -> TransformTrips -> LoadRedshift -> Verify. Its executions are named by month and attempt.
#
# Each task is tried again, and then caught: a notice is sent, and the state Failed ends the execution. After a redrive that
# state sends the execution on to the one that failed, since a redrive begins again where an execution ended:
# https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html

locals {
  redriven = "sluice taxi redrive"

  jobs = {
    IngestRaw = {
      job       = module.ingest.name
      minutes   = var.settings.ingest_timeout_minutes
      next      = "LookForMonth"
      arguments = { "--source_url.$" = "$.source_url" }
    }
    TransformTrips = { job = module.transform.name, minutes = var.settings.transform_timeout_minutes, next = "LoadRedshift", arguments = {} }
    LoadRedshift   = { job = module.load.name, minutes = var.settings.load_timeout_minutes, next = "Verify", arguments = {} }
  }
  tasks = concat(keys(local.jobs), ["LookForMonth", "Verify"])

  catch = { for task in local.tasks : task => [{ ErrorEquals = ["States.ALL"], ResultPath = "$.error", Next = "${task}Failed" }] }

  job_states = {
    for state, job in local.jobs : state => {
      Type     = "Task"
      Resource = "arn:${local.account.partition}:states:::glue:startJobRun.sync"
      Parameters = {
        JobName = job.job
        Arguments = merge({
          "--year.$"  = "$.year"
          "--month.$" = "$.month"
          "--batch.$" = "$.batch"
        }, job.arguments)
      }
      # A run that waits for its turn counts, too.
      TimeoutSeconds = 60 * (job.minutes + var.settings.queue_minutes)
      ResultPath     = null
      # Another month's run is waited for; a run that died is repeated, and finds what the first one has left.
      Retry = [
        {
          ErrorEquals     = ["Glue.ConcurrentRunsExceededException"]
          IntervalSeconds = 10
          BackoffRate     = 1.5
          MaxDelaySeconds = 120
          MaxAttempts     = 60
          JitterStrategy  = "FULL"
        },
        {
          ErrorEquals     = ["States.ALL"]
          IntervalSeconds = var.settings.retry_seconds
          BackoffRate     = 2
          MaxAttempts     = 2
        },
      ]
      Catch = local.catch[state]
      Next  = job.next
    }
  }

  failed_states = {
    for task in local.tasks : "${task}Failed" => {
      Type       = "Pass"
      Result     = task
      ResultPath = "$.state"
      Next       = "DescribeFailure"
    }
  }

  # What every notice says.
  notice = {
    dataset    = "yellow"
    "month.$"  = "States.Format('{}-{}', $.year, $.month)"
    "batch.$"  = "$.batch"
    "source.$" = "$.source_url"
  }
}

module "tasks" {
  source = "../../modules/workflow_tasks"

  function_arn             = module.steps.arn
  function_timeout_seconds = var.settings.steps_timeout_seconds
  topic_arn                = var.core.topic_arn
  notice_path              = "$.ended"
  permanent_errors         = ["InvalidRequest", "NoReport", "NotReconciled", "TaxiFailed"]

  steps = {
    published = { "batch.$" = "$.batch", "since.$" = "$.since", "source_url.$" = "$.source_url" }
    verify    = { "batch.$" = "$.batch" }
    end       = { "state.$" = "$.state", "error.$" = "$.error.Error", "failed_at.$" = "$.ended.redrives", "redrives.$" = "$$.Execution.RedriveCount" }
  }

  failed = {
    error  = "TaxiFailed"
    cause  = "The month was not loaded; the warehouse has what it had"
    record = "the warehouse"
  }
}

module "workflow" {
  source = "../../modules/workflow"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.name
  account_id         = local.account.id
  function_arn       = module.steps.arn
  topic_arn          = var.core.topic_arn
  event_dlq_arn      = var.core.event_dlq_arn
  topic_kms_key_arn  = var.deployment.topic_kms_key_arn
  log_retention_days = var.deployment.log_retention_days
  tracing_mode       = var.deployment.tracing_mode

  permissions = [{
    # https://docs.aws.amazon.com/step-functions/latest/dg/connect-glue.html
    sid       = "RunJobs"
    actions   = ["glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun"]
    resources = [module.ingest.arn, module.transform.arn, module.load.arn]
  }]

  aborted_notice = {
    kind     = "taxi.failed"
    severity = "error"
    dataset  = "yellow"
    batch    = "<name>"
    reason   = "<status>"
    detail   = "the workflow ended before its month was loaded and verified"
    look     = "sluice taxi status <name>"
    repair   = "${local.redriven} <name> goes on where it ended"
    workflow = "<machine>"
  }

  definition = {
    Comment        = "Brings a month of taxi trips from its public file to Redshift, and accounts for every row"
    TimeoutSeconds = 60 * var.settings.timeout_minutes
    StartAt        = "IngestRaw"
    States = merge(
      { for name, state in module.tasks.endings : name => state if name != "Failed" },
      local.job_states,
      local.failed_states,
      {
        LookForMonth = merge(module.tasks.steps.published, {
          ResultSelector = { "outcome.$" = "$.Payload.outcome", "next_try.$" = "$.Payload.next_try" }
          ResultPath     = "$.raw"
          Catch          = local.catch["LookForMonth"]
          Next           = "IsPublished"
        })
        IsPublished = {
          Type = "Choice"
          Choices = [
            { Variable = "$.raw.outcome", StringEquals = "published", Next = "TransformTrips" },
            { Variable = "$.raw.outcome", StringEquals = "later", Next = "DescribeUnpublished" },
          ]
          Default = "NotPublished"
        }
        DescribeUnpublished = {
          Type = "Pass"
          Parameters = {
            notice = merge(local.notice, {
              kind       = "taxi.unpublished"
              severity   = "warning"
              "reason.$" = "States.Format('the month is not published; it is looked for again at {}', $.raw.next_try)"
              "look.$"   = "States.Format('sluice taxi status {}', $.batch)"
              repair     = "nothing: it is looked for again by itself; sluice taxi run does it at once"
            })
          }
          ResultPath = "$.ended"
          Next       = "NotifySuccess"
        }
        NotPublished = {
          Type       = "Pass"
          Result     = { Error = "NotPublished", Cause = "the month was looked for again and again, and is not published" }
          ResultPath = "$.error"
          Next       = "IngestRawFailed"
        }
        Verify = merge(module.tasks.steps.verify, {
          ResultSelector = { for name in ["raw", "loaded", "rejected", "reasons"] : "${name}.$" => "$.Payload.${name}" }
          ResultPath     = "$.verified"
          Catch          = local.catch["Verify"]
          Next           = "DescribeSuccess"
        })
        DescribeSuccess = {
          Type = "Pass"
          Parameters = {
            notice = merge(local.notice, {
              kind     = "taxi.loaded"
              severity = "info"
              "rows.$" = "$.verified"
              "look.$" = "States.Format('sluice taxi status {}', $.batch)"
            })
          }
          ResultPath = "$.ended"
          Next       = "NotifySuccess"
        }
        DescribeFailure = {
          Type = "Pass"
          Parameters = {
            "redrives.$" = "$$.Execution.RedriveCount"
            notice = merge(local.notice, {
              kind         = "taxi.failed"
              severity     = "error"
              "state.$"    = "$.state"
              "reason.$"   = "$.error.Error"
              "detail.$"   = "$.error.Cause"
              "look.$"     = "States.Format('sluice taxi status {}', $.batch)"
              "repair.$"   = "States.Format('fix the cause, then ${local.redriven} {} goes on where it failed', $.batch)"
              "workflow.$" = "$$.StateMachine.Name"
            })
          }
          ResultPath = "$.ended"
          Next       = "NotifyFailure"
        }
        # The end of a run that failed matters more than its notice.
        NotifyFailure = merge(module.tasks.endings.NotifyFailure, {
          Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.not_sent", Next = "Failed" }]
        })
        Failed = merge(module.tasks.steps.end, {
          ResultSelector = { "state.$" = "$.Payload.resume" }
          ResultPath     = "$.resumed"
          Next           = "Resume"
        })
        Resume = {
          Type    = "Choice"
          Choices = [for task in local.tasks : { Variable = "$.resumed.state", StringEquals = task, Next = task }]
          Default = "IngestRaw"
        }
      },
    )
  }
}
