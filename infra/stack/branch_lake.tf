# Lake (lake_enabled): infra/branches/lake.

module "lake" {
  source = "../branches/lake"
  count  = var.lake_enabled ? 1 : 0

  deployment = local.deployment
  core       = local.core

  settings = {
    bucket_name         = join("-", compact([local.prefix, "lake", var.bucket_suffix]))
    partitions          = var.lake_partitions
    projection_range    = var.lake_projection_range
    crawler_schedule    = var.lake_crawler_schedule
    query_bytes_limit   = var.lake_query_bytes_limit
    results_keep_days   = var.lake_results_keep_days
    timeout_seconds     = var.lake_timeout_seconds
    memory_mb           = 256
    batch_size          = 10 # a message needs some calls, and no rows
    maximum_concurrency = var.lake_maximum_concurrency
    compaction = {
      schedule        = var.lake_compaction_schedule
      file_mb         = var.lake_compaction_file_mb
      min_files       = var.lake_compaction_min_files
      small_mb        = var.lake_compaction_file_mb / 4
      keep_hours      = var.lake_compaction_keep_hours
      worker_type     = "G.1X"
      workers         = var.lake_compaction_workers
      timeout_minutes = var.lake_compaction_timeout_minutes
      retry_seconds   = 30
    }
  }
}

variable "lake_enabled" {
  description = "Lake: Glue catalog and Athena on silver and the ledger."
  type        = bool
  default     = false
}

variable "lake_partitions" {
  description = "How Athena finds the dates of a dataset: `registered` (each in the catalog as soon as an object with it is committed), `projected` (computed from lake_projection_range; rows of other dates are not found) or `crawled` (a crawler adds them, by lake_crawler_schedule)."
  type        = string
  default     = "registered"

  validation {
    condition     = contains(["registered", "projected", "crawled"], var.lake_partitions)
    error_message = "lake_partitions must be registered, projected or crawled."
  }
}

variable "lake_crawler_schedule" {
  description = "When the crawler of `crawled` partitions runs, in UTC; null: only when it is started."
  type        = string
  default     = "cron(0 * * * ? *)"

  validation {
    condition     = var.lake_crawler_schedule == null || can(regex("^cron\\(\\S+( \\S+){5}\\)$", var.lake_crawler_schedule))
    error_message = "lake_crawler_schedule must be cron(minute hour day month weekday year), such as cron(0 * * * ? *), or null."
  }
}

variable "lake_projection_range" {
  description = "First and last date of projected partitions, as Athena's property projection.dt.range."
  type        = string
  default     = "2000-01-01,NOW+1YEARS"

  validation {
    condition     = can(regex("^[^,]+,[^,]+$", var.lake_projection_range))
    error_message = "lake_projection_range must be two dates with a comma between them, such as 2000-01-01,NOW+1YEARS."
  }
}

variable "lake_query_bytes_limit" {
  description = "Most bytes that one Athena query may scan; Athena stops it then."
  type        = number
  default     = 107374182400 # 100 GiB

  validation {
    condition     = var.lake_query_bytes_limit >= 10485760 && floor(var.lake_query_bytes_limit) == var.lake_query_bytes_limit
    error_message = "lake_query_bytes_limit must be a whole number of at least 10485760 (10 MB), Athena's least."
  }
}

variable "lake_results_keep_days" {
  description = "Days after which the results of Athena queries are deleted."
  type        = number
  default     = 7

  validation {
    condition     = var.lake_results_keep_days >= 1 && floor(var.lake_results_keep_days) == var.lake_results_keep_days
    error_message = "lake_results_keep_days must be a whole number of days, at least 1."
  }
}

variable "lake_timeout_seconds" {
  description = "Seconds that registering the partitions of some objects may take."
  type        = number
  default     = 60

  validation {
    condition     = var.lake_timeout_seconds >= 1 && var.lake_timeout_seconds <= 900
    error_message = "lake_timeout_seconds must be between 1 and 900."
  }
}

variable "lake_maximum_concurrency" {
  description = "Most calls of lake at a time; each registers up to ten committed objects."
  type        = number
  default     = 2

  validation {
    condition     = var.lake_maximum_concurrency >= 2 && var.lake_maximum_concurrency <= 1000
    error_message = "lake_maximum_concurrency must be between 2 and 1000, Lambda's limits."
  }
}

variable "lake_compaction_schedule" {
  description = "When small files are compacted: rate(...) or cron(...); null for `sluice compact` only. Needs registered partitions."
  type        = string
  default     = null

  validation {
    condition     = var.lake_compaction_schedule == null || (can(regex("^(rate|cron)\\(.+\\)$", var.lake_compaction_schedule)) && var.lake_partitions == "registered")
    error_message = "lake_compaction_schedule must be rate(...) or cron(...), and lake_partitions registered: no others are put back when rows come."
  }
}

variable "lake_compaction_file_mb" {
  description = "Size of compacted files in MB. Dates whose files have less than a quarter of it on average are compacted."
  type        = number
  default     = 128

  validation {
    condition     = var.lake_compaction_file_mb >= 4 && floor(var.lake_compaction_file_mb / 4) == var.lake_compaction_file_mb / 4
    error_message = "lake_compaction_file_mb must be a multiple of 4."
  }
}

variable "lake_compaction_min_files" {
  description = "Dates with more files than this are compacted, too, when that makes fewer."
  type        = number
  default     = 100

  validation {
    condition     = var.lake_compaction_min_files >= 1 && floor(var.lake_compaction_min_files) == var.lake_compaction_min_files
    error_message = "lake_compaction_min_files must be a whole number, at least 1."
  }
}

variable "lake_compaction_keep_hours" {
  description = "Hours for which compacted files that are out of use stay, for queries that still read them."
  type        = number
  default     = 24

  validation {
    condition     = var.lake_compaction_keep_hours >= 1
    error_message = "lake_compaction_keep_hours must be at least 1: queries may run for 30 minutes."
  }
}

variable "lake_compaction_workers" {
  description = "Workers (G.1X) of the compaction's Spark job."
  type        = number
  default     = 2

  validation {
    condition     = var.lake_compaction_workers >= 2
    error_message = "lake_compaction_workers must be at least 2."
  }
}

variable "lake_compaction_timeout_minutes" {
  description = "Minutes after which the compaction's Spark job is ended."
  type        = number
  default     = 120

  validation {
    condition     = var.lake_compaction_timeout_minutes >= 5 && var.lake_compaction_timeout_minutes <= 480
    error_message = "lake_compaction_timeout_minutes must be from 5 to 480."
  }
}

output "lake_compaction_arn" {
  description = "Workflow that compacts the lake; null when lake_enabled is off, or partitions are not registered ones."
  value       = try(module.lake[0].branch.workflows.compaction.arn, null)
}

output "lake_function" {
  description = "Name of the function that registers committed objects; null when lake_enabled is off."
  value       = one(module.lake[*].branch.functions.lake.name)
}

output "lake_workgroup" {
  description = "Athena work group of the lake; null when lake_enabled is off."
  value       = one(module.lake[*].branch.outputs.workgroup)
}

output "lake_database" {
  description = "Glue database with a table for each dataset; null when lake_enabled is off."
  value       = one(module.lake[*].branch.outputs.database)
}

output "lake_ledger_database" {
  description = "Glue database with the tables objects and quarantine; null when lake_enabled is off."
  value       = one(module.lake[*].branch.outputs.ledger_database)
}

output "lake_bucket" {
  description = "Bucket with results of queries and the counts of objects; null when lake_enabled is off."
  value       = one(module.lake[*].branch.outputs.bucket)
}

output "lake_crawler" {
  description = "Crawler that finds the dates of silver; null unless lake_partitions is crawled."
  value       = one(module.lake[*].branch.outputs.crawler)
}

output "lake_queue_url" {
  description = "Queue of committed objects whose partitions are to be registered; null when lake_enabled is off."
  value       = one(module.lake[*].branch.queues.lake.url)
}

output "lake_dlq_url" {
  description = "Dead-letter queue of that queue; null when lake_enabled is off."
  value       = one(module.lake[*].branch.queues.lake.dlq_url)
}
