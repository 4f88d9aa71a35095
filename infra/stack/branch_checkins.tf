# Check-ins (checkin_enabled): infra/branches/checkins.

module "checkins" {
  source = "../branches/checkins"
  count  = var.checkin_enabled ? 1 : 0

  deployment = local.deployment
  core       = local.core

  settings = {
    memory_mb        = var.checkin_memory_mb
    timeout_seconds  = var.checkin_timeout_seconds
    deadline_seconds = var.checkin_deadline_seconds
    hard_testing     = var.checkin_hard_testing
    schedule         = var.checkin_schedule
  }
}

variable "checkin_enabled" {
  description = "Check-ins: a day's files, tested and loaded into DynamoDB by a workflow."
  type        = bool
  default     = false
}

variable "checkin_timeout_seconds" {
  description = "Seconds that one state of the check-in workflow may take."
  type        = number
  default     = 300

  validation {
    condition     = var.checkin_timeout_seconds >= 1 && var.checkin_timeout_seconds <= 900
    error_message = "checkin_timeout_seconds must be between 1 and 900."
  }
}

variable "checkin_memory_mb" {
  description = "Memory of the function that tests and loads check-ins in MB; it holds the columns that tests read."
  type        = number
  default     = 1024

  validation {
    condition     = var.checkin_memory_mb >= 512 && var.checkin_memory_mb <= 10240
    error_message = "checkin_memory_mb must be between 512 and 10240."
  }
}

variable "checkin_deadline_seconds" {
  description = "Seconds after which a file that is not in silver fails its run."
  type        = number
  default     = 3600

  validation {
    condition     = var.checkin_deadline_seconds >= 1 && var.checkin_deadline_seconds <= 604800
    error_message = "checkin_deadline_seconds must be between 1 and 604800 (a week)."
  }
}

variable "checkin_hard_testing" {
  description = "HARD_TESTING: true makes every test hard, false every one soft; null leaves each as its dataset says."
  type        = bool
  default     = null
}

variable "checkin_schedule" {
  description = <<-EOT
    When the executor submits a day's files without a request; null for never. expression is rate(...) or cron(...), the day is
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

output "checkins_function" {
  description = "Name of the function that does the states of the check-in workflow; null when checkin_enabled is off."
  value       = one(module.checkins[*].branch.functions.checkins.name)
}

output "checkin_executor_function" {
  description = "Name of the function that submits a day's check-in files; null when checkin_enabled is off."
  value       = one(module.checkins[*].branch.functions.checkin-executor.name)
}

output "checkins_state_machine_arn" {
  description = "The check-in workflow; null when checkin_enabled is off."
  value       = one(module.checkins[*].branch.workflows.checkins.arn)
}

output "checkins_table" {
  description = "Table with the check-ins; null when checkin_enabled is off."
  value       = one(module.checkins[*].branch.tables.checkins)
}

output "checkin_log_table" {
  description = "Table with every state of every run of the check-in workflow; null when checkin_enabled is off."
  value       = one(module.checkins[*].branch.tables.checkin-log)
}
