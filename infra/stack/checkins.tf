# Check-ins (checkin_enabled): a day's files go through a workflow of their own (checkins_workflow.tf), which waits for the
# ordinary path to bring each to silver, tests its rows, and loads the good ones into a table, to be found by user.

locals {
  checkins_name = "${local.prefix}-checkins"
}

# Layout: lambdas/shared/pipeline/checkins.py.
module "checkins_table" {
  source = "../modules/table"
  count  = var.checkin_enabled ? 1 : 0

  name      = local.checkins_name
  hash_key  = "pk"
  range_key = "sk"
  indexes = {
    by_user   = { hash_key = "user_key", range_key = "time_key" }
    by_object = { hash_key = "object_id", range_key = "run_key" }
  }
  point_in_time_recovery = var.point_in_time_recovery
  deletion_protection    = var.deletion_protection
  kms_key_arn            = var.kms_key_arn
}

# Layout: lambdas/shared/pipeline/checkin_runs.py.
module "checkin_log" {
  source = "../modules/table"
  count  = var.checkin_enabled ? 1 : 0

  name                   = "${local.prefix}-checkin-log"
  hash_key               = "pk"
  range_key              = "sk"
  indexes                = { by_day = { hash_key = "day", range_key = "startedAt" } }
  point_in_time_recovery = var.point_in_time_recovery
  deletion_protection    = var.deletion_protection
  kms_key_arn            = var.kms_key_arn
}

module "checkins_function" {
  source = "../modules/function"
  count  = var.checkin_enabled ? 1 : 0

  name               = local.checkins_name
  description        = "States of the check-in workflow: transform, test, load"
  artifacts_bucket   = module.bucket["artifacts"].name
  zip_path           = "${var.artifacts_dir}/checkins.zip"
  layers             = [module.layer["base"].arn, module.layer["arrow"].arn]
  memory_mb          = var.checkin_memory_mb
  timeout_seconds    = var.checkin_timeout_seconds
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days

  environment = {
    POWERTOOLS_SERVICE_NAME      = "checkins"
    POWERTOOLS_METRICS_NAMESPACE = local.prefix
    POWERTOOLS_LOG_LEVEL         = var.log_level
    LEDGER_TABLE                 = module.ledger_table.name
    SILVER_BUCKET                = module.bucket["silver"].name
    QUARANTINE_BUCKET            = module.bucket["quarantine"].name
    CHECKINS_TABLE               = module.checkins_table[0].name
    CHECKIN_LOG_TABLE            = module.checkin_log[0].name
    DEADLINE_SECONDS             = tostring(var.checkin_deadline_seconds)
    HARD_TESTING                 = var.checkin_hard_testing == null ? "" : tostring(var.checkin_hard_testing)
  }

  permissions = concat([
    {
      sid       = "ReadSilver"
      actions   = ["s3:GetObject"]
      resources = [local.silver_objects]
    },
    {
      # Rows that failed a test, not below quarantine/, where the ledger knows every file.
      sid       = "KeepFailedRows"
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${module.bucket["quarantine"].arn}/checks/*"]
    },
    {
      sid       = "ReadOutputs"
      actions   = ["dynamodb:GetItem", "dynamodb:Query"]
      resources = [module.ledger_table.arn]
    },
    {
      # A transaction is allowed by the actions of the writes in it.
      sid       = "LoadRows"
      actions   = ["dynamodb:PutItem", "dynamodb:DeleteItem"]
      resources = [module.checkins_table[0].arn]
    },
    {
      sid       = "FindOlderRuns"
      actions   = ["dynamodb:Query"]
      resources = ["${module.checkins_table[0].arn}/index/by_object"]
    },
    {
      sid       = "WriteLog"
      actions   = ["dynamodb:Query", "dynamodb:UpdateItem"]
      resources = [module.checkin_log[0].arn]
    },
  ], local.kms_permissions)
}

module "checkin_executor" {
  source = "../modules/function"
  count  = var.checkin_enabled ? 1 : 0

  name               = "${local.prefix}-checkin-executor"
  description        = "Submits a day's check-in files to the workflow, each once"
  artifacts_bucket   = module.bucket["artifacts"].name
  zip_path           = "${var.artifacts_dir}/checkin_executor.zip"
  layers             = [module.layer["base"].arn]
  memory_mb          = 256
  timeout_seconds    = var.checkin_timeout_seconds
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days

  environment = {
    POWERTOOLS_SERVICE_NAME      = "checkin-executor"
    POWERTOOLS_METRICS_NAMESPACE = local.prefix
    POWERTOOLS_LOG_LEVEL         = var.log_level
    BRONZE_BUCKET                = module.bucket["bronze"].name
    CHECKIN_LOG_TABLE            = module.checkin_log[0].name
    STATE_MACHINE_ARN            = module.checkins[0].arn
    NOTIFICATIONS_TOPIC_ARN      = module.notifications.arn
    DAYS_BACK                    = tostring(var.checkin_schedule == null ? 0 : var.checkin_schedule.days_back)
  }

  permissions = concat([
    {
      sid       = "ListFiles"
      actions   = ["s3:ListBucket"]
      resources = [module.bucket["bronze"].arn]
    },
    {
      sid       = "StartRuns"
      actions   = ["states:StartExecution"]
      resources = [module.checkins[0].arn]
    },
    {
      sid       = "WriteLog"
      actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      resources = [module.checkin_log[0].arn]
    },
    {
      sid       = "SendNotices"
      actions   = ["sns:Publish"]
      resources = [module.notifications.arn]
    },
  ], local.kms_permissions)
}

resource "aws_cloudwatch_event_rule" "checkin_executor" {
  count = var.checkin_enabled && var.checkin_schedule != null ? 1 : 0

  name                = "${local.prefix}-checkin-executor"
  description         = "Submits the day's check-in files: ${var.checkin_schedule.expression}"
  schedule_expression = var.checkin_schedule.expression
}

resource "aws_cloudwatch_event_target" "checkin_executor" {
  count = var.checkin_enabled && var.checkin_schedule != null ? 1 : 0

  rule      = aws_cloudwatch_event_rule.checkin_executor[0].name
  target_id = "executor"
  arn       = module.checkin_executor[0].arn
}

resource "aws_lambda_permission" "checkin_executor" {
  count = var.checkin_enabled && var.checkin_schedule != null ? 1 : 0

  statement_id  = "AllowSchedule"
  action        = "lambda:InvokeFunction"
  function_name = module.checkin_executor[0].name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.checkin_executor[0].arn
}

output "checkins_function" {
  description = "Name of the function that does the states of the check-in workflow; null when checkin_enabled is off."
  value       = one(module.checkins_function[*].name)
}

output "checkin_executor_function" {
  description = "Name of the function that submits a day's check-in files; null when checkin_enabled is off."
  value       = one(module.checkin_executor[*].name)
}

output "checkins_state_machine_arn" {
  description = "The check-in workflow; null when checkin_enabled is off."
  value       = one(module.checkins[*].arn)
}

output "checkins_table" {
  description = "Table with the check-ins; null when checkin_enabled is off."
  value       = one(module.checkins_table[*].name)
}

output "checkin_log_table" {
  description = "Table with every state of every run of the check-in workflow; null when checkin_enabled is off."
  value       = one(module.checkin_log[*].name)
}

variable "checkin_timeout_seconds" {
  description = "Seconds that one state of the check-in workflow may take."
  type        = number
  default     = 300

  validation {
    condition     = var.checkin_timeout_seconds >= 1 && var.checkin_timeout_seconds <= 900
    error_message = "checkin_timeout_seconds must lie between 1 and 900."
  }
}

variable "checkin_memory_mb" {
  description = "Memory of the function that tests and loads check-ins in MB; it holds the columns that tests read."
  type        = number
  default     = 1024

  validation {
    condition     = var.checkin_memory_mb >= 512 && var.checkin_memory_mb <= 10240
    error_message = "checkin_memory_mb must lie between 512 and 10240."
  }
}

variable "checkin_deadline_seconds" {
  description = "Seconds after which a file that is not in silver fails its run."
  type        = number
  default     = 3600

  validation {
    condition     = var.checkin_deadline_seconds >= 1 && var.checkin_deadline_seconds <= 604800
    error_message = "checkin_deadline_seconds must lie between 1 and 604800 (a week)."
  }
}

variable "checkin_hard_testing" {
  description = "HARD_TESTING: true makes every test hard, false every one soft; null leaves each as its dataset says."
  type        = bool
  default     = null
}

variable "checkin_schedule" {
  description = <<-EOT
    When the executor submits a day's files by itself; null for never. expression is rate(...) or cron(...), the day is
    days_back before the schedule's own time (UTC): { expression = "cron(30 3 * * ? *)", days_back = 1 }.
  EOT
  type = object({
    expression = string
    days_back  = optional(number, 0)
  })
  default = null

  validation {
    condition     = var.checkin_schedule == null ? true : can(regex("^(rate|cron)\\(.+\\)$", var.checkin_schedule.expression))
    error_message = "checkin_schedule.expression must be rate(...) or cron(...)."
  }

  validation {
    condition     = var.checkin_schedule == null ? true : var.checkin_schedule.days_back >= 0 && floor(var.checkin_schedule.days_back) == var.checkin_schedule.days_back
    error_message = "checkin_schedule.days_back must be a whole number of at least 0."
  }
}
