variable "deployment" {
  description = "What was decided for the whole stack and is known before anything is created (infra/stack/core.tf)."
  type = object({
    permissions_boundary_arn = optional(string)

    prefix             = string
    artifacts_dir      = string
    log_retention_days = number
    tracing_mode       = string
    release            = object({ versioned = bool, held = map(string) })
    environment        = map(string)
    kms_permissions    = list(object({ sid = string, actions = list(string), resources = list(string) }))
    topic_kms_key_arn  = string
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
      bronze    = object({ name = string, arn = string })
    })
    objects = object({ bronze = string })
    tables  = object({ ledger = object({ name = string, arn = string }) })
    layers  = object({ base = string })
  })
}

variable "settings" {
  description = "Settings of the branch; infra/stack/branch_replay.tf describes them, checks them and has their defaults."
  type = object({
    memory_mb        = number
    timeout_seconds  = number
    max_concurrency  = number
    batch_objects    = number
    deadline_seconds = number
    schedule = object({
      expression = string
      request    = map(string)
    })
  })
}

variable "chunk_queue" {
  description = "Queue of chunks, which a replay sends to. Not part of core: it takes a minute to create, and other branches do not wait for it."
  type = object({
    arn = string
    url = string
  })
}
