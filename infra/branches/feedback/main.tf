# Feedback: silver rows of datasets with a `feedback` section go to a DynamoDB table, where they are found by customer and by
# date; a notice reports what is unusual in them.

locals {
  name = "${var.deployment.prefix}-feedback"
}

module "table" {
  source = "../../modules/table"

  name      = local.name
  hash_key  = "pk"
  range_key = "sk"
  indexes = {
    by_customer = { hash_key = "customer_key", range_key = "time_key" }
    by_day      = { hash_key = "day_key", range_key = "time_key" }
    by_object   = { hash_key = "object_id", range_key = "run_key" }
  }
  ttl_attribute          = "expires_at"
  point_in_time_recovery = var.deployment.point_in_time_recovery
  deletion_protection    = var.deployment.deletion_protection
  kms_key_arn            = var.deployment.kms_key_arn
}

module "queue" {
  source = "../../modules/committed_queue"

  name                     = local.name
  account                  = var.core.account
  event_bus_name           = var.core.bus_name
  function_timeout_seconds = var.settings.timeout_seconds
  retention_days           = var.deployment.message_retention_days
  max_receive_count        = var.deployment.max_receive_count
  label                    = "feedback"
}

module "function" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.name
  description        = "Stores the feedback of a committed object and reports what is unusual in it"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "feedback"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base, var.core.layers.arrow]
  memory_mb          = var.settings.memory_mb
  timeout_seconds    = var.settings.timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days

  environment = merge(var.deployment.environment, var.core.datasets.environment, {
    POWERTOOLS_SERVICE_NAME = "feedback"
    LEDGER_TABLE            = var.core.tables.ledger.name
    SILVER_BUCKET           = var.core.buckets.silver.name
    FEEDBACK_TABLE          = module.table.name
    FEEDBACK_QUEUE_URL      = module.queue.url
    NOTIFICATIONS_TOPIC_ARN = var.core.topic_arn
    MAX_RECEIVES            = tostring(var.deployment.max_receive_count)
    ALERT_QUIET_SECONDS     = tostring(var.settings.alert_quiet_seconds)
  })

  permissions = concat([
    var.core.datasets.permission,
    {
      sid       = "ReadSilver"
      actions   = ["s3:GetObject"]
      resources = [var.core.objects.silver]
    },
    {
      # Without it S3 answers 403 instead of 404 for what a newer run no longer writes:
      # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
      sid       = "DistinguishMissingFromForbidden"
      actions   = ["s3:ListBucket"]
      resources = [var.core.buckets.silver.arn]
    },
    {
      sid       = "ReadOutputs"
      actions   = ["dynamodb:GetItem", "dynamodb:Query"]
      resources = [var.core.tables.ledger.arn]
    },
    {
      # A transaction is allowed by the actions of the writes in it.
      sid = "StoreFeedback"
      actions = [
        "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem",
      ]
      resources = [module.table.arn]
    },
    {
      sid       = "FindOlderRuns"
      actions   = ["dynamodb:Query"]
      resources = ["${module.table.arn}/index/by_object"]
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
    arn       = module.function.arn
    role_name = module.function.role_name
  }
  batch_size          = 1 # an object may be large, and gets the whole timeout
  maximum_concurrency = var.settings.maximum_concurrency
}

