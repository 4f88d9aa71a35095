variable "function_arn" {
  description = "ARN of the function that does the steps."
  type        = string
}

variable "function_timeout_seconds" {
  description = "Timeout of that function in seconds."
  type        = number
}

variable "steps" {
  description = "Names of the steps, with what each gets in its payload besides step, name and started."
  type        = map(map(string))
}

variable "topic_arn" {
  description = "ARN of the topic that is notified of how a run ended."
  type        = string
}

variable "notice_path" {
  description = "Where the state holds `notice` when NotifySuccess or NotifyFailure is reached, as a JSONPath."
  type        = string
  default     = "$"
}

variable "failed" {
  description = "How a failed run ends: error and cause as Step Functions shows them, and what has a record of it."
  type = object({
    error  = string
    cause  = string
    record = string
  })
}

variable "retry_interval_seconds" {
  description = "Seconds before a failed task is tried again for the first time; each further wait is twice as long."
  type        = number
  default     = 2
}

variable "permanent_errors" {
  description = "Errors of the function that are not retried."
  type        = list(string)
  default     = ["InvalidRequest"]
}
