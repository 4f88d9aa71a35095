# Feedback (feedback_enabled): silver rows of datasets with a `feedback` section go to a DynamoDB table, to be found by
# customer and by date; what is unusual in them is told.

locals {
  feedback_name = "${local.prefix}-feedback"
}

# Layout: lambdas/shared/pipeline/feedback.py.
module "feedback_table" {
  source = "../modules/table"
  count  = var.feedback_enabled ? 1 : 0

  name      = local.feedback_name
  hash_key  = "pk"
  range_key = "sk"
  indexes = {
    by_customer = { hash_key = "customer_key", range_key = "time_key" }
    by_day      = { hash_key = "day_key", range_key = "time_key" }
    by_object   = { hash_key = "object_id", range_key = "run_key" }
  }
  ttl_attribute          = "expires_at"
  point_in_time_recovery = var.point_in_time_recovery
  deletion_protection    = var.deletion_protection
  kms_key_arn            = var.kms_key_arn
}

module "feedback_queue" {
  source = "../modules/committed_queue"
  count  = var.feedback_enabled ? 1 : 0

  name                     = local.feedback_name
  account                  = module.notifications.account
  event_bus_name           = module.event_bus.name
  function_timeout_seconds = var.feedback_timeout_seconds
  retention_days           = var.chunk_retention_days
  max_receive_count        = var.max_receive_count
}

module "feedback_function" {
  source = "../modules/function"
  count  = var.feedback_enabled ? 1 : 0

  name               = local.feedback_name
  description        = "Stores the feedback of a committed object and tells what is unusual in it"
  artifacts_bucket   = module.bucket["artifacts"].name
  zip_path           = "${var.artifacts_dir}/feedback.zip"
  layers             = [module.layer["base"].arn, module.layer["arrow"].arn]
  memory_mb          = var.feedback_memory_mb
  timeout_seconds    = var.feedback_timeout_seconds
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days

  environment = {
    POWERTOOLS_SERVICE_NAME      = "feedback"
    POWERTOOLS_METRICS_NAMESPACE = local.prefix
    POWERTOOLS_LOG_LEVEL         = var.log_level
    LEDGER_TABLE                 = module.ledger_table.name
    SILVER_BUCKET                = module.bucket["silver"].name
    FEEDBACK_TABLE               = module.feedback_table[0].name
    FEEDBACK_QUEUE_URL           = module.feedback_queue[0].url
    NOTIFICATIONS_TOPIC_ARN      = module.notifications.arn
    MAX_RECEIVES                 = tostring(var.max_receive_count)
    ALERT_QUIET_SECONDS          = tostring(var.feedback_alert_quiet_seconds)
  }

  permissions = concat([
    {
      sid       = "ReadSilver"
      actions   = ["s3:GetObject"]
      resources = [local.silver_objects]
    },
    {
      sid       = "ReadOutputs"
      actions   = ["dynamodb:GetItem", "dynamodb:Query"]
      resources = [module.ledger_table.arn]
    },
    {
      # A transaction is allowed by the actions of the writes in it.
      sid = "StoreFeedback"
      actions = [
        "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem",
      ]
      resources = [module.feedback_table[0].arn]
    },
    {
      sid       = "FindOlderRuns"
      actions   = ["dynamodb:Query"]
      resources = ["${module.feedback_table[0].arn}/index/by_object"]
    },
    {
      sid       = "SendNotices"
      actions   = ["sns:Publish"]
      resources = [module.notifications.arn]
    },
  ], local.kms_permissions)
}

module "feedback_trigger" {
  source = "../modules/queue_trigger"
  count  = var.feedback_enabled ? 1 : 0

  queue = {
    name = module.feedback_queue[0].name
    arn  = module.feedback_queue[0].arn
  }
  function = {
    name      = module.feedback_function[0].name
    role_name = module.feedback_function[0].role_name
  }
  batch_size          = 1 # an object may be large, and has the whole timeout
  maximum_concurrency = var.feedback_maximum_concurrency
}

output "feedback_function" {
  description = "Name of the function that stores feedback; null when feedback_enabled is off."
  value       = one(module.feedback_function[*].name)
}

output "feedback_table" {
  description = "Table with the feedback; null when feedback_enabled is off."
  value       = one(module.feedback_table[*].name)
}

output "feedback_queue_url" {
  description = "Queue of committed objects waiting for feedback; null when feedback_enabled is off."
  value       = one(module.feedback_queue[*].url)
}

output "feedback_dlq_url" {
  description = "Dead-letter queue of that queue; null when feedback_enabled is off."
  value       = one(module.feedback_queue[*].dlq_url)
}

variable "feedback_timeout_seconds" {
  description = "Seconds that storing the feedback of one object may take."
  type        = number
  default     = 120

  validation {
    condition     = var.feedback_timeout_seconds >= 1 && var.feedback_timeout_seconds <= 900
    error_message = "feedback_timeout_seconds must lie between 1 and 900."
  }
}

variable "feedback_memory_mb" {
  description = "Memory of the feedback function in MB."
  type        = number
  default     = 512

  validation {
    condition     = var.feedback_memory_mb >= 512 && var.feedback_memory_mb <= 10240
    error_message = "feedback_memory_mb must lie between 512 and 10240."
  }
}

variable "feedback_maximum_concurrency" {
  description = "Most objects whose feedback is stored at a time."
  type        = number
  default     = 2

  validation {
    condition     = var.feedback_maximum_concurrency >= 2 && var.feedback_maximum_concurrency <= 1000
    error_message = "feedback_maximum_concurrency must lie between 2 and 1000, Lambda's limits."
  }
}

variable "feedback_alert_quiet_seconds" {
  description = "Seconds that lie at least between two notices about one kind of anomaly; what comes in between is counted."
  type        = number
  default     = 300

  validation {
    condition     = var.feedback_alert_quiet_seconds >= 0 && floor(var.feedback_alert_quiet_seconds) == var.feedback_alert_quiet_seconds
    error_message = "feedback_alert_quiet_seconds must be a whole number of at least 0."
  }
}
