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
    max_receive_count      = number
    message_retention_days = number
    point_in_time_recovery = bool
    deletion_protection    = bool
    kms_key_arn            = string
  })
}

variable "core" {
  description = "What the core has created for its branches (infra/stack/core.tf)."
  type = object({
    account   = object({ partition = string, region = string, id = string })
    topic_arn = string
    bus_name  = string
    datasets = object({
      environment = map(string)
      permission  = object({ sid = string, actions = list(string), resources = list(string) })
    })
    buckets = object({
      artifacts = object({ name = string, arn = string })
      silver    = object({ name = string, arn = string })
    })
    objects = object({ silver = string })
    tables  = object({ ledger = object({ name = string, arn = string }) })
    layers  = object({ base = string, arrow = string })
  })
}

variable "settings" {
  description = "Settings of the branch; infra/stack/branch_feedback.tf describes them, checks them and has their defaults."
  type = object({
    timeout_seconds     = number
    memory_mb           = number
    maximum_concurrency = number
    alert_quiet_seconds = number
  })
}
