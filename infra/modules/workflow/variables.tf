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

variable "definition" {
  description = "The state machine in Amazon States Language."
  type        = any
}

variable "permissions" {
  description = "What the workflow may call besides its function and its topic: actions on resources, each named in full."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
  }))
  default = []
}

variable "topic_arn" {
  description = "ARN of the topic that hears how a run ended."
  type        = string
}

variable "topic_kms_key_arn" {
  description = "ARN of the topic's customer-managed KMS key, null for none."
  type        = string
  default     = null
}

variable "cut_short_notice" {
  description = "What the topic hears of a run that was stopped or ran out of time; <name>, <status> and <machine> are filled in."
  type        = map(string)
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
  description = "When to start by itself (rate(...) or cron(...)) and with what input; null for never."
  type = object({
    expression = string
    input      = map(string)
  })
  default = null
}
