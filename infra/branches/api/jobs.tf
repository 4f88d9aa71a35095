# Analytics jobs: a workflow that runs one question, notifies, or records why it failed, notifies and fails. The API and
# schedules start it; an execution's name is the job's id.

locals {
  jobs_name = "${var.deployment.prefix}-analytics"
}

module "worker" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = "${local.jobs_name}-worker"
  description        = "Runs the questions of analytics jobs"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "api/jobs"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = local.layers
  memory_mb          = var.settings.memory_mb
  timeout_seconds    = var.settings.job_timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days
  network            = var.warehouse.network
  # A rejected question is an error of the function; the job's notice reports it.
  alarms = false

  environment = merge(var.deployment.environment, var.core.datasets.environment, {
    POWERTOOLS_SERVICE_NAME = "analytics-worker"
    DATABASE_SECRET_ARN     = var.warehouse.secret_arn
    ANALYTICS_TABLE         = module.table.name
    RESULTS_BUCKET          = var.core.buckets.artifacts.name
    JOB_KEEP_SECONDS        = tostring(local.job_keep_seconds)
    # Ends before the function does, so that the function can record it.
    STATEMENT_TIMEOUT_SECONDS = tostring(floor(var.settings.job_timeout_seconds * 0.8))
  })

  permissions = concat([
    var.core.datasets.permission,
    {
      sid       = "LogIn"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [var.warehouse.secret_arn]
    },
    {
      # A transaction is allowed by the actions of the writes in it.
      sid       = "RecordJobs"
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      resources = [module.table.arn]
    },
    {
      sid       = "StoreResults"
      actions   = ["s3:PutObject"]
      resources = [local.job_results]
    },
  ], var.deployment.kms_permissions)
}

module "tasks" {
  source = "../../modules/workflow_tasks"

  function_arn             = module.worker.arn
  function_timeout_seconds = var.settings.job_timeout_seconds
  topic_arn                = var.core.topic_arn
  permanent_errors         = ["JobRefused"]

  steps = {
    run = { "job_id.$" = "$$.Execution.Name", "request.$" = "$.request" }
  }

  failed = {
    error  = "JobFailed"
    cause  = "The job's item in the analytics table and the notice say why"
    record = "the job's item"
  }
}

module "jobs" {
  source = "../../modules/workflow"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.jobs_name
  account_id         = var.core.account.id
  function_arn       = module.worker.arn
  topic_arn          = var.core.topic_arn
  event_dlq_arn      = var.core.event_dlq_arn
  topic_kms_key_arn  = var.deployment.topic_kms_key_arn
  log_retention_days = var.deployment.log_retention_days
  tracing_mode       = var.deployment.tracing_mode
  alarms             = false # a rejected question is no fault of the workflow

  permissions = concat(
    [{
      sid       = "RecordFailure"
      actions   = ["dynamodb:UpdateItem"]
      resources = [module.table.arn]
    }],
    var.deployment.kms_key_arn == null ? [] : [{
      sid       = "UseDataKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.deployment.kms_key_arn]
    }],
  )

  schedule_target_id = "job"
  schedules          = local.schedules

  aborted_notice = {
    kind     = "analytics.failed"
    severity = "error"
    dataset  = "*"
    job      = "<name>"
    reason   = "<status>"
    detail   = "the workflow was ended before the job was done"
    look     = "sluice api job show <name>"
    repair   = "ask again"
  }

  aborted_function = {
    name      = module.worker.name
    qualifier = module.worker.qualifier
    target_id = "record"
  }

  definition = local.definition

  # Tables and logins first.
  scheduled_after = var.migrated
}

locals {
  schedules = {
    for name, schedule in var.settings.schedules : name => {
      expression = schedule.expression
      input      = jsonencode({ request = { operation = schedule.operation, parameters = schedule.parameters } })
    }
  }

  definition = {
    Comment = "Answers a question that takes long, and stores the result"
    # Every attempt and every wait between them.
    TimeoutSeconds = 6 * (var.settings.job_timeout_seconds + 10) + 600
    StartAt        = "Run"
    States = merge(module.tasks.endings, {
      Run = merge(module.tasks.steps.run, {
        ResultSelector = {
          "operation.$" = "$.Payload.operation"
          "rows.$"      = "$.Payload.rows"
          "bytes.$"     = "$.Payload.bytes"
        }
        ResultPath = "$.result"
        Catch = [{
          ErrorEquals = ["States.ALL"]
          ResultPath  = "$.error"
          Next        = "RecordFailure"
        }]
        Next = "DescribeSuccess"
      })
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
        Next = "NotifySuccess"
      }
      # Without the function, because it may be the function that fails.
      RecordFailure = {
        Type     = "Task"
        Resource = "arn:${module.tasks.partition}:states:::dynamodb:updateItem"
        Parameters = {
          TableName = module.table.name
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
        Retry          = module.tasks.retry
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
            repair      = "change the question, or fix the cause, and ask again"
          }
        }
        Next = "NotifyFailure"
      }
    })
  }
}
