variable "name" {
  description = "Name of the topic."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,256}$", var.name))
    error_message = "A topic name has 1 to 256 letters, digits, hyphens and underscores."
  }
}

variable "email" {
  description = "Mail address that receives every notice; null for none."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "ARN of a customer-managed KMS key for the topic; null leaves messages unencrypted at rest."
  type        = string
  default     = null
}

variable "allows_eventbridge" {
  description = "Whether rules of EventBridge may publish to the topic."
  type        = bool
  default     = true
}
