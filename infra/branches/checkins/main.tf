# Check-ins: a day's files go through a workflow of their own (workflow.tf). It waits for the core pipeline to bring each file
# to silver, tests its rows, and loads the good ones into a table, where they are found by user.

locals {
  name = "${var.deployment.prefix}-checkins"
}

module "table" {
  source = "../../modules/table"

  name      = local.name
  hash_key  = "pk"
  range_key = "sk"
  indexes = {
    by_user   = { hash_key = "user_key", range_key = "time_key" }
    by_object = { hash_key = "object_id", range_key = "run_key" }
  }
  point_in_time_recovery = var.deployment.point_in_time_recovery
  deletion_protection    = var.deployment.deletion_protection
  kms_key_arn            = var.deployment.kms_key_arn
}

# Every state of every run.
module "log" {
  source = "../../modules/table"

  name                   = "${var.deployment.prefix}-checkin-log"
  hash_key               = "pk"
  range_key              = "sk"
  indexes                = { by_day = { hash_key = "day", range_key = "startedAt" } }
  point_in_time_recovery = var.deployment.point_in_time_recovery
  deletion_protection    = var.deployment.deletion_protection
  kms_key_arn            = var.deployment.kms_key_arn
}

module "function" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.name
  description        = "States of the check-in workflow: transform, test, load"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "checkins/steps"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base, var.core.layers.arrow]
  memory_mb          = var.settings.memory_mb
  timeout_seconds    = var.settings.timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days

  environment = merge(var.deployment.environment, var.core.datasets.environment, {
    POWERTOOLS_SERVICE_NAME = "checkins"
    LEDGER_TABLE            = var.core.tables.ledger.name
    SILVER_BUCKET           = var.core.buckets.silver.name
    QUARANTINE_BUCKET       = var.core.buckets.quarantine.name
    CHECKINS_TABLE          = module.table.name
    CHECKIN_LOG_TABLE       = module.log.name
    DEADLINE_SECONDS        = tostring(var.settings.deadline_seconds)
    HARD_TESTING            = var.settings.hard_testing == null ? "" : tostring(var.settings.hard_testing)
  })

  permissions = concat([
    var.core.datasets.permission,
    {
      sid       = "ReadSilver"
      actions   = ["s3:GetObject"]
      resources = [var.core.objects.silver]
    },
    {
      # Without it S3 answers 403 instead of 404 for what a newer run no longer writes, and for a run without a test:
      # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
      sid       = "DistinguishMissingFromForbidden"
      actions   = ["s3:ListBucket"]
      resources = [var.core.buckets.silver.arn, var.core.buckets.quarantine.arn]
    },
    {
      # Rows that failed a test. Not below quarantine/: the ledger lists every file there.
      sid       = "StoreFailedRows"
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${var.core.buckets.quarantine.arn}/checks/*"]
    },
    {
      sid       = "ReadOutputs"
      actions   = ["dynamodb:GetItem", "dynamodb:Query"]
      resources = [var.core.tables.ledger.arn]
    },
    {
      # A transaction is allowed by the actions of the writes in it. Items under former keys are read, to be moved.
      sid       = "LoadRows"
      actions   = ["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]
      resources = [module.table.arn]
    },
    {
      sid       = "FindOlderRuns"
      actions   = ["dynamodb:Query"]
      resources = ["${module.table.arn}/index/by_object"]
    },
    {
      sid       = "WriteLog"
      actions   = ["dynamodb:Query", "dynamodb:UpdateItem"]
      resources = [module.log.arn]
    },
  ], var.deployment.kms_permissions)
}

module "executor" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = "${var.deployment.prefix}-checkin-executor"
  description        = "Submits a day's check-in files to the workflow, each once"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "checkins/executor"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base]
  memory_mb          = 256
  timeout_seconds    = var.settings.timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days

  environment = merge(var.deployment.environment, var.core.datasets.environment, {
    POWERTOOLS_SERVICE_NAME = "checkin-executor"
    BRONZE_BUCKET           = var.core.buckets.bronze.name
    CHECKIN_LOG_TABLE       = module.log.name
    STATE_MACHINE_ARN       = module.workflow.arn
    NOTIFICATIONS_TOPIC_ARN = var.core.topic_arn
    DAYS_BACK               = tostring(try(var.settings.schedule.days_back, 0))
  })

  permissions = concat([
    var.core.datasets.permission,
    {
      sid       = "ListFiles"
      actions   = ["s3:ListBucket"]
      resources = [var.core.buckets.bronze.arn]
    },
    {
      sid       = "StartRuns"
      actions   = ["states:StartExecution"]
      resources = [module.workflow.arn]
    },
    {
      sid       = "WriteLog"
      actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      resources = [module.log.arn]
    },
    {
      sid       = "SendNotices"
      actions   = ["sns:Publish"]
      resources = [var.core.topic_arn]
    },
  ], var.deployment.kms_permissions)
}

resource "aws_cloudwatch_event_rule" "executor" {
  count = var.settings.schedule != null ? 1 : 0

  name                = "${var.deployment.prefix}-checkin-executor"
  description         = "Submits the day's check-in files: ${var.settings.schedule.expression}"
  schedule_expression = var.settings.schedule.expression
}

resource "aws_cloudwatch_event_target" "executor" {
  count = var.settings.schedule != null ? 1 : 0

  rule      = aws_cloudwatch_event_rule.executor[0].name
  target_id = "executor"
  arn       = module.executor.arn

  dead_letter_config {
    arn = var.core.event_dlq_arn
  }
}

resource "aws_lambda_permission" "executor" {
  count = var.settings.schedule != null ? 1 : 0

  statement_id  = "AllowSchedule"
  action        = "lambda:InvokeFunction"
  function_name = module.executor.name
  qualifier     = module.executor.qualifier
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.executor[0].arn
}
