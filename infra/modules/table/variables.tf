variable "name" {
  description = "Name of the table."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{3,255}$", var.name))
    error_message = "A table name has 3 to 255 letters, digits, dots, hyphens and underscores."
  }
}

variable "hash_key" {
  description = "Name of the partition key, a string attribute."
  type        = string
}

variable "range_key" {
  description = "Name of the sort key, a string attribute; null for none."
  type        = string
  default     = null
}

variable "indexes" {
  description = "Global secondary indexes by name; keys are string attributes. An index has all attributes, or beside the keys those of `include`; it is not written when none of them changes."
  type = map(object({
    hash_key  = string
    range_key = optional(string)
    include   = optional(set(string))
  }))
  default = {}
}

variable "ttl_attribute" {
  description = "Attribute that holds an item's expiry in epoch seconds; null when items do not expire."
  type        = string
  default     = null
}

variable "point_in_time_recovery" {
  description = "Whether the table can be restored to any second of the last 35 days."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the table."
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the table; null uses the account's aws/dynamodb key."
  type        = string
  default     = null
}
