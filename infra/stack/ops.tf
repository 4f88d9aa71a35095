# Operations (ops_enabled): the replay workflow (replay.tf). It copies no bytes: a replay opens a new run of each object in the
# ledger and sends its chunks, which transform writes to the same silver files again.

locals {
  replay_name = "${local.prefix}-replay"
}

module "replay_function" {
  source = "../modules/function"
  count  = var.ops_enabled ? 1 : 0

  name               = local.replay_name
  description        = "Steps of the replay workflow: plan, requeue, check, reconcile"
  artifacts_bucket   = module.bucket["artifacts"].name
  zip_path           = "${var.artifacts_dir}/replay.zip"
  layers             = [module.layer["base"].arn]
  memory_mb          = var.replay_memory_mb
  timeout_seconds    = var.replay_timeout_seconds
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days

  environment = {
    POWERTOOLS_SERVICE_NAME      = "replay"
    POWERTOOLS_METRICS_NAMESPACE = local.prefix
    POWERTOOLS_LOG_LEVEL         = var.log_level
    LEDGER_TABLE                 = module.ledger_table.name
    CHUNK_QUEUE_URL              = module.chunk_queue.url
    REPLAY_BUCKET                = module.bucket["artifacts"].name
    REPLAY_BATCH_OBJECTS         = tostring(var.replay_batch_objects)
    REPLAY_DEADLINE_SECONDS      = tostring(var.replay_deadline_seconds)
  }

  permissions = concat([
    {
      sid       = "ListLedger"
      actions   = ["dynamodb:Query", "dynamodb:Scan"]
      resources = ["${module.ledger_table.arn}/index/by_dataset"]
    },
    {
      sid = "OpenRuns"
      actions = [
        "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:BatchWriteItem",
      ]
      resources = [module.ledger_table.arn]
    },
    {
      sid       = "SendChunks"
      actions   = ["sqs:SendMessage"]
      resources = [module.chunk_queue.arn]
    },
    {
      # Whether a version is still there; no byte of it is read.
      sid       = "LookAtBronze"
      actions   = ["s3:GetObjectVersion"]
      resources = [local.bronze_objects]
    },
    {
      # Without it, S3 answers 403 for a version that is gone:
      # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
      sid       = "TellGoneFromForbidden"
      actions   = ["s3:ListBucket"]
      resources = [module.bucket["bronze"].arn]
    },
    {
      # Beside the code: the fourth bucket of the stack, private and encrypted like the others, and no data set's own.
      sid       = "KeepPlans"
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${module.bucket["artifacts"].arn}/replays/*"]
    },
  ], local.kms_permissions)
}

variable "replay_max_concurrency" {
  description = "Batches of a replay that are requeued side by side."
  type        = number
  default     = 4

  validation {
    condition     = var.replay_max_concurrency >= 1 && var.replay_max_concurrency <= 40
    error_message = "replay_max_concurrency must lie between 1 and 40, the most that an inline map runs."
  }
}

variable "replay_batch_objects" {
  description = "Objects that one step requeues; a replay takes at most 1,000 times as many."
  type        = number
  default     = 100

  validation {
    condition     = var.replay_batch_objects >= 1 && var.replay_batch_objects <= 1000 && floor(var.replay_batch_objects) == var.replay_batch_objects
    error_message = "replay_batch_objects must be a whole number between 1 and 1000."
  }
}

variable "replay_deadline_seconds" {
  description = "Seconds after which a replay is reconciled as it is, finished or not, and says so."
  type        = number
  default     = 21600

  validation {
    condition     = var.replay_deadline_seconds >= 1 && var.replay_deadline_seconds <= 604800
    error_message = "replay_deadline_seconds must lie between 1 and 604800 (a week)."
  }
}

variable "replay_keep_days" {
  description = "Days for which a replay's plan and result are kept, in the artifacts bucket below replays/."
  type        = number
  default     = 90

  validation {
    condition     = var.replay_keep_days >= 1 && floor(var.replay_keep_days) == var.replay_keep_days
    error_message = "replay_keep_days must be a whole number of days, at least 1."
  }
}

variable "replay_timeout_seconds" {
  description = "Seconds that one step of a replay may take."
  type        = number
  default     = 300

  validation {
    # The step that waits gives back when ten seconds are left.
    condition     = var.replay_timeout_seconds >= 15 && var.replay_timeout_seconds <= 900
    error_message = "replay_timeout_seconds must lie between 15 and 900."
  }
}

variable "replay_memory_mb" {
  description = "Memory of the replay function in MB."
  type        = number
  default     = 512

  validation {
    condition     = var.replay_memory_mb >= 128 && var.replay_memory_mb <= 10240
    error_message = "replay_memory_mb must lie between 128 and 10240."
  }
}

variable "replay_schedule" {
  description = <<-EOT
    When to replay by itself and what; null for never. expression is rate(...) or cron(...), request names dataset,
    prefix, since and until, where ages such as 1d count back from the start: { expression = "rate(1 day)",
    request = { prefix = "bronze/flights/", since = "1d" } }.
  EOT
  type = object({
    expression = string
    request = object({
      dataset = optional(string)
      prefix  = optional(string)
      since   = optional(string)
      until   = optional(string)
    })
  })
  default = null

  validation {
    condition     = var.replay_schedule == null ? true : can(regex("^(rate|cron)\\(.+\\)$", var.replay_schedule.expression))
    error_message = "replay_schedule.expression must be rate(...) or cron(...)."
  }

  validation {
    condition = var.replay_schedule == null ? true : anytrue([
      for value in [var.replay_schedule.request.dataset, var.replay_schedule.request.prefix, var.replay_schedule.request.since, var.replay_schedule.request.until] : value != null
    ])
    error_message = "replay_schedule.request must choose something: a dataset, a prefix (bronze/ is everything) or a time."
  }
}
