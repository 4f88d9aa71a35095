variable "name" {
  description = "Name of the cluster, and first part of all other names."
  type        = string

  validation {
    # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html
    condition     = can(regex("^[a-z](-?[a-z0-9])*$", var.name)) && length(var.name) <= 56
    error_message = "name must begin with a letter and have at most 56 lower-case letters, digits and single hyphens."
  }
}

variable "region" {
  description = "Region of the endpoints' services."
  type        = string
}

variable "availability_zones" {
  description = "Zones of the private subnets, at least two."
  type        = list(string)

  validation {
    condition     = length(distinct(var.availability_zones)) >= 2 && length(var.availability_zones) <= 16
    error_message = "availability_zones must name at least two zones: Aurora puts its copies in different zones."
  }
}

variable "cidr_block" {
  description = "Addresses of the network; every zone gets a sixteenth."
  type        = string
  default     = "10.20.0.0/20"

  validation {
    condition     = can(cidrsubnet(var.cidr_block, 4, 15)) && try(tonumber(split("/", var.cidr_block)[1]) <= 24, false)
    error_message = "cidr_block must be a block of /24 or larger, such as 10.20.0.0/20."
  }
}

variable "interface_endpoints" {
  description = "Services that the functions call besides S3 and DynamoDB, as their endpoints are named."
  type        = list(string)
}

variable "engine_version" {
  description = "Aurora PostgreSQL version; a major version takes the newest of its minor ones."
  type        = string
  default     = "17"

  validation {
    # From 17 on rds.force_ssl is on unless switched off, so that no client connects without TLS:
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraPostgreSQL.Security.html
    condition     = can(regex("^(1[7-9]|[2-9][0-9])(\\.[0-9]+)?$", var.engine_version))
    error_message = "engine_version must be 17 or newer."
  }
}

variable "database_name" {
  description = "Name of the database."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.database_name))
    error_message = "database_name must begin with a letter and have at most 63 lower-case letters, digits and underscores."
  }
}

variable "master_username" {
  description = "Name of the master, which runs the migrations and nothing else."
  type        = string
  default     = "sluice_admin"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,15}$", var.master_username))
    error_message = "master_username must begin with a letter and have at most 16 lower-case letters, digits and underscores."
  }
}

variable "roles" {
  description = "Database roles that get a secret of their own."
  type        = list(string)
}

variable "min_capacity" {
  description = "Least Aurora capacity units (2 GB of memory each); 0 lets an unused database pause."
  type        = number
  default     = 0.5

  validation {
    condition     = var.min_capacity >= 0 && var.min_capacity <= var.max_capacity && floor(var.min_capacity * 2) == var.min_capacity * 2
    error_message = "min_capacity must be between 0 and max_capacity, in steps of 0.5."
  }
}

variable "max_capacity" {
  description = "Most Aurora capacity units."
  type        = number
  default     = 4

  validation {
    condition     = var.max_capacity >= 1 && var.max_capacity <= 256 && floor(var.max_capacity * 2) == var.max_capacity * 2
    error_message = "max_capacity must be between 1 and 256, in steps of 0.5."
  }
}

variable "readers" {
  description = "Readers, each in another zone than the writer: 1 takes over in about a minute when the writer fails, 0 makes a new writer, which takes longer."
  type        = number
  default     = 0

  validation {
    condition     = contains([0, 1], var.readers)
    error_message = "readers must be 0 or 1."
  }
}

variable "backup_retention_days" {
  description = "Days for which backups are kept."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_retention_days >= 1 && var.backup_retention_days <= 35
    error_message = "backup_retention_days must be between 1 and 35."
  }
}

variable "kms_key_arn" {
  description = "ARN of a customer-managed KMS key for storage and secrets; null takes AWS's own keys."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether the cluster refuses to be deleted."
  type        = bool
  default     = true
}

variable "force_destroy" {
  description = "Whether the data may go without a last snapshot, and the secrets at once."
  type        = bool
  default     = false
}
