# Analytics API: questions about what was loaded, over HTTP, as the database's reader. Jobs (jobs.tf) answer what takes longer.

locals {
  name             = "${var.deployment.prefix}-api"
  layers           = [var.core.layers.base, var.warehouse.layer, module.layer.arn]
  job_results      = "${var.core.buckets.artifacts.arn}/analytics/*"
  job_keep_seconds = var.settings.job_keep_days * 86400
}

module "layer" {
  source = "../../modules/layer"

  name             = "${var.deployment.prefix}-api"
  description      = "pydantic and sqlglot"
  artifacts_bucket = var.core.buckets.artifacts.name
  zip_path         = "${var.deployment.artifacts_dir}/layer-api.zip"
}

# The function starts jobs from within the warehouse's network.
resource "aws_vpc_endpoint" "states" {
  vpc_id              = var.warehouse.endpoints.vpc_id
  service_name        = "com.amazonaws.${var.deployment.region}.states"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = var.warehouse.endpoints.subnet_ids
  security_group_ids  = var.warehouse.endpoints.security_group_ids

  tags = { Name = "${var.warehouse.endpoints.name}-states" }
}

# Cached answers, and jobs.
module "table" {
  source = "../../modules/table"

  name                   = local.jobs_name
  hash_key               = "pk"
  range_key              = "sk"
  indexes                = { by_created = { hash_key = "kind", range_key = "created_key" } }
  ttl_attribute          = "expires_at"
  point_in_time_recovery = var.deployment.point_in_time_recovery
  deletion_protection    = var.deployment.deletion_protection
  kms_key_arn            = var.deployment.kms_key_arn
}

module "function" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name                 = local.name
  description          = "Answers the analytics API"
  artifacts_bucket     = var.core.buckets.artifacts.name
  code                 = "api/gateway"
  artifacts_dir        = var.deployment.artifacts_dir
  release              = var.deployment.release
  layers               = local.layers
  memory_mb            = var.settings.memory_mb
  timeout_seconds      = 29 # what API Gateway waits
  reserved_concurrency = var.settings.reserved_concurrency
  tracing_mode         = var.deployment.tracing_mode
  log_retention_days   = var.deployment.log_retention_days
  network              = var.warehouse.network

  environment = merge(var.deployment.environment, var.core.datasets.environment, {
    POWERTOOLS_SERVICE_NAME   = "api"
    DATABASE_SECRET_ARN       = var.warehouse.secret_arn
    ANALYTICS_TABLE           = module.table.name
    CACHE_TTL_SECONDS         = tostring(var.settings.cache_ttl_seconds)
    STATEMENT_TIMEOUT_SECONDS = tostring(var.settings.statement_timeout_seconds)
    CHECKINS_TABLE            = try(var.checkins_table.name, "")
    CORS_ORIGINS              = join(",", var.settings.cors_origins)
    JOBS_STATE_MACHINE_ARN    = module.jobs.arn
    JOB_KEEP_SECONDS          = tostring(local.job_keep_seconds)
    RESULTS_BUCKET            = var.core.buckets.artifacts.name
  })

  permissions = concat([
    var.core.datasets.permission,
    {
      sid       = "LogIn"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [var.warehouse.secret_arn]
    },
    {
      # A transaction is allowed by the actions of the writes in it.
      sid       = "CacheAnswersAndRecordJobs"
      actions   = ["dynamodb:GetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem"]
      resources = [module.table.arn]
    },
    {
      sid       = "ListJobs"
      actions   = ["dynamodb:Query"]
      resources = ["${module.table.arn}/index/by_created"]
    },
    {
      sid       = "StartJobs"
      actions   = ["states:StartExecution"]
      resources = [module.jobs.arn]
    },
    {
      # A pre-signed URL opens what the role may read.
      sid       = "GiveResults"
      actions   = ["s3:GetObject"]
      resources = [local.job_results]
    },
    ], var.checkins_table == null ? [] : [{
      sid       = "FindCheckins"
      actions   = ["dynamodb:Query"]
      resources = ["${var.checkins_table.arn}/index/by_user"]
  }], var.deployment.kms_permissions)
}

# --- HTTP ------------------------------------------------------------------------------------------------------------

module "rest_api" {
  source = "../../modules/rest_api"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name         = local.name
  description  = "Analytics on the warehouse"
  open_paths   = ["health", "openapi.json"]
  keys         = var.settings.keys
  throttle     = var.settings.throttle
  key_throttle = var.settings.key_throttle
  key_quota    = var.settings.key_quota
  cors_origins = var.settings.cors_origins
  tracing_mode = var.deployment.tracing_mode

  authorization   = var.settings.authorization
  waf_web_acl_arn = var.settings.waf_web_acl_arn
  access_log = var.settings.access_logs == "off" ? null : {
    retention_days = var.deployment.log_retention_days
    kms_key_arn    = var.deployment.kms_key_arn
    account_role   = var.settings.access_logs == "with_account_role"
  }

  function = {
    name       = module.function.name
    invoke_arn = module.function.invoke_arn
    qualifier  = module.function.qualifier
  }

  # Tables and logins first.
  opened_after = var.migrated
}
