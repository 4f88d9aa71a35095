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
    kms_key_arn        = string
  })
}

variable "core" {
  description = "What the core has created for its branches (infra/stack/core.tf)."
  type = object({
    account        = object({ partition = string, region = string, id = string })
    topic_arn      = string
    mail_topic_arn = optional(string)
    event_dlq_arn  = string
    buckets = object({
      artifacts = object({ name = string, arn = string })
    })
    tables = object({ ledger = object({ name = string, arn = string }) })
    layers = object({ base = string })
  })
}

variable "branches" {
  description = "The output `branch` of the core and of every branch that is on, by branch."
  type = map(object({
    functions = map(object({ name = string, alarms = bool }))
    queues    = map(object({ name = string, dlq_name = string, label = string }))
    workflows = map(object({ arn = string, alarms = bool }))
    tables    = map(string)
    outputs = object({
      databases = optional(map(object({ cluster_id = string, max_connections = number })), {})
      apis      = optional(map(object({ name = string, stage = string })), {})
    })
  }))
}

variable "chunk_queue_name" {
  description = "Name of the queue of chunks, whose oldest message has an alarm."
  type        = string
}

variable "alarms" {
  description = <<-EOT
    When the alarms fire; what is left out has the value of infra/modules/alarms. Periods are in seconds,
    10, 30 or a multiple of 60 as CloudWatch wants it; AWS's own metrics come by the minute.
  EOT
  type = object({
    evaluation_periods           = optional(number)
    function_errors              = optional(number)
    function_period_seconds      = optional(number)
    throttles                    = optional(number)
    oldest_chunk_seconds         = optional(number)
    queue_period_seconds         = optional(number)
    dead_letters                 = optional(number)
    quarantine_percent           = optional(number)
    quarantine_min_rows          = optional(number)
    quarantine_period_seconds    = optional(number)
    unfinished_seconds           = optional(number)
    unfinished_period_seconds    = optional(number)
    workflow_failures            = optional(number)
    workflow_period_seconds      = optional(number)
    oldest_message_seconds       = optional(number)
    table_throttles              = optional(number)
    table_period_seconds         = optional(number)
    database_capacity_percent    = optional(number)
    database_connections_percent = optional(number)
    database_period_seconds      = optional(number)
    api_5xx                      = optional(number)
    api_latency_milliseconds     = optional(number)
    api_period_seconds           = optional(number)
    api_latency_period_seconds   = optional(number)
  })
  default = {}
}
