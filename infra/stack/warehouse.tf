# Warehouse (warehouse_enabled): silver in Aurora PostgreSQL. `migrate` brings the database up to date at every deploy,
# `load` copies an object's silver rows into it when the object is announced.

locals {
  warehouse_name   = "${local.prefix}-warehouse"
  warehouse_zones  = coalesce(var.warehouse_availability_zones, ["${var.region}a", "${var.region}b"])
  migrate_zip_path = "${var.artifacts_dir}/migrate.zip"

  # Database roles; the migrations make them (lambdas/migrate).
  warehouse_roles = ["loader", "reader"]
}

module "database" {
  source = "../modules/database"
  count  = var.warehouse_enabled ? 1 : 0

  name                  = local.warehouse_name
  region                = var.region
  availability_zones    = local.warehouse_zones
  cidr_block            = var.warehouse_cidr_block
  interface_endpoints   = concat(["secretsmanager", "sqs", "sns"], var.api_enabled ? ["states"] : [], var.kms_key_arn == null && var.topic_kms_key_arn == null ? [] : ["kms"])
  database_name         = "warehouse"
  roles                 = local.warehouse_roles
  engine_version        = var.warehouse_engine_version
  min_capacity          = var.warehouse_min_capacity
  max_capacity          = var.warehouse_max_capacity
  backup_retention_days = var.warehouse_backup_retention_days
  kms_key_arn           = var.kms_key_arn
  deletion_protection   = var.deletion_protection
  force_destroy         = var.force_destroy
}

# --- migrate ---------------------------------------------------------------------------------------------------------

module "migrate" {
  source = "../modules/function"
  count  = var.warehouse_enabled ? 1 : 0

  name               = "${local.prefix}-migrate"
  description        = "Brings the warehouse up to date: roles, their passwords, migrations, a table per dataset"
  artifacts_bucket   = module.bucket["artifacts"].name
  zip_path           = local.migrate_zip_path
  layers             = [module.layer["base"].arn, module.layer["postgres"].arn]
  memory_mb          = 512
  timeout_seconds    = 300
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days
  network            = module.database[0].function_network

  environment = {
    POWERTOOLS_SERVICE_NAME      = "migrate"
    POWERTOOLS_METRICS_NAMESPACE = local.prefix
    POWERTOOLS_LOG_LEVEL         = var.log_level
    DATABASE_HOST                = module.database[0].host
    DATABASE_PORT                = tostring(module.database[0].port)
    DATABASE_NAME                = module.database[0].database_name
    MASTER_SECRET_ARN            = module.database[0].master_secret_arn
    ROLE_SECRET_ARNS             = jsonencode(module.database[0].role_secret_arns)
  }

  permissions = concat([
    {
      sid       = "ReadLogins"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = concat([module.database[0].master_secret_arn], values(module.database[0].role_secret_arns))
    },
    {
      sid       = "KeepLogins"
      actions   = ["secretsmanager:PutSecretValue"]
      resources = values(module.database[0].role_secret_arns)
    },
  ], local.kms_permissions)
}

# Once for each content of the function (its SQL and the datasets lie in the zip) and each database.
resource "aws_lambda_invocation" "migrate" {
  count = var.warehouse_enabled ? 1 : 0

  function_name = module.migrate[0].name
  input         = "{}"

  triggers = {
    code     = filebase64sha256(local.migrate_zip_path)
    database = module.database[0].writer
  }
}

# --- load ------------------------------------------------------------------------------------------------------------

module "load_queue" {
  source = "../modules/committed_queue"
  count  = var.warehouse_enabled ? 1 : 0

  name                     = "${local.prefix}-loads"
  account                  = module.notifications.account
  event_bus_name           = module.event_bus.name
  function_timeout_seconds = var.load_timeout_seconds
  retention_days           = var.chunk_retention_days
  max_receive_count        = var.max_receive_count
}

module "load" {
  source = "../modules/function"
  count  = var.warehouse_enabled ? 1 : 0

  name               = "${local.prefix}-load"
  description        = "Copies the silver rows of a committed object into the warehouse"
  artifacts_bucket   = module.bucket["artifacts"].name
  zip_path           = "${var.artifacts_dir}/load.zip"
  layers             = [module.layer["base"].arn, module.layer["arrow"].arn, module.layer["postgres"].arn]
  memory_mb          = var.load_memory_mb
  timeout_seconds    = var.load_timeout_seconds
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days
  network            = module.database[0].function_network

  environment = {
    POWERTOOLS_SERVICE_NAME      = "load"
    POWERTOOLS_METRICS_NAMESPACE = local.prefix
    POWERTOOLS_LOG_LEVEL         = var.log_level
    DATABASE_SECRET_ARN          = module.database[0].role_secret_arns["loader"]
    LEDGER_TABLE                 = module.ledger_table.name
    SILVER_BUCKET                = module.bucket["silver"].name
    LOAD_QUEUE_URL               = module.load_queue[0].url
    NOTIFICATIONS_TOPIC_ARN      = module.notifications.arn
    MAX_RECEIVES                 = tostring(var.max_receive_count)
    CANONICAL_ENABLED            = tostring(var.canonical_enabled)
    QUARANTINE_BUCKET            = module.bucket["quarantine"].name
  }

  permissions = concat([
    {
      sid       = "ReadSilver"
      actions   = ["s3:GetObject"]
      resources = [local.silver_objects]
    },
    {
      sid       = "ReadOutputsAndNoteLoads"
      actions   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"]
      resources = [module.ledger_table.arn]
    },
    {
      sid       = "LogIn"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [module.database[0].role_secret_arns["loader"]]
    },
    {
      sid       = "SendNotices"
      actions   = ["sns:Publish"]
      resources = [module.notifications.arn]
    },
    ], var.canonical_enabled ? [
    {
      # A file whose control totals contradict its rows.
      sid       = "QuarantineTotals"
      actions   = ["s3:PutObject", "s3:DeleteObject"]
      resources = [local.quarantine_objects]
    },
  ] : [], local.kms_permissions)
}

module "load_trigger" {
  source = "../modules/queue_trigger"
  count  = var.warehouse_enabled ? 1 : 0

  queue = {
    name = module.load_queue[0].name
    arn  = module.load_queue[0].arn
  }
  function = {
    name      = module.load[0].name
    role_name = module.load[0].role_name
  }
  batch_size          = 1 # an object may be large, and has the whole timeout
  maximum_concurrency = var.load_maximum_concurrency

  # Tables first.
  depends_on = [aws_lambda_invocation.migrate]
}

# --- settings --------------------------------------------------------------------------------------------------------

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

variable "warehouse_backup_retention_days" {
  description = "Days for which the warehouse's backups are kept."
  type        = number
  default     = 7
}

variable "load_timeout_seconds" {
  description = "Seconds that loading one object may take."
  type        = number
  default     = 120

  validation {
    # The queue hides a message for six times as long, and for 12 hours at most.
    condition     = var.load_timeout_seconds >= 1 && var.load_timeout_seconds <= 900
    error_message = "load_timeout_seconds must lie between 1 and 900."
  }
}

variable "load_memory_mb" {
  description = "Memory of load in MB."
  type        = number
  default     = 1024

  validation {
    condition     = var.load_memory_mb >= 512 && var.load_memory_mb <= 10240
    error_message = "load_memory_mb must lie between 512 and 10240."
  }
}

variable "load_maximum_concurrency" {
  description = "Most objects that are loaded at a time; each takes a connection to the database."
  type        = number
  default     = 2

  validation {
    condition     = var.load_maximum_concurrency >= 2 && var.load_maximum_concurrency <= 1000
    error_message = "load_maximum_concurrency must lie between 2 and 1000, Lambda's limits."
  }
}
