variable "queue" {
  description = "The queue that is polled."
  type = object({
    name = string
    arn  = string
  })
}

variable "function" {
  description = "The ARN that the function which receives the messages is invoked by, and its role."
  type = object({
    arn       = string
    role_name = string
  })
}

variable "batch_size" {
  description = "Most messages in one invocation."
  type        = number

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10000
    error_message = "batch_size must be between 1 and 10000."
  }

  validation {
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    condition     = var.batch_size <= 10 || var.batching_window_seconds >= 1
    error_message = "batch_size above 10 needs batching_window_seconds of at least 1."
  }
}

variable "batching_window_seconds" {
  description = "Seconds for which messages are gathered before an invocation."
  type        = number
  default     = 0

  validation {
    condition     = var.batching_window_seconds >= 0 && var.batching_window_seconds <= 300
    error_message = "batching_window_seconds must be between 0 and 300."
  }
}

variable "maximum_concurrency" {
  description = "Most invocations of the function that this queue may have running at a time."
  type        = number

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "maximum_concurrency must be between 2 and 1000, Lambda's limits."
  }
}

variable "delays_retries" {
  description = "Whether the function itself says when a message that failed comes again."
  type        = bool
  default     = true
}
