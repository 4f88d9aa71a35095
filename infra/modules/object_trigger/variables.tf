variable "bucket" {
  description = "The bucket whose new objects are announced. A bucket has one notification setting: use this module once."
  type = object({
    name = string
    arn  = string
  })
}

variable "function" {
  description = "The function that is invoked."
  type = object({
    name = string
    arn  = string
  })
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
