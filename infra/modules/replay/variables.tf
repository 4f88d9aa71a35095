variable "name" {
  description = "Name of the workflow; its roles and log group are named after it."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,50}$", var.name))
    error_message = "A workflow name has 1 to 50 letters, digits, hyphens and underscores, so that its roles' names fit."
  }
}

variable "account_id" {
  description = "Account that Step Functions and EventBridge must act for when they take the roles."
  type        = string
}

variable "function_arn" {
  description = "ARN of the function that does the steps."
  type        = string
}

variable "function_timeout_seconds" {
  description = "Timeout of that function in seconds."
  type        = number
}

variable "topic_arn" {
  description = "ARN of the topic that hears how a replay ended."
  type        = string
}

variable "topic_kms_key_arn" {
  description = "ARN of the topic's customer-managed KMS key, null for none."
  type        = string
  default     = null
}

variable "max_concurrency" {
  description = "Batches that are requeued side by side; Step Functions runs at most 40."
  type        = number
  default     = 4

  validation {
    condition     = var.max_concurrency >= 1 && var.max_concurrency <= 40
    error_message = "max_concurrency must lie between 1 and 40."
  }
}

variable "deadline_seconds" {
  description = "Seconds after the start at which a replay is reconciled as it is, finished or not."
  type        = number
}

variable "retry_interval_seconds" {
  description = "Seconds before a failed step is tried again for the first time; each further wait is twice as long."
  type        = number
  default     = 2
}

variable "log_retention_days" {
  description = "Days for which the workflow's log is kept."
  type        = number
  default     = 30
}

variable "tracing_mode" {
  description = "X-Ray tracing: Active or PassThrough."
  type        = string
  default     = "PassThrough"
}

variable "schedule" {
  description = "When to replay by itself (rate(...) or cron(...)) and what; null for never."
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
}
