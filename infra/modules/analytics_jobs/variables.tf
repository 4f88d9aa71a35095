variable "name" {
  description = "Name of the workflow; its roles, rules and log group are named after it."
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
  description = "ARN of the function that runs the questions."
  type        = string
}

variable "function_name" {
  description = "Name of that function."
  type        = string
}

variable "function_timeout_seconds" {
  description = "Timeout of that function in seconds."
  type        = number
}

variable "table_name" {
  description = "Name of the table that jobs are noted in."
  type        = string
}

variable "table_arn" {
  description = "ARN of that table."
  type        = string
}

variable "topic_arn" {
  description = "ARN of the topic that hears how a job ended."
  type        = string
}

variable "kms_key_arns" {
  description = "ARNs of the customer-managed KMS keys of table and topic."
  type        = list(string)
  default     = []
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

variable "schedules" {
  description = "Questions that are asked by themselves: when (rate(...) or cron(...)), and what, by name."
  type = map(object({
    expression = string
    operation  = string
    parameters = map(string)
  }))
  default = {}
}
