variable "deployment" {
  description = "What was decided for the whole stack and is known before anything is created (infra/stack/core.tf)."
  type = object({
    permissions_boundary_arn = optional(string)

    prefix                 = string
    artifacts_dir          = string
    log_retention_days     = number
    tracing_mode           = string
    release                = object({ versioned = bool, held = map(string) })
    environment            = map(string)
    kms_permissions        = list(object({ sid = string, actions = list(string), resources = list(string) }))
    region                 = string
    point_in_time_recovery = bool
    deletion_protection    = bool
    kms_key_arn            = string
    topic_kms_key_arn      = string
  })
}

variable "core" {
  description = "What the core has created for its branches (infra/stack/core.tf)."
  type = object({
    account       = object({ partition = string, region = string, id = string })
    topic_arn     = string
    event_dlq_arn = string
    datasets = object({
      environment = map(string)
      permission  = object({ sid = string, actions = list(string), resources = list(string) })
    })
    buckets = object({
      artifacts = object({ name = string, arn = string })
    })
    layers = object({ base = string })
  })
}

variable "settings" {
  description = "Settings of the branch; infra/stack/branch_api.tf describes them, checks them and has their defaults."
  type = object({
    memory_mb                 = number
    reserved_concurrency      = number
    statement_timeout_seconds = number
    cache_ttl_seconds         = number
    job_timeout_seconds       = number
    job_keep_days             = number
    schedules = map(object({
      expression = string
      operation  = string
      parameters = map(string)
    }))
    keys         = set(string)
    throttle     = object({ rate = number, burst = number })
    key_throttle = object({ rate = number, burst = number })
    key_quota    = object({ limit = number, period = string })
    cors_origins = list(string)

    authorization   = object({ type = string, user_pool_arns = list(string) })
    access_logs     = string
    waf_web_acl_arn = string
  })
}

variable "warehouse" {
  description = "What the warehouse offers to a branch that reads it: network, login, layer, and where endpoints of further services go."
  type = object({
    network = object({
      subnet_ids         = list(string)
      security_group_ids = list(string)
    })
    secret_arn = string
    layer      = string
    endpoints = object({
      name               = string
      vpc_id             = string
      subnet_ids         = list(string)
      security_group_ids = list(string)
    })
  })
}

variable "migrated" {
  description = "Known once the warehouse's tables and logins exist; what answers requests is created after that."
  type        = string
}

variable "checkins_table" {
  description = "Table with the check-ins, whose users the API finds; null where there are none."
  type = object({
    name = string
    arn  = string
  })
  default = null
}
