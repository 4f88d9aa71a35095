# The net under the events: on a schedule, `reconcile` compares bronze with the ledger, and announces to ingest what no event
# has announced. What bronze has, S3 says when it is asked (listing), or once a day in files (inventory).

locals {
  reconciled  = var.reconcile_schedule != null
  inventoried = local.reconciled && var.reconcile_source == "inventory"

  # S3 writes below <prefix><source bucket>/<id>/:
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
  inventory_prefix = "inventory/"
  inventory_id     = "reconcile"
  inventory_path   = "${local.inventory_prefix}${local.bucket_names["bronze"]}/${local.inventory_id}/"

  reconcile_timeout_seconds = 900 # Lambda's limit; a pass that takes longer is gone on with by the next run
}

module "reconcile" {
  source = "../modules/function"
  count  = local.reconciled ? 1 : 0

  permissions_boundary_arn = var.permissions_boundary_arn

  name               = "${local.prefix}-reconcile"
  description        = "Announces to ingest the bronze objects that no event has announced"
  artifacts_bucket   = module.bucket["artifacts"].name
  code               = "core/reconcile"
  artifacts_dir      = var.artifacts_dir
  release            = local.release
  layers             = [module.layer["base"].arn]
  memory_mb          = local.inventoried ? 1769 : 512 # one whole processor, for hundreds of millions of rows
  timeout_seconds    = local.reconcile_timeout_seconds
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days

  environment = merge(local.deployment.environment, {
    POWERTOOLS_SERVICE_NAME = "reconcile"
    BRONZE_BUCKET           = module.bucket["bronze"].name
    LEDGER_TABLE            = module.ledger_table.name
    IDEMPOTENCY_TABLE       = module.idempotency_table.name
    INGEST_QUEUE_URL        = module.ingest_queue.url
    NOTIFICATIONS_TOPIC_ARN = module.notifications.arn
    PASSED_OVER_KEYS        = jsonencode(var.passed_over_keys)
    MARGIN_MINUTES          = tostring(var.reconcile_margin_minutes)
    ABORT_MULTIPART_DAYS    = tostring(var.abort_multipart_days)
    LEDGER_RETENTION_DAYS   = tostring(coalesce(var.ledger_retention_days, 0)) # 0: for ever
    TIMEOUT_SECONDS         = tostring(local.reconcile_timeout_seconds)
    INVENTORY_BUCKET        = module.bucket["artifacts"].name
    INVENTORY_PREFIX        = local.inventoried ? local.inventory_path : "" # empty: bronze is listed
  })

  permissions = concat([
    {
      # Without it, S3 answers 403 to the HEAD of what is gone.
      sid       = "ListBronze"
      actions   = ["s3:ListBucket"]
      resources = [module.bucket["bronze"].arn]
    },
    {
      # A HEAD of what the ledger does not know: its version, and whose copy it is.
      sid       = "LookAtUnknown"
      actions   = ["s3:GetObject"]
      resources = [local.bronze_objects]
    },
    {
      sid       = "CompareWithLedger"
      actions   = ["dynamodb:BatchGetItem", "dynamodb:UpdateItem"]
      resources = [module.ledger_table.arn]
    },
    {
      # What was announced is recorded, so that it is not announced again while ingest is behind.
      sid       = "AnnounceOnce"
      actions   = ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"]
      resources = [module.idempotency_table.arn]
    },
    {
      sid       = "Announce"
      actions   = ["sqs:SendMessage"]
      resources = [module.ingest_queue.arn]
    },
    {
      sid       = "SendNotices"
      actions   = ["sns:Publish"]
      resources = [module.notifications.arn]
    },
    ], [for permission in [
      {
        sid       = "FindInventory"
        actions   = ["s3:ListBucket"]
        resources = [module.bucket["artifacts"].arn]
        prefixes  = ["${local.inventory_path}*"]
      },
      {
        sid       = "ReadInventory"
        actions   = ["s3:GetObject"]
        resources = ["${module.bucket["artifacts"].arn}/${local.inventory_path}*"]
        prefixes  = []
      },
  ] : permission if local.inventoried], local.kms_permissions)
}

# CSV, because it is read row by row in constant memory; current versions, because others are in the ledger or replaced.
resource "aws_s3_bucket_inventory" "reconcile" {
  count = local.inventoried ? 1 : 0

  bucket                   = module.bucket["bronze"].name
  name                     = local.inventory_id
  included_object_versions = "Current"
  optional_fields          = ["ETag", "LastModifiedDate", "Size"]

  filter {
    prefix = "bronze/"
  }

  schedule {
    frequency = "Daily"
  }

  destination {
    bucket {
      bucket_arn = module.bucket["artifacts"].arn
      account_id = module.notifications.account.id # a bucket of this name in another account gets no list
      format     = "CSV"
      prefix     = trimsuffix(local.inventory_prefix, "/")

      dynamic "encryption" {
        for_each = var.kms_key_arn[*]

        content {
          sse_kms {
            key_id = encryption.value
          }
        }
      }
    }
  }
}

resource "aws_cloudwatch_event_rule" "reconcile" {
  count = local.reconciled ? 1 : 0

  name                = "${local.prefix}-reconcile"
  description         = "Runs ${module.reconcile[0].name}"
  schedule_expression = var.reconcile_schedule
}

resource "aws_cloudwatch_event_target" "reconcile" {
  count = local.reconciled ? 1 : 0

  rule      = aws_cloudwatch_event_rule.reconcile[0].name
  target_id = "reconcile"
  arn       = module.reconcile[0].arn

  dead_letter_config {
    arn = module.event_dlq.arn
  }
}

resource "aws_lambda_permission" "reconcile" {
  count = local.reconciled ? 1 : 0

  statement_id  = "AllowSchedule"
  action        = "lambda:InvokeFunction"
  function_name = module.reconcile[0].name
  qualifier     = module.reconcile[0].qualifier
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.reconcile[0].arn
}

variable "reconcile_schedule" {
  description = "When bronze is compared with the ledger for objects that no event has announced: rate(...) or cron(...) in UTC; null: never."
  type        = string
  default     = null

  validation {
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
    condition     = var.reconcile_schedule == null ? true : can(regex("^(rate|cron)\\(.+\\)$", var.reconcile_schedule))
    error_message = "reconcile_schedule must be rate(...) or cron(...), or null."
  }
}

variable "reconcile_source" {
  description = <<-EOT
    What says which objects bronze has: listing (S3's answers, 1,000 keys a call) or inventory (S3 Inventory, a list in
    files once a day, the first within 48 hours), for buckets whose listing takes hours. With inventory each scheduled run
    goes on for 15 minutes, and does nothing between a whole comparison and the next list, so the schedule is to be
    rate(15 minutes).
  EOT
  type        = string
  default     = "listing"

  validation {
    condition     = contains(["listing", "inventory"], var.reconcile_source)
    error_message = "reconcile_source must be listing or inventory."
  }
}

variable "reconcile_margin_minutes" {
  description = "Minutes for which an object's event may be on its way: a younger object is left to the next comparison."
  type        = number
  default     = 60

  validation {
    condition     = var.reconcile_margin_minutes >= 15 && floor(var.reconcile_margin_minutes) == var.reconcile_margin_minutes
    error_message = "reconcile_margin_minutes must be a whole number, at least 15: S3 may take longer than a minute to deliver an event."
  }
}

output "reconcile_function" {
  description = "Name of the function that finds objects which no event has announced; null without reconcile_schedule."
  value       = local.reconciled ? module.reconcile[0].name : null
}
