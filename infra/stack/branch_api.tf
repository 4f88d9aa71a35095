# Analytics API (api_enabled; needs the warehouse): infra/branches/api.

module "api" {
  source = "../branches/api"
  count  = var.api_enabled ? 1 : 0

  deployment = local.deployment
  core       = local.core
  warehouse  = module.warehouse[0].reader
  migrated   = module.warehouse[0].migrated

  checkins_table = var.checkin_enabled ? module.checkins[0].table : null

  settings = {
    memory_mb                 = var.api_memory_mb
    reserved_concurrency      = var.api_reserved_concurrency
    statement_timeout_seconds = var.api_statement_timeout_seconds
    cache_ttl_seconds         = var.api_cache_ttl_seconds
    job_timeout_seconds       = var.api_job_timeout_seconds
    job_keep_days             = var.api_job_keep_days
    schedules                 = var.api_schedules
    keys                      = var.api_keys
    throttle                  = var.api_throttle
    key_throttle              = var.api_key_throttle
    key_quota                 = var.api_key_quota
    cors_origins              = var.api_cors_origins
    authorization             = var.api_authorization
    access_logs               = var.api_access_logs
    waf_web_acl_arn           = var.api_waf_web_acl_arn
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

variable "api_memory_mb" {
  description = "Memory of the API's function in MB; processors come with it."
  type        = number
  default     = 1024

  validation {
    condition     = var.api_memory_mb >= 256 && var.api_memory_mb <= 10240
    error_message = "api_memory_mb must be between 256 and 10240."
  }
}

variable "api_reserved_concurrency" {
  description = <<-EOT
    Concurrent executions kept for the API's function, which is also its limit; null for none. Each holds a connection
    to the database. The account's unreserved concurrency must stay at 100 or more, which a new account's quota of 10
    does not allow: https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
  EOT
  type        = number
  default     = null

  validation {
    condition = var.api_reserved_concurrency == null ? true : (
      var.api_reserved_concurrency >= 1 && floor(var.api_reserved_concurrency) == var.api_reserved_concurrency
    )
    error_message = "api_reserved_concurrency must be a whole number of at least 1, or null for no limit."
  }

  validation {
    # Above its concurrency Lambda refuses, and API Gateway answers 5xx; below it API Gateway itself answers 429. A warm
    # environment takes ten requests a second: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
    condition = var.api_reserved_concurrency == null ? true : (
      var.api_throttle.burst <= var.api_reserved_concurrency && var.api_throttle.rate <= 10 * var.api_reserved_concurrency
    )
    error_message = "api_throttle must fit api_reserved_concurrency: a burst of at most that many requests, a rate of at most ten times as many a second."
  }

  validation {
    # 189 connections for a capacity unit, 2,000 at most where the least capacity is below 1, else 5,000. Ten are left to
    # migrations, jobs and people:
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
    condition = !var.api_enabled || var.api_reserved_concurrency == null ? true : (
      var.api_reserved_concurrency + var.load_maximum_concurrency + 10
      <= min(floor(189 * var.warehouse_max_capacity), var.warehouse_min_capacity < 1 ? 2000 : 5000)
    )
    error_message = "api_reserved_concurrency and load_maximum_concurrency, with 10 to spare, must be at most the connections of the warehouse: 189 for each unit of warehouse_max_capacity (2,000 at most where warehouse_min_capacity is below 1, else 5,000)."
  }
}

variable "api_statement_timeout_seconds" {
  description = "Seconds that one statement of a request may take."
  type        = number
  default     = 15

  validation {
    # The function and API Gateway time out at 29.
    condition     = var.api_statement_timeout_seconds >= 1 && var.api_statement_timeout_seconds <= 20
    error_message = "api_statement_timeout_seconds must be between 1 and 20."
  }
}

variable "api_cache_ttl_seconds" {
  description = "Seconds for which an answer is cached while no load changes the data; 0 caches none."
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
    error_message = "api_job_timeout_seconds must be between 5 and 900."
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
    Questions that are asked on a schedule, as jobs, by name; none by default: { daily = { expression =
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
    error_message = "api_schedules: names have 1 to 20 lower-case letters, digits and hyphens, expressions are rate(...) or cron(...)."
  }
}

variable "api_keys" {
  description = "Names of the API's keys, one for each client. API Gateway makes the values."
  type        = set(string)
  default     = ["default"]

  validation {
    condition     = alltrue([for name in var.api_keys : can(regex("^[a-z0-9-]{1,40}$", name))])
    error_message = "api_keys must be names of 1 to 40 lower-case letters, digits and hyphens."
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

variable "api_authorization" {
  description = <<-EOT
    What a request needs beside its key: NONE; AWS_IAM, a signature of an identity that may execute-api:Invoke; or
    COGNITO_USER_POOLS, a token of one of user_pool_arns in the header Authorization.
  EOT
  type        = object({ type = string, user_pool_arns = optional(list(string), []) })
  default     = { type = "NONE" }

  validation {
    condition     = contains(["NONE", "AWS_IAM", "COGNITO_USER_POOLS"], var.api_authorization.type)
    error_message = "api_authorization: type is NONE, AWS_IAM or COGNITO_USER_POOLS."
  }

  validation {
    condition     = (var.api_authorization.type == "COGNITO_USER_POOLS") == (length(var.api_authorization.user_pool_arns) > 0)
    error_message = "api_authorization: user_pool_arns go with COGNITO_USER_POOLS, and with nothing else."
  }
}

variable "api_access_logs" {
  description = <<-EOT
    A line in CloudWatch Logs for each request of the API: off, on, or with_account_role, which also makes the role that
    API Gateway needs once for an account and region. A region that has the role needs no more than "on".
  EOT
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "on", "with_account_role"], var.api_access_logs)
    error_message = "api_access_logs is off, on or with_account_role."
  }
}

variable "api_waf_web_acl_arn" {
  description = "ARN of a regional AWS WAF web ACL that looks at the API's requests first; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.api_waf_web_acl_arn == null ? true : can(regex("^arn:[^:]+:wafv2:[^:]+:[0-9]{12}:regional/webacl/", var.api_waf_web_acl_arn))
    error_message = "api_waf_web_acl_arn is the ARN of a regional web ACL (arn:aws:wafv2:<region>:<account>:regional/webacl/...)."
  }
}

output "api_function" {
  description = "Name of the function behind the API; null when api_enabled is off."
  value       = one(module.api[*].branch.functions.api.name)
}

output "api_id" {
  description = "Id of the REST API; null when api_enabled is off."
  value       = one(module.api[*].branch.outputs.api_id)
}

output "api_stage" {
  description = "Stage of the REST API; null when api_enabled is off."
  value       = one(module.api[*].branch.outputs.api_stage)
}

output "api_key_ids" {
  description = "Ids of the API's keys, by name; null when api_enabled is off."
  value       = one(module.api[*].branch.outputs.api_key_ids)
}

output "analytics_worker_function" {
  description = "Name of the function that runs analytics jobs; null when api_enabled is off."
  value       = one(module.api[*].branch.functions.analytics-worker.name)
}

output "analytics_state_machine_arn" {
  description = "Workflow that runs analytics jobs; null when api_enabled is off."
  value       = one(module.api[*].branch.workflows.analytics.arn)
}

output "analytics_table" {
  description = "Table with cached answers and jobs; null when api_enabled is off."
  value       = one(module.api[*].branch.tables.analytics)
}
