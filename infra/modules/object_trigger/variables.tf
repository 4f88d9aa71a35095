variable "bucket" {
  description = "The bucket whose new objects are announced. A bucket has one notification setting: use this module once."
  type = object({
    name = string
    arn  = string
  })
}

variable "queue_arn" {
  description = "ARN of the queue that they are announced to; its policy lets S3 send."
  type        = string
}

variable "function_name" {
  description = "The function that the queue's messages are for, which a stack of an earlier version has S3 invoke itself."
  type        = string
}

variable "account_id" {
  description = "Id of the account that owns the bucket."
  type        = string
}

variable "prefix" {
  description = "Key prefix of the objects that matter, ending in a slash."
  type        = string

  validation {
    condition     = endswith(var.prefix, "/")
    error_message = "prefix must end in a slash."
  }
}
