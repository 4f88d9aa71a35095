variable "deployment" {
  description = "What was decided for the whole stack and is known before anything is created (infra/stack/core.tf)."
  type = object({
    permissions_boundary_arn = optional(string)

    prefix                 = string
    region                 = string
    artifacts_dir          = string
    log_retention_days     = number
    tracing_mode           = string
    release                = object({ versioned = bool, held = map(string) })
    environment            = map(string)
    kms_permissions        = list(object({ sid = string, actions = list(string), resources = list(string) }))
    point_in_time_recovery = bool
    deletion_protection    = bool
    force_destroy          = bool
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
    buckets       = object({ artifacts = object({ name = string, arn = string }) })
    layers        = object({ base = string })
  })
}

variable "settings" {
  description = "Settings of the branch; infra/stack/branch_taxi.tf describes them, checks them and has their defaults."
  type = object({
    bucket_name               = string
    source_url                = string
    schedule                  = string
    time_zone                 = string
    retry_hours               = number
    retry_days                = number
    availability_zones        = list(string)
    cidr_block                = string
    base_capacity             = number
    max_capacity              = number
    clean_keep_days           = number
    noncurrent_version_days   = number
    abort_multipart_days      = number
    start_timeout_seconds     = number
    steps_timeout_seconds     = number
    ingest_timeout_minutes    = number
    transform_timeout_minutes = number
    load_timeout_minutes      = number
    queue_minutes             = number
    timeout_minutes           = number
    transform_workers         = number
    max_concurrency           = number
    retry_seconds             = number
  })
}
