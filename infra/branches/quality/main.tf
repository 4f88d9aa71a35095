# The quality gate: objects that wait in the staging bucket are audited, and become visible only when no hard expectation fails.
# `gate` gathers them from its queue and starts the workflow (workflow.tf), which audits each with PyArrow (a function) or Great
# Expectations (a Glue job, job.tf) and then has `publish` do what the verdict says.

locals {
  name    = "${var.deployment.prefix}-quality"
  account = var.core.account

  results_prefix = "results/"
  pages_prefix   = "docs/"

  # Of each function and the job.
  read_ledger = {
    sid       = "ReadLedger"
    actions   = ["dynamodb:GetItem", "dynamodb:Query"]
    resources = [var.core.tables.ledger.arn]
  }
  # The version that a run is pinned to.
  read_rules = merge(var.core.datasets.permission, { actions = ["s3:GetObjectVersion"] })
}

# Verdicts, and their pages for people.
module "bucket" {
  source = "../../modules/bucket"

  name                    = var.settings.bucket_name
  force_destroy           = var.deployment.force_destroy
  kms_key_arn             = var.deployment.kms_key_arn
  noncurrent_version_days = var.settings.results_keep_days
  expire_days             = { for prefix in [local.results_prefix, local.pages_prefix] : prefix => var.settings.results_keep_days }
}

# --- gate ------------------------------------------------------------------------------------------------------------

module "queue" {
  source = "../../modules/committed_queue"

  name                     = local.name
  event                    = "object.staged"
  account                  = local.account
  event_bus_name           = var.core.bus_name
  function_timeout_seconds = var.settings.gate_timeout_seconds
  batching_window_seconds  = var.settings.gather_seconds
  retention_days           = var.deployment.message_retention_days
  max_receive_count        = var.deployment.max_receive_count
  label                    = "quality"
}

module "gate" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.name
  description        = "Starts the audits of staged objects, those that come together in one run of the workflow"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "quality/gate"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base]
  memory_mb          = 256
  timeout_seconds    = var.settings.gate_timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days

  environment = merge(var.deployment.environment, {
    POWERTOOLS_SERVICE_NAME = "quality"
    LEDGER_TABLE            = var.core.tables.ledger.name
    QUALITY_QUEUE_URL       = module.queue.url
    STATE_MACHINE_ARN       = module.workflow.arn
    QUALITY_ENGINE          = var.settings.engine
    ARROW_MAX_ROWS          = tostring(var.settings.arrow_max_rows)
    NOTIFICATIONS_TOPIC_ARN = var.core.topic_arn
    MAX_RECEIVES            = tostring(var.deployment.max_receive_count)
  })

  permissions = concat([
    {
      sid       = "TakeObjects"
      actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      resources = [var.core.tables.ledger.arn]
    },
    {
      sid       = "StartAudits"
      actions   = ["states:StartExecution"]
      resources = [module.workflow.arn]
    },
    {
      # Whether one that was recorded before its function died was started.
      sid       = "FindAudits"
      actions   = ["states:DescribeExecution"]
      resources = ["${replace(module.workflow.arn, ":stateMachine:", ":execution:")}:*"]
    },
    {
      sid       = "SendNotices"
      actions   = ["sns:Publish"]
      resources = [var.core.topic_arn]
    },
  ], var.deployment.kms_permissions)
}

module "trigger" {
  source = "../../modules/queue_trigger"

  queue = {
    name = module.queue.name
    arn  = module.queue.arn
  }
  function = {
    arn       = module.gate.arn
    role_name = module.gate.role_name
  }
  batch_size              = var.settings.batch_size
  batching_window_seconds = var.settings.gather_seconds
  maximum_concurrency     = var.settings.maximum_concurrency
}

# --- audit -----------------------------------------------------------------------------------------------------------

module "audit" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = "${local.name}-audit"
  description        = "Holds a staged object against what its dataset expects, with PyArrow"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "quality/audit"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base, var.core.layers.arrow]
  memory_mb          = var.settings.audit_memory_mb
  timeout_seconds    = var.settings.audit_timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days

  environment = merge(var.deployment.environment, var.core.datasets.environment, {
    POWERTOOLS_SERVICE_NAME = "quality-audit"
    LEDGER_TABLE            = var.core.tables.ledger.name
    STAGING_BUCKET          = var.core.buckets.staging.name
    SILVER_BUCKET           = var.core.buckets.silver.name
    QUALITY_BUCKET          = module.bucket.name
  })

  permissions = concat([
    local.read_ledger,
    local.read_rules,
    {
      sid       = "ReadStaged"
      actions   = ["s3:GetObject"]
      resources = [var.core.objects.staged]
    },
    {
      # Without it S3 answers 403 instead of 404 for what is gone:
      # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
      sid       = "DistinguishMissingFromForbidden"
      actions   = ["s3:ListBucket"]
      resources = [var.core.buckets.staging.arn]
    },
    {
      sid       = "WriteVerdicts"
      actions   = ["s3:PutObject"]
      resources = ["${module.bucket.arn}/${local.results_prefix}*", "${module.bucket.arn}/${local.pages_prefix}*"]
    },
  ], var.deployment.kms_permissions)
}

# --- publish ---------------------------------------------------------------------------------------------------------

module "publish" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = "${local.name}-publish"
  description        = "Moves an audited object to silver and announces it, or withholds it"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "quality/publish"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base]
  memory_mb          = 256
  timeout_seconds    = var.settings.publish_timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days

  environment = merge(var.deployment.environment, {
    POWERTOOLS_SERVICE_NAME = "quality-publish"
    LEDGER_TABLE            = var.core.tables.ledger.name
    SILVER_BUCKET           = var.core.buckets.silver.name
    STAGING_BUCKET          = var.core.buckets.staging.name
    QUALITY_BUCKET          = module.bucket.name
    EVENT_BUS_NAME          = var.core.bus_name
    QUARANTINE_NOTICE_RATIO = tostring(var.settings.quarantine_ratio)
    NOTIFICATIONS_TOPIC_ARN = var.core.topic_arn
  })

  permissions = concat([
    {
      sid       = "EndRuns"
      actions   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"]
      resources = [var.core.tables.ledger.arn]
    },
    {
      sid       = "ReadVerdicts"
      actions   = ["s3:GetObject"]
      resources = ["${module.bucket.arn}/${local.results_prefix}*"]
    },
    {
      # Without it S3 answers 403 instead of 404 for what is not there:
      # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
      sid       = "FindMissingVerdictsAndLeftovers"
      actions   = ["s3:ListBucket"]
      resources = [module.bucket.arn, var.core.buckets.staging.arn, var.core.buckets.silver.arn]
    },
    {
      sid       = "TakeStaged"
      actions   = ["s3:GetObject", "s3:DeleteObject"]
      resources = [var.core.objects.staged, var.core.objects.leftovers]
    },
    {
      # s3:GetObject to compare: a file of a newer run is not replaced.
      sid       = "WriteSilver"
      actions   = ["s3:PutObject", "s3:DeleteObject", "s3:GetObject"]
      resources = [var.core.objects.silver]
    },
    {
      sid       = "AnnounceCommits"
      actions   = ["events:PutEvents"]
      resources = [var.core.bus_arn]
    },
    {
      sid       = "SendNotices"
      actions   = ["sns:Publish"]
      resources = [var.core.topic_arn]
    },
  ], var.deployment.kms_permissions)
}
