# Branches of the pipeline, each off unless switched on. One that is not built yet refuses to be switched on: it would
# create nothing, and nobody would notice.

variable "observability_enabled" {
  description = "Dashboard, alarms, and the function that watches for objects that make no progress."
  type        = bool
  default     = false
}

variable "ops_enabled" {
  description = "Operations: the replay workflow."
  type        = bool
  default     = false
}

variable "warehouse_enabled" {
  description = "Warehouse: silver loaded into Aurora PostgreSQL."
  type        = bool
  default     = false
}

variable "canonical_enabled" {
  description = "Canonical entities: rows of datasets with an `entity` section in the warehouse; needs warehouse_enabled."
  type        = bool
  default     = false

  validation {
    condition     = !var.canonical_enabled || var.warehouse_enabled
    error_message = "canonical_enabled needs warehouse_enabled."
  }
}

variable "api_enabled" {
  description = "API: questions to what was loaded, over HTTP. Needs the warehouse."
  type        = bool
  default     = false

  validation {
    condition     = !var.api_enabled || var.warehouse_enabled
    error_message = "api_enabled needs warehouse_enabled: the API answers from the warehouse."
  }
}

variable "feedback_enabled" {
  description = "Feedback: what customers say, in DynamoDB, with alerts about what is unusual."
  type        = bool
  default     = false
}

variable "checkin_enabled" {
  description = "Check-ins: a day's files, tested and loaded into DynamoDB by a workflow."
  type        = bool
  default     = false
}

variable "lake_enabled" {
  description = "Lake: Glue catalog and Athena on silver."
  type        = bool
  default     = false

  validation {
    condition     = !var.lake_enabled
    error_message = "lake_enabled cannot be true: this branch is not available yet."
  }
}

variable "quality_gate_enabled" {
  description = "Quality gate: data checks that hold back what fails them."
  type        = bool
  default     = false

  validation {
    condition     = !var.quality_gate_enabled
    error_message = "quality_gate_enabled cannot be true: this branch is not available yet."
  }
}

variable "taxi_enabled" {
  description = "Example with taxi trips."
  type        = bool
  default     = false

  validation {
    condition     = !var.taxi_enabled
    error_message = "taxi_enabled cannot be true: this branch is not available yet."
  }
}
