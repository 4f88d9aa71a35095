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
  description = "ARN of the function that does the steps, null for none."
  type        = string
  default     = null
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
  description = "ARN of the topic that is notified of how a run ended."
  type        = string
}

variable "event_dlq_arn" {
  description = "ARN of the queue for events that EventBridge cannot deliver."
  type        = string
}

variable "topic_kms_key_arn" {
  description = "ARN of the topic's customer-managed KMS key, null for none."
  type        = string
  default     = null
}

variable "aborted_notice" {
  description = "Notice about a run that was aborted or timed out; <name>, <status> and <machine> are filled in."
  type        = map(string)
}

variable "aborted_function" {
  description = <<-EOT
    Name (and alias, if it has one) of the workflow's function where it records a run that was aborted or timed out, the id of the event's target,
    and what the function gets (<name> and <status> are filled in; null for the event as it is). null: it records none.
  EOT
  type = object({
    name      = string
    qualifier = optional(string)
    target_id = string
    input     = optional(map(string))
  })
  default = null
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
  description = "When runs start without a request (rate(...) or cron(...)) and with what input, as JSON, by name; the rule is <workflow>-<name>."
  type = map(object({
    expression = string
    input      = string
  }))
  default = {}
}

variable "schedule_target_id" {
  description = "Id of the schedules' targets."
  type        = string
  default     = "workflow"
}

variable "alarms" {
  description = "Whether a run that does not succeed raises an alarm where observability is on."
  type        = bool
  default     = true
}

variable "scheduled_after" {
  description = "Known once what a run needs exists; the schedules start runs after that."
  type        = string
  default     = null
}

variable "permissions_boundary_arn" {
  description = "ARN of the policy that bounds what the workflow's roles can do; null for none."
  type        = string
  default     = null
}
