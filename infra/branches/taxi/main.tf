# Taxi: the yellow taxi trips of a month, from their public file to Redshift. A schedule calls `start`, which starts the workflow
# (workflow.tf) for the month: three Glue jobs (jobs.tf) bring the file to the bucket, clean it, and replace the month in the
# warehouse (warehouse.tf); then every row is accounted for.

locals {
  name    = "${var.deployment.prefix}-taxi"
  account = var.core.account
  region  = "${local.account.region}:${local.account.id}"

  # Below raw/, clean/ and rejected/ of the bucket.
  prefix = "yellow"

  steps_name = "${local.name}-steps"
  start_arn  = "arn:${local.account.partition}:lambda:${local.region}:function:${local.name}${var.deployment.release.versioned ? ":live" : ""}" # the function's own needs the workflow

  # Calls about a statement have no resource to name; each role sees its own statements only:
  # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonredshiftdataapi.html
  read_statements = ["redshift-data:DescribeStatement", "redshift-data:GetStatementResult"]
}

module "bucket" {
  source = "../../modules/bucket"

  name                    = var.settings.bucket_name
  force_destroy           = var.deployment.force_destroy
  kms_key_arn             = var.deployment.kms_key_arn
  noncurrent_version_days = var.settings.noncurrent_version_days
  abort_multipart_days    = var.settings.abort_multipart_days
  # Rows that the warehouse has, or will have again from the raw file; reports and raw files stay.
  expire_days = { "clean/" = var.settings.clean_keep_days, "manifests/" = var.settings.clean_keep_days }
}

# The last attempt at each month.
module "table" {
  source = "../../modules/table"

  name                   = local.name
  hash_key               = "pk"
  range_key              = "sk"
  point_in_time_recovery = var.deployment.point_in_time_recovery
  deletion_protection    = var.deployment.deletion_protection
  kms_key_arn            = var.deployment.kms_key_arn
}

# --- start -----------------------------------------------------------------------------------------------------------

module "start" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.name
  description        = "Starts the next attempt at a month of taxi trips"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "taxi/start"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base]
  memory_mb          = 256
  timeout_seconds    = var.settings.start_timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days

  environment = merge(var.deployment.environment, {
    POWERTOOLS_SERVICE_NAME = "taxi"
    TAXI_TABLE              = module.table.name
    STATE_MACHINE_ARN       = module.workflow.arn
    SOURCE_URL              = var.settings.source_url
    TIME_ZONE               = var.settings.time_zone
  })

  permissions = concat([
    {
      sid       = "TakeAttempts"
      actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      resources = [module.table.arn]
    },
    {
      sid       = "StartAttempts"
      actions   = ["states:StartExecution"]
      resources = [module.workflow.arn]
    },
    {
      sid       = "FindAttempts"
      actions   = ["states:DescribeExecution"]
      resources = ["${replace(module.workflow.arn, ":stateMachine:", ":execution:")}:*"]
    },
  ], var.deployment.kms_permissions)
}

# --- steps -----------------------------------------------------------------------------------------------------------

module "steps" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.steps_name
  description        = "States of the taxi workflow: whether the month is published, and whether every row is accounted for"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "taxi/steps"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base]
  memory_mb          = 256
  timeout_seconds    = var.settings.steps_timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days
  calls_any          = { ReadOwnStatements = local.read_statements }

  environment = merge(var.deployment.environment, {
    POWERTOOLS_SERVICE_NAME = "taxi-steps"
    TAXI_BUCKET             = module.bucket.name
    WORKGROUP               = aws_redshiftserverless_workgroup.this.workgroup_name
    DATABASE                = aws_redshiftserverless_namespace.this.db_name
    RETRY_HOURS             = tostring(var.settings.retry_hours)
    RETRY_DAYS              = tostring(var.settings.retry_days)
    SCHEDULE_GROUP          = aws_scheduler_schedule_group.this.name
    SCHEDULE_ROLE_ARN       = aws_iam_role.schedule.arn
    START_FUNCTION_ARN      = local.start_arn
    SOURCE_URL              = var.settings.source_url
  })

  permissions = concat([
    {
      sid       = "ReadReports"
      actions   = ["s3:GetObject"]
      resources = ["${module.bucket.arn}/reports/*"]
    },
    {
      # Without it S3 answers 403 instead of 404 for what is not there:
      # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
      sid       = "FindMissingReports"
      actions   = ["s3:ListBucket"]
      resources = [module.bucket.arn]
    },
    {
      sid       = "CountRows"
      actions   = ["redshift-data:ExecuteStatement", "redshift-serverless:GetCredentials"]
      resources = [aws_redshiftserverless_workgroup.this.arn]
    },
    {
      sid       = "LookAgainLater"
      actions   = ["scheduler:CreateSchedule"]
      resources = ["arn:${local.account.partition}:scheduler:${local.region}:schedule/${aws_scheduler_schedule_group.this.name}/*"]
    },
    {
      sid       = "GiveScheduleItsRole"
      actions   = ["iam:PassRole"]
      resources = [aws_iam_role.schedule.arn]
    },
  ], var.deployment.kms_permissions)
}

# --- schedule --------------------------------------------------------------------------------------------------------

# The monthly schedule, and those that look for a month again (lambdas/taxi/steps/waiting.py).
resource "aws_scheduler_schedule_group" "this" {
  name = local.name
}

resource "aws_scheduler_schedule" "monthly" {
  count = var.settings.schedule == null ? 0 : 1

  name                         = "monthly"
  group_name                   = aws_scheduler_schedule_group.this.name
  description                  = "Starts the month that was published last"
  schedule_expression          = var.settings.schedule
  schedule_expression_timezone = var.settings.time_zone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.start.arn
    role_arn = aws_iam_role.schedule.arn
    # Not jsonencode, which writes < as \u003c.
    input = "{\"scheduled_time\":\"<aws.scheduler.scheduled-time>\"}"

    retry_policy {
      maximum_event_age_in_seconds = 86400
      maximum_retry_attempts       = 185
    }
  }

  depends_on = [aws_lambda_invocation.migrate, aws_iam_role_policy.schedule]
}

resource "aws_iam_role" "schedule" {
  name        = "${local.name}-schedule"
  description = "Role of the schedules that start ${local.name}"

  permissions_boundary = var.deployment.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  name = "start"
  role = aws_iam_role.schedule.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "StartMonths"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [local.start_arn]
    }]
  })
}
