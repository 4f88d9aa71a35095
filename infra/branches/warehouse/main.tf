# Warehouse: silver in Aurora PostgreSQL. `migrate` brings the database up to date at every deploy, `load` copies an object's
# silver rows into it when the object is committed.

locals {
  name  = "${var.deployment.prefix}-warehouse"
  zones = coalesce(var.settings.availability_zones, ["${var.deployment.region}a", "${var.deployment.region}b"])

  # Database roles; the migrations create them (lambdas/warehouse/migrate).
  roles = ["loader", "reader"]

  has_keys = var.deployment.kms_key_arn != null || var.deployment.topic_kms_key_arn != null
}

module "database" {
  source = "../../modules/database"

  name                  = local.name
  region                = var.deployment.region
  availability_zones    = local.zones
  cidr_block            = var.settings.cidr_block
  interface_endpoints   = concat(["secretsmanager", "sqs", "sns"], local.has_keys ? ["kms"] : [])
  database_name         = "warehouse"
  roles                 = local.roles
  engine_version        = var.settings.engine_version
  min_capacity          = var.settings.min_capacity
  max_capacity          = var.settings.max_capacity
  readers               = var.settings.readers
  backup_retention_days = var.settings.backup_retention_days
  kms_key_arn           = var.deployment.kms_key_arn
  deletion_protection   = var.deployment.deletion_protection
  force_destroy         = var.deployment.force_destroy
}

module "layer" {
  source = "../../modules/layer"

  name             = "${var.deployment.prefix}-postgres"
  description      = "psycopg and yoyo-migrations"
  artifacts_bucket = var.core.buckets.artifacts.name
  zip_path         = "${var.deployment.artifacts_dir}/layer-postgres.zip"
}

# --- migrate ---------------------------------------------------------------------------------------------------------

module "migrate" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = "${var.deployment.prefix}-migrate"
  description        = "Brings the warehouse up to date: roles, their passwords, migrations, a table per dataset"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "warehouse/migrate"
  artifacts_dir      = var.deployment.artifacts_dir
  layers             = [var.core.layers.base, module.layer.arn]
  memory_mb          = 512
  timeout_seconds    = 300
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days
  network            = module.database.function_network
  alarms             = false # the deployment fails when it fails

  environment = merge(var.deployment.environment, var.core.datasets.environment, {
    POWERTOOLS_SERVICE_NAME = "migrate"
    DATABASE_HOST           = module.database.host
    DATABASE_PORT           = tostring(module.database.port)
    DATABASE_NAME           = module.database.database_name
    MASTER_SECRET_ARN       = module.database.master_secret_arn
    ROLE_SECRET_ARNS        = jsonencode(module.database.role_secret_arns)
  })

  permissions = concat([
    var.core.datasets.permission,
    {
      sid       = "ReadLogins"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = concat([module.database.master_secret_arn], values(module.database.role_secret_arns))
    },
    {
      sid       = "StoreLogins"
      actions   = ["secretsmanager:PutSecretValue"]
      resources = values(module.database.role_secret_arns)
    },
  ], var.deployment.kms_permissions)
}

# Once for each content of the function (its SQL is in the zip), each shape of the datasets and each database.
resource "aws_lambda_invocation" "migrate" {
  function_name = module.migrate.name
  input         = jsonencode(var.settings.certificates == null ? {} : { certificates = var.settings.certificates })

  triggers = merge(var.settings.certificates == null ? {} : { certificates = sha256(var.settings.certificates) }, {
    code   = module.migrate.code_hash
    tables = var.core.datasets.tables
    # The logins in the secrets name the port. AWS's own adds nothing, so that an older deployment's trigger holds.
    database = module.database.port == 5432 ? module.database.writer : "${module.database.writer}:${module.database.port}"
  })

  # The function reaches Secrets Manager by an endpoint, and the database by rules: all of the network first.
  depends_on = [module.database]
}

# --- load ------------------------------------------------------------------------------------------------------------

module "load_queue" {
  source = "../../modules/committed_queue"

  name                     = "${var.deployment.prefix}-loads"
  account                  = var.core.account
  event_bus_name           = var.core.bus_name
  function_timeout_seconds = var.settings.load_timeout_seconds
  retention_days           = var.deployment.message_retention_days
  max_receive_count        = var.deployment.max_receive_count
  label                    = "load"
  left_out                 = var.settings.left_out
}

module "load" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = "${var.deployment.prefix}-load"
  description        = "Copies the silver rows of a committed object into the warehouse"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "warehouse/load"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base, var.core.layers.arrow, module.layer.arn]
  memory_mb          = var.settings.load_memory_mb
  timeout_seconds    = var.settings.load_timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days
  network            = module.database.function_network

  environment = merge(var.deployment.environment, var.core.datasets.environment, {
    POWERTOOLS_SERVICE_NAME = "load"
    DATABASE_SECRET_ARN     = module.database.role_secret_arns["loader"]
    LEDGER_TABLE            = var.core.tables.ledger.name
    SILVER_BUCKET           = var.core.buckets.silver.name
    LOAD_QUEUE_URL          = module.load_queue.url
    NOTIFICATIONS_TOPIC_ARN = var.core.topic_arn
    MAX_RECEIVES            = tostring(var.deployment.max_receive_count)
    CANONICAL_ENABLED       = tostring(var.settings.canonical)
    QUARANTINE_BUCKET       = var.core.buckets.quarantine.name
  })

  permissions = concat([
    {
      sid       = "ReadSilver"
      actions   = ["s3:GetObject"]
      resources = [var.core.objects.silver]
    },
    {
      # Without it S3 answers 403 instead of 404 for what a newer run no longer writes:
      # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
      sid       = "DistinguishMissingFromForbidden"
      actions   = ["s3:ListBucket"]
      resources = [var.core.buckets.silver.arn]
    },
    {
      sid       = "ReadOutputsAndRecordLoads"
      actions   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"]
      resources = [var.core.tables.ledger.arn]
    },
    {
      sid       = "LogIn"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [module.database.role_secret_arns["loader"]]
    },
    {
      sid       = "SendNotices"
      actions   = ["sns:Publish"]
      resources = [var.core.topic_arn]
    },
    ], var.settings.canonical ? [
    var.core.datasets.permission,
    {
      # A file whose control totals contradict its rows.
      sid       = "QuarantineTotals"
      actions   = ["s3:PutObject", "s3:DeleteObject"]
      resources = [var.core.objects.quarantine]
    },
  ] : [], var.deployment.kms_permissions)
}

module "load_trigger" {
  source = "../../modules/queue_trigger"

  queue = {
    name = module.load_queue.name
    arn  = module.load_queue.arn
  }
  function = {
    arn       = module.load.arn
    role_name = module.load.role_name
  }
  batch_size          = var.settings.load_batch_size # small objects share a transaction
  maximum_concurrency = var.settings.load_maximum_concurrency

  # Tables first.
  depends_on = [aws_lambda_invocation.migrate]
}
