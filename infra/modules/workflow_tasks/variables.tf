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
  description = "ARN of the topic that hears how a run ended."
  type        = string
}

variable "notice_path" {
  description = "Where the state holds `notice` when TellDone or TellFailed is reached, as a JSONPath."
  type        = string
  default     = "$"
}

variable "failed" {
  description = "How a failed run ends: error and cause as Step Functions shows them, and what keeps a record of it."
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
