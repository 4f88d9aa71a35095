# Feedback (feedback_enabled): infra/branches/feedback.

module "feedback" {
  source = "../branches/feedback"
  count  = var.feedback_enabled ? 1 : 0

  deployment = local.deployment
  core       = local.core

  settings = {
    timeout_seconds     = var.feedback_timeout_seconds
    memory_mb           = var.feedback_memory_mb
    maximum_concurrency = var.feedback_maximum_concurrency
    alert_quiet_seconds = var.feedback_alert_quiet_seconds
  }
}

variable "feedback_enabled" {
  description = "Feedback: what customers say, in DynamoDB, with alerts about what is unusual."
  type        = bool
  default     = false
}

variable "feedback_timeout_seconds" {
  description = "Seconds that storing the feedback of one object may take."
  type        = number
  default     = 120

  validation {
    condition     = var.feedback_timeout_seconds >= 1 && var.feedback_timeout_seconds <= 900
    error_message = "feedback_timeout_seconds must be between 1 and 900."
  }
}

variable "feedback_memory_mb" {
  description = "Memory of the feedback function in MB."
  type        = number
  default     = 512

  validation {
    condition     = var.feedback_memory_mb >= 512 && var.feedback_memory_mb <= 10240
    error_message = "feedback_memory_mb must be between 512 and 10240."
  }
}

variable "feedback_maximum_concurrency" {
  description = "Most objects whose feedback is stored at a time."
  type        = number
  default     = 2

  validation {
    condition     = var.feedback_maximum_concurrency >= 2 && var.feedback_maximum_concurrency <= 1000
    error_message = "feedback_maximum_concurrency must be between 2 and 1000, Lambda's limits."
  }
}

variable "feedback_alert_quiet_seconds" {
  description = "Least seconds between two notices about one kind of anomaly; anomalies in between are counted."
  type        = number
  default     = 300

  validation {
    condition     = var.feedback_alert_quiet_seconds >= 0 && floor(var.feedback_alert_quiet_seconds) == var.feedback_alert_quiet_seconds
    error_message = "feedback_alert_quiet_seconds must be a whole number of at least 0."
  }
}

output "feedback_function" {
  description = "Name of the function that stores feedback; null when feedback_enabled is off."
  value       = one(module.feedback[*].branch.functions.feedback.name)
}

output "feedback_table" {
  description = "Table with the feedback; null when feedback_enabled is off."
  value       = one(module.feedback[*].branch.tables.feedback)
}

output "feedback_queue_url" {
  description = "Queue of committed objects waiting for feedback; null when feedback_enabled is off."
  value       = one(module.feedback[*].branch.queues.feedback.url)
}

output "feedback_dlq_url" {
  description = "Dead-letter queue of that queue; null when feedback_enabled is off."
  value       = one(module.feedback[*].branch.queues.feedback.dlq_url)
}
