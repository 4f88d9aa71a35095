variable "name" {
  description = "Name of the layer."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,140}$", var.name))
    error_message = "A layer name has 1 to 140 letters, digits, hyphens and underscores."
  }
}

variable "description" {
  description = "What the layer holds."
  type        = string
}

variable "artifacts_bucket" {
  description = "Name of the bucket the zip is uploaded to."
  type        = string
}

variable "zip_path" {
  description = "Path of the zip file; its content sits under python/."
  type        = string
}

variable "runtime" {
  description = "Lambda runtime the layer was built for."
  type        = string
  default     = "python3.13"
}

variable "architecture" {
  description = "Instruction set the layer was built for: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}
