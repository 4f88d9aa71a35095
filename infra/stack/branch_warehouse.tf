# Warehouse (warehouse_enabled, canonical_enabled): infra/branches/warehouse.

module "warehouse" {
  source = "../branches/warehouse"
  count  = var.warehouse_enabled ? 1 : 0

  deployment = local.deployment
  core       = local.core

  settings = {
    availability_zones       = var.warehouse_availability_zones
    cidr_block               = var.warehouse_cidr_block
    engine_version           = var.warehouse_engine_version
    min_capacity             = var.warehouse_min_capacity
    max_capacity             = var.warehouse_max_capacity
    readers                  = var.warehouse_readers
    backup_retention_days    = var.warehouse_backup_retention_days
    certificates             = var.warehouse_ca_file == null ? null : file(pathexpand(var.warehouse_ca_file))
    load_timeout_seconds     = var.load_timeout_seconds
    load_memory_mb           = var.load_memory_mb
    load_maximum_concurrency = var.load_maximum_concurrency
    load_batch_size          = var.load_batch_size
    left_out                 = var.warehouse_left_out
    canonical                = var.canonical_enabled
  }
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

variable "warehouse_availability_zones" {
  description = "Zones of the warehouse's subnets, at least two; null takes the region's a and b."
  type        = list(string)
  default     = null
}

variable "warehouse_cidr_block" {
  description = "Addresses of the warehouse's network."
  type        = string
  default     = "10.20.0.0/20"
}

variable "warehouse_engine_version" {
  description = "Aurora PostgreSQL version; a major version takes the newest of its minor ones."
  type        = string
  default     = "17"
}

variable "warehouse_min_capacity" {
  description = "Least Aurora capacity units (2 GB of memory each); 0 lets an unused warehouse pause."
  type        = number
  default     = 0.5
}

variable "warehouse_max_capacity" {
  description = "Most Aurora capacity units."
  type        = number
  default     = 4
}

variable "warehouse_readers" {
  description = "Database instances in a second zone (0 or 1) that take over when the first fails; one costs as much again."
  type        = number
  default     = 0

  validation {
    condition     = contains([0, 1], var.warehouse_readers)
    error_message = "warehouse_readers must be 0 or 1."
  }
}

variable "warehouse_backup_retention_days" {
  description = "Days for which the warehouse's backups are kept."
  type        = number
  default     = 7
}

variable "warehouse_ca_file" {
  description = "File with the certificates (PEM) that prove the database, absolute or from infra/stack: RDS's bundle of the region, https://truststore.pki.rds.amazonaws.com/<region>/<region>-bundle.pem. Functions then connect with verify-full. null: connections are encrypted, and the server is not proved."
  type        = string
  default     = null

  validation {
    # They are part of each login's secret, and a secret has 64 KB at most.
    condition = var.warehouse_ca_file == null ? true : try(
      strcontains(file(pathexpand(var.warehouse_ca_file)), "-----BEGIN CERTIFICATE-----") &&
      length(file(pathexpand(var.warehouse_ca_file))) <= 50000,
      false
    )
    error_message = "warehouse_ca_file must be a file of PEM certificates of at most 50,000 bytes: the region's bundle, not the global one."
  }
}

variable "load_timeout_seconds" {
  description = "Seconds that loading one object may take."
  type        = number
  default     = 120

  validation {
    # The queue hides a message for six times as long, and for 12 hours at most.
    condition     = var.load_timeout_seconds >= 1 && var.load_timeout_seconds <= 900
    error_message = "load_timeout_seconds must be between 1 and 900."
  }
}

variable "load_memory_mb" {
  description = "Memory of load in MB."
  type        = number
  default     = 1024

  validation {
    condition     = var.load_memory_mb >= 512 && var.load_memory_mb <= 10240
    error_message = "load_memory_mb must be between 512 and 10240."
  }
}

variable "load_maximum_concurrency" {
  description = "Most invocations of load at a time; each takes a connection to the database."
  type        = number
  default     = 2

  validation {
    condition     = var.load_maximum_concurrency >= 2 && var.load_maximum_concurrency <= 1000
    error_message = "load_maximum_concurrency must be between 2 and 1000, Lambda's limits."
  }
}

variable "load_batch_size" {
  description = "Most objects that load takes at a time. Small ones share a transaction, so the database commits less often; large ones are loaded one after another, all within load_timeout_seconds. More than 1 only where an object takes less than a tenth of that time: what a function has no time for uses up its receives."
  type        = number
  default     = 1

  validation {
    condition     = var.load_batch_size >= 1 && var.load_batch_size <= 10
    error_message = "load_batch_size must be between 1 and 10, what a queue gives at a time."
  }
}

variable "warehouse_left_out" {
  description = "Datasets whose objects are not loaded into the warehouse: what is too much for one database stays in silver, where the lake queries it."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.warehouse_left_out : can(regex("^[a-z][a-z0-9_]*$", name))])
    error_message = "warehouse_left_out must name datasets: lower-case letters, digits and underscores."
  }
}

output "warehouse_left_out" {
  description = "Datasets whose objects are not loaded into the warehouse."
  value       = var.warehouse_left_out
}

output "load_function" {
  description = "Name of the function that loads silver into the warehouse; null when warehouse_enabled is off."
  value       = one(module.warehouse[*].branch.functions.load.name)
}

output "load_queue_url" {
  description = "Queue of committed objects waiting for load; null when warehouse_enabled is off."
  value       = one(module.warehouse[*].branch.queues.loads.url)
}

output "load_dlq_url" {
  description = "Dead-letter queue of that queue; null when warehouse_enabled is off."
  value       = one(module.warehouse[*].branch.queues.loads.dlq_url)
}

output "migrate_function" {
  description = "Name of the function that brings the warehouse up to date; null when warehouse_enabled is off."
  value       = one(module.warehouse[*].branch.functions.migrate.name)
}

output "warehouse_host" {
  description = "Address of the warehouse; null when warehouse_enabled is off."
  value       = one(module.warehouse[*].branch.outputs.warehouse_host)
}

output "warehouse_secret_arns" {
  description = "Secrets with the warehouse's logins, by database role; null when warehouse_enabled is off."
  value       = one(module.warehouse[*].branch.outputs.warehouse_secret_arns)
}
