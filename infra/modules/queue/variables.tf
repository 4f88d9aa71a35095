variable "name" {
  description = "Name of the queue."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,80}$", var.name))
    error_message = "A queue name has 1 to 80 letters, digits, hyphens and underscores."
  }
}

variable "account" {
  description = "Where the queue lives: partition, region and account id. Needed to name the queue in its own policy."
  type = object({
    partition = string
    region    = string
    id        = string
  })
}

variable "visibility_timeout_seconds" {
  description = "Seconds for which a received message is hidden from other receivers."
  type        = number
  default     = 30

  validation {
    condition     = var.visibility_timeout_seconds >= 0 && var.visibility_timeout_seconds <= 43200
    error_message = "visibility_timeout_seconds must be between 0 and 43200 (12 hours)."
  }
}

variable "retention_days" {
  description = "Days for which SQS stores a message that is not deleted."
  type        = number
  default     = 14

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 14
    error_message = "retention_days must be between 1 and 14, SQS's limit."
  }
}

variable "dead_letter" {
  description = "Dead-letter queue of this queue and the receives after which a message goes there; null for none."
  type = object({
    arn               = string
    max_receive_count = number
  })
  default = null

  validation {
    condition     = var.dead_letter == null ? true : var.dead_letter.max_receive_count >= 1 && var.dead_letter.max_receive_count <= 1000
    error_message = "dead_letter.max_receive_count must be between 1 and 1000."
  }
}

variable "dead_letter_source" {
  description = "Name of the only queue that may use this one as its dead-letter queue; null when none may."
  type        = string
  default     = null
}

variable "event_rule_arn" {
  description = "ARN of the EventBridge rule that may send to this queue, or a pattern of such ARNs; null when none may."
  type        = string
  default     = null
}

variable "bucket_arn" {
  description = "ARN of the bucket whose event notifications this queue receives; null for none."
  type        = string
  default     = null
}

variable "topic_arn" {
  description = "ARN of the topic that may send to this queue: its messages, or those that it could not deliver; null when none may."
  type        = string
  default     = null
}

variable "existing" {
  description = "ARN and URL of a queue that exists already and is used instead of a new one; null creates one."
  type = object({
    arn = string
    url = string
  })
  default = null

  validation {
    condition     = var.existing == null ? true : can(regex("^arn:[a-z-]+:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}$", var.existing.arn))
    error_message = "existing.arn must be the ARN of a standard queue (arn:aws:sqs:<region>:<account>:<name>)."
  }

  validation {
    condition     = var.existing == null ? true : can(regex("^https?://.+/[A-Za-z0-9_-]{1,80}$", var.existing.url)) && reverse(split("/", var.existing.url))[0] == reverse(split(":", var.existing.arn))[0]
    error_message = "existing.url must be the URL of the same queue as existing.arn."
  }
}
