# What the core hands to every branch, and what others may know of it. A branch's module declares the attributes it uses.

locals {
  # What was decided for the whole stack, known before anything is created. Apart from `core`, so that what needs only this
  # (the warehouse's network and database, which take longest) does not wait for the core's buckets and layers.
  deployment = {
    prefix                 = local.prefix
    region                 = local.region
    artifacts_dir          = var.artifacts_dir
    log_retention_days     = var.log_retention_days
    tracing_mode           = var.tracing_mode
    release                = local.release
    max_receive_count      = var.max_receive_count
    message_retention_days = var.chunk_retention_days
    point_in_time_recovery = var.point_in_time_recovery
    deletion_protection    = var.deletion_protection
    force_destroy          = var.force_destroy
    kms_key_arn            = var.kms_key_arn
    topic_kms_key_arn      = var.topic_kms_key_arn
    kms_permissions        = local.kms_permissions

    permissions_boundary_arn = var.permissions_boundary_arn

    environment = {
      POWERTOOLS_METRICS_NAMESPACE = local.prefix
      POWERTOOLS_LOG_LEVEL         = var.log_level
      LEDGER_SHARDS                = tostring(var.ledger_shards)
    }
  }

  # What the core has created. Attributes, not whole modules (triggers.tf says why), and without the chunk queue: that takes
  # a minute to create, and only replay needs it.
  core = {
    account   = module.notifications.account
    topic_arn = module.notifications.arn
    # For alarms about what mails the notices; null where mails come from the topic of notices.
    mail_topic_arn = local.notices_gathered ? module.mail[0].arn : null

    bus_name = module.event_bus.name
    bus_arn  = module.event_bus.arn

    event_dlq_arn = module.event_dlq.arn

    # Each by its own name: an index that Terraform cannot read before it runs makes everything wait for all that the
    # modules hold, also for the lifecycle settings, which the provider watches for a minute.
    buckets = merge({
      bronze     = { name = module.bucket["bronze"].name, arn = module.bucket["bronze"].arn }
      silver     = { name = module.bucket["silver"].name, arn = module.bucket["silver"].arn }
      quarantine = { name = module.bucket["quarantine"].name, arn = module.bucket["quarantine"].arn }
      artifacts  = { name = module.bucket["artifacts"].name, arn = module.bucket["artifacts"].arn }
      }, var.quality_gate_enabled ? {
      staging = { name = module.bucket["staging"].name, arn = module.bucket["staging"].arn }
    } : {})

    # ARNs of the pipeline's objects in them, for permissions.
    objects = {
      bronze     = local.bronze_objects
      silver     = local.silver_objects
      quarantine = local.quarantine_objects
      staged     = local.staged_objects
      leftovers  = local.leftover_objects
    }

    tables   = { ledger = { name = module.ledger_table.name, arn = module.ledger_table.arn } }
    datasets = local.datasets

    layers = { base = module.layer["base"].arn, arrow = module.layer["arrow"].arn }
  }

  core_branch = {
    functions = merge({
      ingest    = module.ingest.branch_entry
      transform = module.transform.branch_entry
      settle    = module.settle.branch_entry
      }, local.notices_gathered ? { digest = module.digest[0].branch_entry } : {},
      local.reconciled ? { reconcile = module.reconcile[0].branch_entry } : {},
    )
    queues = merge({
      chunks = {
        name     = module.chunk_queue.name
        url      = module.chunk_queue.url
        dlq_name = module.chunk_dlq.name
        dlq_url  = module.chunk_dlq.url
        label    = "chunk"
      }
      ingest = {
        name     = module.ingest_queue.name
        url      = module.ingest_queue.url
        dlq_name = module.ingest_dlq.name
        dlq_url  = module.ingest_dlq.url
        label    = "ingest"
      }
      # EventBridge itself holds an event until its target takes it.
      events = {
        name     = null
        url      = null
        dlq_name = module.event_dlq.name
        dlq_url  = module.event_dlq.url
        label    = "event"
      }
      }, local.notices_gathered ? {
      digest = {
        name     = module.digest_queue[0].name
        url      = module.digest_queue[0].url
        dlq_name = module.digest_dlq[0].name
        dlq_url  = module.digest_dlq[0].url
        label    = "digest"
      }
    } : {})
    workflows = {}
    tables = {
      idempotency = module.idempotency_table.name
      ledger      = module.ledger_table.name
    }
    notices = ["dead.letter", "object.failed", "object.missing", "object.unannounced", "quarantine.threshold", "schema.drift"]
    outputs = {}
  }
}
