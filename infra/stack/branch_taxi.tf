# Taxi trips (taxi_enabled): infra/branches/taxi.

module "taxi" {
  source = "../branches/taxi"
  count  = var.taxi_enabled ? 1 : 0

  deployment = local.deployment
  core       = local.core

  settings = {
    bucket_name               = join("-", compact([local.prefix, "taxi", var.bucket_suffix]))
    source_url                = var.taxi_source_url
    schedule                  = var.taxi_schedule
    time_zone                 = "America/New_York" # the trips' own
    retry_hours               = var.taxi_retry_hours
    retry_days                = var.taxi_retry_days
    availability_zones        = var.taxi_availability_zones
    cidr_block                = var.taxi_cidr_block
    base_capacity             = var.taxi_base_capacity
    max_capacity              = var.taxi_max_capacity
    clean_keep_days           = var.taxi_clean_keep_days
    noncurrent_version_days   = var.noncurrent_version_days
    abort_multipart_days      = var.abort_multipart_days
    start_timeout_seconds     = 60
    steps_timeout_seconds     = var.taxi_steps_timeout_seconds
    ingest_timeout_minutes    = var.taxi_job_timeout_minutes
    transform_timeout_minutes = var.taxi_job_timeout_minutes
    load_timeout_minutes      = var.taxi_job_timeout_minutes
    queue_minutes             = 60
    timeout_minutes           = 3 * 3 * (var.taxi_job_timeout_minutes + 60) + 60 # three jobs, each with all its tries
    transform_workers         = var.taxi_transform_workers
    max_concurrency           = 3
    retry_seconds             = var.taxi_retry_seconds
  }
}

variable "taxi_enabled" {
  description = "Taxi trips: a month of NYC's yellow taxis at a time, loaded into Redshift Serverless and verified."
  type        = bool
  default     = false
}

variable "taxi_source_url" {
  description = "Where a month's file is; {year} and {month} are filled in (2024, 09)."
  type        = string
  default     = "https://d37ci6vzurychx.cloudfront.net/trip-data/yellow_tripdata_{year}-{month}.parquet"

  validation {
    condition     = can(regex("^https?://", var.taxi_source_url)) && strcontains(var.taxi_source_url, "{year}") && strcontains(var.taxi_source_url, "{month}")
    error_message = "taxi_source_url must be an http or https URL with {year} and {month}."
  }
}

variable "taxi_schedule" {
  description = "When the month that was published last is loaded (cron(...) in New York's time), such as cron(0 6 5 * ? *); null for never."
  type        = string
  default     = null

  validation {
    condition     = var.taxi_schedule == null ? true : can(regex("^(cron|rate|at)\\(.+\\)$", var.taxi_schedule))
    error_message = "taxi_schedule must be cron(...), rate(...), at(...) or null."
  }
}

variable "taxi_retry_hours" {
  description = "Hours after which a month that is not published is looked for again."
  type        = number
  default     = 24

  validation {
    condition     = var.taxi_retry_hours >= 1 && floor(var.taxi_retry_hours) == var.taxi_retry_hours
    error_message = "taxi_retry_hours must be a whole number of at least 1."
  }
}

variable "taxi_retry_days" {
  description = "Days for which a month that is not published is looked for; then its run fails."
  type        = number
  default     = 30

  validation {
    condition     = var.taxi_retry_days >= 0 && floor(var.taxi_retry_days) == var.taxi_retry_days
    error_message = "taxi_retry_days must be a whole number of at least 0."
  }
}

variable "taxi_availability_zones" {
  description = "Zones of the warehouse's three subnets; null takes the region's a, b and c."
  type        = list(string)
  default     = null

  validation {
    condition     = var.taxi_availability_zones == null ? true : length(distinct(var.taxi_availability_zones)) >= 3
    error_message = "taxi_availability_zones must name at least three zones: Redshift Serverless takes no fewer."
  }
}

variable "taxi_cidr_block" {
  description = "Addresses of the warehouse's network; every zone gets a sixteenth."
  type        = string
  default     = "10.21.0.0/20"

  validation {
    condition     = can(cidrsubnet(var.taxi_cidr_block, 4, 15)) && try(tonumber(split("/", var.taxi_cidr_block)[1]) <= 22, false)
    error_message = "taxi_cidr_block must be a block of /22 or larger, such as 10.21.0.0/20: a subnet needs 37 free addresses."
  }
}

variable "taxi_base_capacity" {
  description = "Base capacity of the warehouse in Redshift processing units (RPU)."
  type        = number
  default     = 8

  validation {
    condition     = var.taxi_base_capacity == 4 || (var.taxi_base_capacity >= 8 && var.taxi_base_capacity <= 512 && var.taxi_base_capacity % 8 == 0)
    error_message = "taxi_base_capacity must be 4, or 8 to 512 in steps of 8."
  }
}

variable "taxi_max_capacity" {
  description = "Most Redshift processing units (RPU) that a query may scale to."
  type        = number
  default     = 32

  validation {
    condition     = var.taxi_max_capacity >= var.taxi_base_capacity && var.taxi_max_capacity % 8 == 0
    error_message = "taxi_max_capacity must be at least taxi_base_capacity, in steps of 8."
  }
}

variable "taxi_clean_keep_days" {
  description = "Days after which files of cleaned rows are deleted; the warehouse has the rows, and the raw file stays."
  type        = number
  default     = 30

  validation {
    condition     = var.taxi_clean_keep_days >= 15 && floor(var.taxi_clean_keep_days) == var.taxi_clean_keep_days
    error_message = "taxi_clean_keep_days must be a whole number of at least 15: a failed run can be redriven for 14 days."
  }
}

variable "taxi_steps_timeout_seconds" {
  description = "Seconds that a step between the jobs may take; a query over a month is one."
  type        = number
  default     = 300

  validation {
    condition     = var.taxi_steps_timeout_seconds >= 1 && var.taxi_steps_timeout_seconds <= 900
    error_message = "taxi_steps_timeout_seconds must be between 1 and 900."
  }
}

variable "taxi_job_timeout_minutes" {
  description = "Minutes that a Glue job may take for a month."
  type        = number
  default     = 60

  validation {
    condition     = var.taxi_job_timeout_minutes >= 1 && var.taxi_job_timeout_minutes <= 2880
    error_message = "taxi_job_timeout_minutes must be between 1 and 2880 (two days)."
  }
}

variable "taxi_transform_workers" {
  description = "Workers (G.1X) of the Spark job."
  type        = number
  default     = 2

  validation {
    condition     = var.taxi_transform_workers >= 2 && var.taxi_transform_workers <= 299
    error_message = "taxi_transform_workers must be between 2 and 299."
  }
}

variable "taxi_retry_seconds" {
  description = "Seconds before a job that failed is run again."
  type        = number
  default     = 60

  validation {
    condition     = var.taxi_retry_seconds >= 1 && var.taxi_retry_seconds <= 3600
    error_message = "taxi_retry_seconds must be between 1 and 3600."
  }
}

output "taxi_function" {
  description = "Name of the function that starts a month; null when taxi_enabled is off."
  value       = one(module.taxi[*].branch.functions.taxi.name)
}

output "taxi_steps_function" {
  description = "Name of the function that does the workflow's steps; null when taxi_enabled is off."
  value       = one(module.taxi[*].branch.functions.taxi-steps.name)
}

output "taxi_migrate_function" {
  description = "Name of the function that brings the warehouse of trips up to date; null when taxi_enabled is off."
  value       = one(module.taxi[*].branch.functions.taxi-migrate.name)
}

output "taxi_bucket" {
  description = "Bucket with raw, clean and rejected trips, and the jobs' reports; null when taxi_enabled is off."
  value       = one(module.taxi[*].branch.outputs.bucket)
}

output "taxi_table" {
  description = "Table with the last attempt at each month; null when taxi_enabled is off."
  value       = one(module.taxi[*].branch.tables.taxi)
}

output "taxi_state_machine_arn" {
  description = "The workflow of a month; null when taxi_enabled is off."
  value       = one(module.taxi[*].branch.workflows.taxi.arn)
}

output "taxi_jobs" {
  description = "Names of the Glue jobs ingest, transform and load; null when taxi_enabled is off."
  value       = one(module.taxi[*].branch.outputs.jobs)
}

output "taxi_workgroup" {
  description = "Workgroup of Redshift Serverless that the trips are in; null when taxi_enabled is off."
  value       = one(module.taxi[*].branch.outputs.workgroup)
}

output "taxi_database" {
  description = "Database of it; null when taxi_enabled is off."
  value       = one(module.taxi[*].branch.outputs.database)
}

output "taxi_secret_arn" {
  description = "Secret with the admin's login of that database, made by Redshift; null when taxi_enabled is off."
  value       = one(module.taxi[*].branch.outputs.secret_arn)
}

output "taxi_schedule_group" {
  description = "Group of the schedules that start months; null when taxi_enabled is off."
  value       = one(module.taxi[*].branch.outputs.schedule_group)
}
