variable "name" {
  description = "Name of the bucket, unique among all AWS accounts."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "A bucket name has 3 to 63 lower-case letters, digits and hyphens, and starts and ends with a letter or digit."
  }
}

variable "force_destroy" {
  description = "Whether destroying the bucket deletes the objects and versions in it. False protects the data."
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the objects; null encrypts with S3's own keys (SSE-S3)."
  type        = string
  default     = null
}

variable "noncurrent_version_days" {
  description = "Days after which an overwritten or deleted object version is removed for good."
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_version_days >= 1 && floor(var.noncurrent_version_days) == var.noncurrent_version_days
    error_message = "noncurrent_version_days must be a whole number of days, at least 1."
  }
}

variable "noncurrent_prefixes" {
  description = "Prefixes below which former versions are removed; [\"\"] is the whole bucket. Elsewhere they are kept for good."
  type        = list(string)
  default     = [""]

  validation {
    condition     = length(var.noncurrent_prefixes) > 0 && alltrue([for prefix in var.noncurrent_prefixes : prefix == "" || endswith(prefix, "/")])
    error_message = "noncurrent_prefixes must be prefixes that end in /, or [\"\"] for the whole bucket."
  }
}

variable "expire_days" {
  description = "Days after which objects below a prefix are deleted, by prefix; none are unless named here."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for days in values(var.expire_days) : days >= 1 && floor(days) == days])
    error_message = "expire_days must be whole numbers of days, at least 1."
  }
}

variable "transitions" {
  description = "Storage class that objects below a prefix move to, and after how many days, by prefix; none unless named here."
  type        = map(object({ days = number, storage_class = string }))
  default     = {}
}

variable "abort_multipart_days" {
  description = "Days after which the parts of an unfinished multipart upload are removed."
  type        = number
  default     = 2

  validation {
    condition     = var.abort_multipart_days >= 1 && floor(var.abort_multipart_days) == var.abort_multipart_days
    error_message = "abort_multipart_days must be a whole number of days, at least 1."
  }
}

variable "inventory_of" {
  description = "Whose lists S3 may write into this bucket (S3 Inventory): a bucket, its account, and the prefix for them; null: none."
  type        = object({ bucket = string, account_id = string, prefix = string })
  default     = null

  validation {
    condition     = var.inventory_of == null ? true : endswith(var.inventory_of.prefix, "/")
    error_message = "inventory_of.prefix must end in /."
  }
}
