# The workflow of an audit: each object is audited and then published or withheld, by itself. With Great Expectations one job
# audits them all first. What fails to be audited or published stays staged, with a notice.

locals {
  # How one object ends, whatever became of its audit: with a suffix, for a state's name is unique in the whole workflow.
  publish_states = {
    for suffix in ["", "Audited"] : suffix => {
      "Publish${suffix}" = merge(module.tasks.steps.publish, {
        ResultSelector = { "outcome.$" = "$.Payload.outcome" }
        Catch          = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.error", Next = "NotPublished${suffix}" }]
        End            = true
      })
      "NotPublished${suffix}" = {
        Type       = "Pass"
        Parameters = { outcome = "failed", "object_id.$" = "$.object_id", "error.$" = "$.error" }
        End        = true
      }
    }
  }

  objects = {
    Type           = "Map"
    ItemsPath      = "$.objects"
    MaxConcurrency = var.settings.max_concurrency
    ResultPath     = "$.results"
    Next           = "Failures"
  }
}

module "tasks" {
  source = "../../modules/workflow_tasks"

  function_arn             = module.publish.arn
  function_timeout_seconds = var.settings.publish_timeout_seconds
  topic_arn                = var.core.topic_arn

  steps = {
    publish = { "object_id.$" = "$.object_id", "run.$" = "$.run", "error.$" = "$.error" }
  }

  failed = {
    error  = "QualityFailed"
    cause  = "Not every object could be published or withheld; the ledger says which are still staged"
    record = "the ledger"
  }
}

module "audit_tasks" {
  source = "../../modules/workflow_tasks"

  function_arn             = module.audit.arn
  function_timeout_seconds = var.settings.audit_timeout_seconds
  topic_arn                = var.core.topic_arn

  steps = {
    audit = { "object_id.$" = "$.object_id", "run.$" = "$.run" }
  }

  failed = {
    error  = "QualityFailed"
    cause  = "Not audited"
    record = "the ledger"
  }
}

module "workflow" {
  source = "../../modules/workflow"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.name
  account_id         = local.account.id
  function_arn       = module.publish.arn
  topic_arn          = var.core.topic_arn
  event_dlq_arn      = var.core.event_dlq_arn
  topic_kms_key_arn  = var.deployment.topic_kms_key_arn
  log_retention_days = var.deployment.log_retention_days
  tracing_mode       = var.deployment.tracing_mode

  permissions = [
    {
      sid       = "RunAudits"
      actions   = ["lambda:InvokeFunction"]
      resources = [module.audit.arn]
    },
    {
      # https://docs.aws.amazon.com/step-functions/latest/dg/connect-glue.html
      sid       = "RunJobs"
      actions   = ["glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun"]
      resources = [aws_glue_job.audit.arn]
    },
  ]

  aborted_notice = {
    kind     = "quality.failed"
    severity = "error"
    run      = "<name>"
    dataset  = "*"
    reason   = "<status>"
    look     = "sluice runs --state staged"
    repair   = "fix the cause, then sluice quality run for each object that is still staged"
    workflow = "<machine>"
  }

  definition = {
    Comment        = "Audits staged objects, and makes each visible or withholds it"
    TimeoutSeconds = 2 * 60 * var.settings.job_timeout_minutes + 18 * (var.settings.audit_timeout_seconds + var.settings.publish_timeout_seconds)
    StartAt        = "Engine"
    States = merge({ for name, state in module.tasks.endings : name => state if name != "NotifySuccess" }, {
      Engine = {
        Type = "Choice"
        Choices = [{
          Variable     = "$.engine"
          StringEquals = "great_expectations"
          Next         = "Job"
        }]
        Default = "Objects"
      }
      Objects = merge(local.objects, {
        ItemSelector = { "object_id.$" = "$$.Map.Item.Value.object_id", "run.$" = "$$.Map.Item.Value.run", error = "" }
        ItemProcessor = {
          ProcessorConfig = { Mode = "INLINE" }
          StartAt         = "Audit"
          States = merge(local.publish_states[""], {
            Audit = merge(module.audit_tasks.steps.audit, {
              ResultPath = null
              Catch      = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.error", Next = "Publish" }]
              Next       = "Publish"
            })
          })
        }
      })
      Job = {
        Type     = "Task"
        Resource = "arn:${module.tasks.partition}:states:::glue:startJobRun.sync"
        Parameters = {
          JobName   = aws_glue_job.audit.name
          Arguments = { "--REQUEST.$" = "States.JsonToString($)" }
        }
        # A job that was queued for long counts, too.
        TimeoutSeconds = 60 * var.settings.job_timeout_minutes
        ResultPath     = null
        # Another run is waited for; a run that died is repeated.
        Retry = [
          {
            ErrorEquals     = ["Glue.ConcurrentRunsExceededException"]
            IntervalSeconds = 10
            BackoffRate     = 2
            MaxAttempts     = 8
            MaxDelaySeconds = 60
            JitterStrategy  = "FULL"
          },
          {
            ErrorEquals     = ["States.ALL"]
            IntervalSeconds = 10
            BackoffRate     = 2
            MaxAttempts     = 1
          },
        ]
        Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.job", Next = "JobFailed" }]
        Next  = "Audited"
      }
      # Objects that the job came to have their verdicts; publish looks for them first.
      JobFailed = {
        Type       = "Pass"
        Parameters = { "objects.$" = "$.objects", "error.$" = "$.job" }
        Next       = "Verdicts"
      }
      Audited = {
        Type       = "Pass"
        Parameters = { "objects.$" = "$.objects", error = "the job ended without a verdict" }
        Next       = "Verdicts"
      }
      Verdicts = merge(local.objects, {
        ItemSelector = { "object_id.$" = "$$.Map.Item.Value.object_id", "run.$" = "$$.Map.Item.Value.run", "error.$" = "$.error" }
        ItemProcessor = {
          ProcessorConfig = { Mode = "INLINE" }
          StartAt         = "PublishAudited"
          States          = local.publish_states["Audited"]
        }
      })
      Failures = {
        Type       = "Pass"
        Parameters = { "any.$" = "States.ArrayContains($.results[*].outcome, 'failed')", "results.$" = "$.results" }
        Next       = "AnyFailure"
      }
      AnyFailure = {
        Type    = "Choice"
        Choices = [{ Variable = "$.any", BooleanEquals = true, Next = "DescribeFailure" }]
        Default = "Done"
      }
      DescribeFailure = {
        Type = "Pass"
        Parameters = {
          notice = {
            kind        = "quality.failed"
            severity    = "error"
            dataset     = "*"
            "run.$"     = "$$.Execution.Name"
            reason      = "objects could not be published or withheld: those whose outcome is failed"
            "objects.$" = "$.results"
            look        = "sluice runs --state staged"
            repair      = "fix the cause, then sluice quality run for each of them"
          }
        }
        Next = "NotifyFailure"
      }
    })
  }
}
