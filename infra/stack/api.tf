# Analytics API (api_enabled; needs the warehouse): questions to what was loaded, over HTTP, as the database's reader.

locals {
  api_name             = "${local.prefix}-api"
  jobs_name            = "${local.prefix}-analytics"
  job_results          = "${module.bucket["artifacts"].arn}/analytics/*"
  api_layers           = [for layer in ["base", "postgres", "api"] : try(module.layer[layer].arn, "")]
  api_job_keep_seconds = var.api_job_keep_days * 86400
}

# Answers that are kept for a while, and jobs (lambdas/api/result_cache.py, analytics_jobs.py).
module "analytics_table" {
  source = "../modules/table"
  count  = var.api_enabled ? 1 : 0

  name                   = local.jobs_name
  hash_key               = "pk"
  range_key              = "sk"
  indexes                = { by_created = { hash_key = "kind", range_key = "created_key" } }
  ttl_attribute          = "expires_at"
  point_in_time_recovery = var.point_in_time_recovery
  deletion_protection    = var.deletion_protection
  kms_key_arn            = var.kms_key_arn
}

module "api_function" {
  source = "../modules/function"
  count  = var.api_enabled ? 1 : 0

  name               = local.api_name
  description        = "Answers the analytics API"
  artifacts_bucket   = module.bucket["artifacts"].name
  zip_path           = "${var.artifacts_dir}/api.zip"
  layers             = local.api_layers
  memory_mb          = var.api_memory_mb
  timeout_seconds    = 29 # what API Gateway waits
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days
  network            = module.database[0].function_network

  environment = {
    POWERTOOLS_SERVICE_NAME      = "api"
    POWERTOOLS_METRICS_NAMESPACE = local.prefix
    POWERTOOLS_LOG_LEVEL         = var.log_level
    DATABASE_SECRET_ARN          = module.database[0].role_secret_arns["reader"]
    ANALYTICS_TABLE              = module.analytics_table[0].name
    CACHE_TTL_SECONDS            = tostring(var.api_cache_ttl_seconds)
    STATEMENT_TIMEOUT_SECONDS    = tostring(var.api_statement_timeout_seconds)
    CHECKINS_TABLE               = var.checkin_enabled ? module.checkins_table[0].name : ""
    CORS_ORIGINS                 = join(",", var.api_cors_origins)
    JOBS_STATE_MACHINE_ARN       = module.analytics_jobs[0].arn
    JOB_KEEP_SECONDS             = tostring(local.api_job_keep_seconds)
    RESULTS_BUCKET               = module.bucket["artifacts"].name
  }

  permissions = concat([
    {
      sid       = "LogIn"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [module.database[0].role_secret_arns["reader"]]
    },
    {
      # A transaction is allowed by the actions of the writes in it.
      sid       = "KeepAnswersAndNoteJobs"
      actions   = ["dynamodb:GetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem"]
      resources = [module.analytics_table[0].arn]
    },
    {
      sid       = "ListJobs"
      actions   = ["dynamodb:Query"]
      resources = ["${module.analytics_table[0].arn}/index/by_created"]
    },
    {
      sid       = "StartJobs"
      actions   = ["states:StartExecution"]
      resources = [module.analytics_jobs[0].arn]
    },
    {
      # A URL that is given out opens what the role may read.
      sid       = "GiveResults"
      actions   = ["s3:GetObject"]
      resources = [local.job_results]
    },
    ], var.checkin_enabled ? [{
      sid       = "FindCheckins"
      actions   = ["dynamodb:Query"]
      resources = ["${module.checkins_table[0].arn}/index/by_user"]
  }] : [], local.kms_permissions)
}

# --- jobs ------------------------------------------------------------------------------------------------------------

module "analytics_worker" {
  source = "../modules/function"
  count  = var.api_enabled ? 1 : 0

  name               = "${local.jobs_name}-worker"
  description        = "Runs the questions of analytics jobs"
  artifacts_bucket   = module.bucket["artifacts"].name
  zip_path           = "${var.artifacts_dir}/api.zip"
  handler            = "worker.handler"
  layers             = local.api_layers
  memory_mb          = var.api_memory_mb
  timeout_seconds    = var.api_job_timeout_seconds
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days
  network            = module.database[0].function_network

  environment = {
    POWERTOOLS_SERVICE_NAME      = "analytics-worker"
    POWERTOOLS_METRICS_NAMESPACE = local.prefix
    POWERTOOLS_LOG_LEVEL         = var.log_level
    DATABASE_SECRET_ARN          = module.database[0].role_secret_arns["reader"]
    ANALYTICS_TABLE              = module.analytics_table[0].name
    RESULTS_BUCKET               = module.bucket["artifacts"].name
    JOB_KEEP_SECONDS             = tostring(local.api_job_keep_seconds)
    # In time for the function to say so.
    STATEMENT_TIMEOUT_SECONDS = tostring(floor(var.api_job_timeout_seconds * 0.8))
  }

  permissions = concat([
    {
      sid       = "LogIn"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [module.database[0].role_secret_arns["reader"]]
    },
    {
      # A transaction is allowed by the actions of the writes in it.
      sid       = "NoteJobs"
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      resources = [module.analytics_table[0].arn]
    },
    {
      sid       = "KeepResults"
      actions   = ["s3:PutObject"]
      resources = [local.job_results]
    },
  ], local.kms_permissions)
}

module "analytics_jobs" {
  source = "../modules/analytics_jobs"
  count  = var.api_enabled ? 1 : 0

  name                     = local.jobs_name
  account_id               = module.notifications.account.id
  function_arn             = module.analytics_worker[0].arn
  function_name            = module.analytics_worker[0].name
  function_timeout_seconds = var.api_job_timeout_seconds
  table_name               = module.analytics_table[0].name
  table_arn                = module.analytics_table[0].arn
  topic_arn                = module.notifications.arn
  kms_key_arns             = distinct(compact([var.kms_key_arn, var.topic_kms_key_arn]))
  log_retention_days       = var.log_retention_days
  tracing_mode             = var.tracing_mode
  schedules                = var.api_schedules

  # Tables and logins first.
  depends_on = [aws_lambda_invocation.migrate]
}

# --- HTTP ------------------------------------------------------------------------------------------------------------

module "api" {
  source = "../modules/api"
  count  = var.api_enabled ? 1 : 0

  name         = local.api_name
  description  = "Analytics on the warehouse"
  open_paths   = ["health", "openapi.json"]
  keys         = var.api_keys
  throttle     = var.api_throttle
  key_throttle = var.api_key_throttle
  key_quota    = var.api_key_quota
  cors_origins = var.api_cors_origins
  tracing_mode = var.tracing_mode

  function = {
    name       = module.api_function[0].name
    invoke_arn = module.api_function[0].invoke_arn
  }

  # Tables and logins first.
  depends_on = [aws_lambda_invocation.migrate]
}

output "api_function" {
  description = "Name of the function behind the API; null when api_enabled is off."
  value       = one(module.api_function[*].name)
}

output "api_id" {
  description = "Id of the REST API; null when api_enabled is off."
  value       = one(module.api[*].id)
}

output "api_stage" {
  description = "Stage of the REST API; null when api_enabled is off."
  value       = one(module.api[*].stage)
}

output "api_key_ids" {
  description = "Ids of the API's keys, by name; null when api_enabled is off."
  value       = one(module.api[*].key_ids)
}

output "analytics_worker_function" {
  description = "Name of the function that runs analytics jobs; null when api_enabled is off."
  value       = one(module.analytics_worker[*].name)
}

output "analytics_state_machine_arn" {
  description = "Workflow that runs analytics jobs; null when api_enabled is off."
  value       = one(module.analytics_jobs[*].arn)
}

output "analytics_table" {
  description = "Table with kept answers and jobs; null when api_enabled is off."
  value       = one(module.analytics_table[*].name)
}

variable "api_memory_mb" {
  description = "Memory of the API's function in MB; processors come with it."
  type        = number
  default     = 1024

  validation {
    condition     = var.api_memory_mb >= 256 && var.api_memory_mb <= 10240
    error_message = "api_memory_mb must lie between 256 and 10240."
  }
}

variable "api_statement_timeout_seconds" {
  description = "Seconds that one statement of a request may take."
  type        = number
  default     = 15

  validation {
    # The function, and API Gateway, give up at 29.
    condition     = var.api_statement_timeout_seconds >= 1 && var.api_statement_timeout_seconds <= 20
    error_message = "api_statement_timeout_seconds must lie between 1 and 20."
  }
}

variable "api_cache_ttl_seconds" {
  description = "Seconds for which an answer is kept while no load changes the data; 0 keeps none."
  type        = number
  default     = 300

  validation {
    condition     = var.api_cache_ttl_seconds >= 0 && floor(var.api_cache_ttl_seconds) == var.api_cache_ttl_seconds
    error_message = "api_cache_ttl_seconds must be a whole number of at least 0."
  }
}

variable "api_job_timeout_seconds" {
  description = "Seconds that a job may take; its statement gets four fifths of them."
  type        = number
  default     = 600

  validation {
    condition     = var.api_job_timeout_seconds >= 5 && var.api_job_timeout_seconds <= 900
    error_message = "api_job_timeout_seconds must lie between 5 and 900."
  }
}

variable "api_job_keep_days" {
  description = "Days for which jobs and their results are kept."
  type        = number
  default     = 30

  validation {
    condition     = var.api_job_keep_days >= 1 && floor(var.api_job_keep_days) == var.api_job_keep_days
    error_message = "api_job_keep_days must be a whole number of days, at least 1."
  }
}

variable "api_schedules" {
  description = <<-EOT
    Questions that are asked by themselves, as jobs, by name; none by default: { daily = { expression =
    "cron(0 5 * * ? *)", operation = "revenue_analysis", parameters = { group_by = "date", since = "7d" } } }.
  EOT
  type = map(object({
    expression = string
    operation  = string
    parameters = optional(map(string), {})
  }))
  default = {}

  validation {
    condition = alltrue([
      for name, schedule in var.api_schedules :
      can(regex("^[a-z0-9-]{1,20}$", name)) && can(regex("^(rate|cron)\\(.+\\)$", schedule.expression))
    ])
    error_message = "api_schedules: names have 1 to 20 small letters, digits and hyphens, expressions are rate(...) or cron(...)."
  }
}

variable "api_keys" {
  description = "Names of the API's keys, one for each client. API Gateway makes the values."
  type        = set(string)
  default     = ["default"]

  validation {
    condition     = alltrue([for name in var.api_keys : can(regex("^[a-z0-9-]{1,40}$", name))])
    error_message = "api_keys must be names of 1 to 40 small letters, digits and hyphens."
  }
}

variable "api_throttle" {
  description = "Requests a second, and at once, of all callers together."
  type        = object({ rate = number, burst = number })
  default     = { rate = 200, burst = 400 }

  validation {
    condition     = var.api_throttle.rate > 0 && var.api_throttle.burst >= 1
    error_message = "api_throttle must allow requests."
  }
}

variable "api_key_throttle" {
  description = "Requests a second, and at once, of one key."
  type        = object({ rate = number, burst = number })
  default     = { rate = 50, burst = 100 }

  validation {
    condition     = var.api_key_throttle.rate > 0 && var.api_key_throttle.burst >= 1
    error_message = "api_key_throttle must allow requests."
  }
}

variable "api_key_quota" {
  description = "Requests of one key in a DAY, WEEK or MONTH; null for no limit."
  type        = object({ limit = number, period = string })
  default     = null

  validation {
    condition     = var.api_key_quota == null ? true : var.api_key_quota.limit >= 1 && contains(["DAY", "WEEK", "MONTH"], var.api_key_quota.period)
    error_message = "api_key_quota must have a limit of at least 1 and the period DAY, WEEK or MONTH."
  }
}

variable "api_cors_origins" {
  description = "Origins whose pages may call the API, such as https://app.example; [\"*\"] for any, none for no page."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.api_cors_origins : origin == "*" || can(regex("^https?://[A-Za-z0-9.:-]+$", origin))])
    error_message = "api_cors_origins must be origins such as https://app.example, or *."
  }
}
