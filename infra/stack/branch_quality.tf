# Quality gate (quality_gate_enabled): infra/branches/quality. The bucket in which files wait is the core's (storage.tf).

module "quality" {
  source = "../branches/quality"
  count  = var.quality_gate_enabled ? 1 : 0

  deployment = local.deployment
  core       = local.core

  settings = {
    bucket_name             = join("-", compact([local.prefix, "quality", var.bucket_suffix]))
    engine                  = var.quality_engine
    arrow_max_rows          = var.quality_arrow_max_rows
    results_keep_days       = var.quality_results_keep_days
    gather_seconds          = var.quality_gather_seconds
    batch_size              = 100 # an execution's input has a line for each
    maximum_concurrency     = 2
    gate_timeout_seconds    = 60
    audit_timeout_seconds   = var.quality_timeout_seconds
    audit_memory_mb         = var.quality_memory_mb
    publish_timeout_seconds = var.quality_timeout_seconds
    job_timeout_minutes     = var.quality_job_timeout_minutes
    max_concurrency         = 10
    quarantine_ratio        = var.quarantine_notice_ratio
  }
}

variable "quality_gate_enabled" {
  description = "Quality gate: rows of a dataset with the section `quality` become visible when its hard expectations hold."
  type        = bool
  default     = false
}

variable "quality_engine" {
  description = "What audits staged objects: `auto` (PyArrow up to quality_arrow_max_rows rows, Great Expectations above), `pyarrow` or `great_expectations`."
  type        = string
  default     = "auto"

  validation {
    condition     = contains(["auto", "pyarrow", "great_expectations"], var.quality_engine)
    error_message = "quality_engine must be auto, pyarrow or great_expectations."
  }
}

variable "quality_arrow_max_rows" {
  description = "Most rows of an object that the function audits; larger ones are audited by a Glue job."
  type        = number
  default     = 1000000

  validation {
    condition     = var.quality_arrow_max_rows >= 1 && floor(var.quality_arrow_max_rows) == var.quality_arrow_max_rows
    error_message = "quality_arrow_max_rows must be a whole number of at least 1."
  }
}

variable "quality_gather_seconds" {
  description = "Seconds for which staged objects are gathered before an audit of them starts."
  type        = number
  default     = 5

  validation {
    # A batch of more than ten messages needs a window: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    condition     = var.quality_gather_seconds >= 1 && var.quality_gather_seconds <= 300
    error_message = "quality_gather_seconds must be between 1 and 300."
  }
}

variable "quality_withheld_keep_days" {
  description = "Days after which the files of objects that were not published are deleted; bronze has their rows."
  type        = number
  default     = 30

  validation {
    condition     = var.quality_withheld_keep_days >= 1 && floor(var.quality_withheld_keep_days) == var.quality_withheld_keep_days
    error_message = "quality_withheld_keep_days must be a whole number of days, at least 1."
  }
}

variable "quality_results_keep_days" {
  description = "Days after which verdicts and their pages are deleted."
  type        = number
  default     = 400

  validation {
    condition     = var.quality_results_keep_days >= 1 && floor(var.quality_results_keep_days) == var.quality_results_keep_days
    error_message = "quality_results_keep_days must be a whole number of days, at least 1."
  }
}

variable "quality_timeout_seconds" {
  description = "Seconds that the audit of one object may take, and moving its files."
  type        = number
  default     = 300

  validation {
    condition     = var.quality_timeout_seconds >= 1 && var.quality_timeout_seconds <= 900
    error_message = "quality_timeout_seconds must be between 1 and 900."
  }
}

variable "quality_memory_mb" {
  description = "Memory of the function that audits in MB; it holds the columns of an expectation of unique values."
  type        = number
  default     = 2048

  validation {
    condition     = var.quality_memory_mb >= 512 && var.quality_memory_mb <= 10240
    error_message = "quality_memory_mb must be between 512 and 10240."
  }
}

variable "quality_job_timeout_minutes" {
  description = "Minutes that a Glue job may take to audit the objects of one batch."
  type        = number
  default     = 60

  validation {
    condition     = var.quality_job_timeout_minutes >= 1 && var.quality_job_timeout_minutes <= 2880
    error_message = "quality_job_timeout_minutes must be between 1 and 2880 (two days)."
  }
}

output "staging_bucket" {
  description = "Bucket in which files of gated datasets wait for their audit; null when quality_gate_enabled is off."
  value       = try(module.bucket["staging"].name, null)
}

output "quality_bucket" {
  description = "Bucket with verdicts and their pages; null when quality_gate_enabled is off."
  value       = one(module.quality[*].branch.outputs.bucket)
}

output "quality_function" {
  description = "Name of the function that starts audits; null when quality_gate_enabled is off."
  value       = one(module.quality[*].branch.functions.quality.name)
}

output "quality_audit_function" {
  description = "Name of the function that audits with PyArrow; null when quality_gate_enabled is off."
  value       = one(module.quality[*].branch.functions.quality-audit.name)
}

output "quality_publish_function" {
  description = "Name of the function that publishes or withholds an audited object; null when quality_gate_enabled is off."
  value       = one(module.quality[*].branch.functions.quality-publish.name)
}

output "quality_job" {
  description = "Name of the Glue job that audits with Great Expectations; null when quality_gate_enabled is off."
  value       = one(module.quality[*].branch.outputs.job)
}

output "quality_state_machine_arn" {
  description = "The workflow that audits and publishes; null when quality_gate_enabled is off."
  value       = one(module.quality[*].branch.workflows.quality.arn)
}

output "quality_queue_url" {
  description = "Queue of staged objects that are to be audited; null when quality_gate_enabled is off."
  value       = one(module.quality[*].branch.queues.quality.url)
}

output "quality_dlq_url" {
  description = "Dead-letter queue of that queue; null when quality_gate_enabled is off."
  value       = one(module.quality[*].branch.queues.quality.dlq_url)
}
