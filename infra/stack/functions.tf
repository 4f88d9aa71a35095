locals {
  bronze_objects     = "${module.bucket["bronze"].arn}/bronze/*"
  silver_objects     = "${module.bucket["silver"].arn}/silver/*"
  quarantine_objects = "${module.bucket["quarantine"].arn}/quarantine/*"
  staged_objects     = var.quality_gate_enabled ? "${module.bucket["staging"].arn}/staged/*" : null
  leftover_objects   = var.quality_gate_enabled ? "${module.bucket["staging"].arn}/leftovers/*" : null

  release = { versioned = var.versioned_functions, held = var.held_versions }

  common_environment = merge(local.deployment.environment, local.datasets.environment, {
    LEDGER_TABLE             = module.ledger_table.name
    CHUNK_QUEUE_URL          = module.chunk_queue.url
    NOTIFICATIONS_TOPIC_ARN  = module.notifications.arn
    SINGLE_CHUNK_LIMIT_BYTES = tostring(var.single_chunk_limit_bytes)
  })

  # Reading and writing what a customer-managed key protects; S3 and DynamoDB call KMS as the function's role.
  kms_permissions = concat(
    var.kms_key_arn == null ? [] : [{
      sid       = "UseDataKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.kms_key_arn]
    }],
    local.topic_key_permissions,
  )
  topic_key_permissions = var.topic_kms_key_arn == null ? [] : [{
    sid       = "UseTopicKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.topic_kms_key_arn]
  }]

  shared_permissions = concat([
    {
      # Always the version that the event named, so s3:GetObject is not needed.
      sid       = "ReadBronze"
      actions   = ["s3:GetObjectVersion"]
      resources = [local.bronze_objects]
    },
    {
      # Without it S3 answers 403 instead of 404 for what is gone, and a missing object would look like a
      # missing permission: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
      sid       = "DistinguishMissingFromForbidden"
      actions   = ["s3:ListBucket"]
      resources = [module.bucket["bronze"].arn]
    },
    {
      sid       = "SendNotices"
      actions   = ["sns:Publish"]
      resources = [module.notifications.arn]
    },
  ], local.kms_permissions)
}

# A layer that only one branch needs is that branch's own.
module "layer" {
  source = "../modules/layer"
  for_each = {
    base  = "Powertools for AWS Lambda"
    arrow = "Apache Arrow"
  }

  name             = "${local.prefix}-${each.key}"
  description      = each.value
  artifacts_bucket = module.bucket["artifacts"].name
  zip_path         = "${var.artifacts_dir}/layer-${each.key}.zip"
}

module "ingest" {
  source = "../modules/function"

  permissions_boundary_arn = var.permissions_boundary_arn

  name                 = "${local.prefix}-ingest"
  description          = "Plans a new bronze object: ledger entry and one message per chunk"
  artifacts_bucket     = module.bucket["artifacts"].name
  code                 = "core/ingest"
  artifacts_dir        = var.artifacts_dir
  release              = local.release
  layers               = [module.layer["base"].arn]
  memory_mb            = var.ingest_memory_mb
  timeout_seconds      = var.ingest_timeout_seconds
  ephemeral_storage_mb = var.ingest_ephemeral_storage_mb
  reserved_concurrency = var.ingest_reserved_concurrency
  tracing_mode         = var.tracing_mode
  log_retention_days   = var.log_retention_days

  environment = merge(local.common_environment, {
    POWERTOOLS_SERVICE_NAME = "ingest"
    IDEMPOTENCY_TABLE       = module.idempotency_table.name
    IDEMPOTENCY_TTL_SECONDS = tostring(var.idempotency_ttl_days * 86400)
    INGEST_QUEUE_URL        = module.ingest_queue.url
    INGEST_DLQ_URL          = module.ingest_dlq.url
    MAX_RECEIVES            = tostring(var.max_receive_count)
    TIMEOUT_SECONDS         = tostring(var.ingest_timeout_seconds)
    CHUNK_BYTES             = tostring(var.chunk_bytes)
    PASSED_OVER_KEYS        = jsonencode(var.passed_over_keys)
  })

  permissions = concat(local.shared_permissions, [
    local.datasets.permission,
    {
      sid       = "LockEvents"
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
      resources = [module.idempotency_table.arn]
    },
    {
      # A transaction is allowed by the actions of the writes in it.
      sid       = "WritePlan"
      actions   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:BatchWriteItem"]
      resources = [module.ledger_table.arn]
    },
    {
      sid       = "SendChunks"
      actions   = ["sqs:SendMessage"]
      resources = [module.chunk_queue.arn]
    },
    {
      # An object that cannot be read through in the function's time is gone on with in another invocation.
      sid       = "GoOn"
      actions   = ["sqs:SendMessage"]
      resources = [module.ingest_queue.arn]
    },
  ])

  # Of the invocations that Lambda was given before there was a queue, and holds for hours.
  on_failure = {
    queue_arn = module.ingest_dlq.arn
  }
}

module "transform" {
  source = "../modules/function"

  permissions_boundary_arn = var.permissions_boundary_arn

  name                 = "${local.prefix}-transform"
  description          = "Turns chunks of bronze objects into silver Parquet and quarantined rows"
  artifacts_bucket     = module.bucket["artifacts"].name
  code                 = "core/transform"
  artifacts_dir        = var.artifacts_dir
  release              = local.release
  layers               = [module.layer["base"].arn, module.layer["arrow"].arn]
  memory_mb            = var.transform_memory_mb
  timeout_seconds      = var.transform_timeout_seconds
  ephemeral_storage_mb = var.transform_ephemeral_storage_mb
  reserved_concurrency = var.transform_reserved_concurrency
  tracing_mode         = var.tracing_mode
  log_retention_days   = var.log_retention_days
  reads_own_log        = true # how the last try of a message ended

  environment = merge(local.common_environment, {
    POWERTOOLS_SERVICE_NAME = "transform"
    SILVER_BUCKET           = module.bucket["silver"].name
    QUARANTINE_BUCKET       = module.bucket["quarantine"].name
    EVENT_BUS_NAME          = module.event_bus.name
    MAX_RECEIVES            = tostring(var.max_receive_count)
    QUARANTINE_NOTICE_RATIO = tostring(var.quarantine_notice_ratio)
  }, var.quality_gate_enabled ? { STAGING_BUCKET = module.bucket["staging"].name } : {})

  permissions = concat(local.shared_permissions, [
    # The version that the run is pinned to; the one in service for messages of earlier releases.
    merge(local.datasets.permission, { actions = ["s3:GetObject", "s3:GetObjectVersion"] }),
    {
      sid       = "WriteSilverAndQuarantine"
      actions   = ["s3:PutObject", "s3:DeleteObject"]
      resources = [local.silver_objects, local.quarantine_objects]
    },
    {
      # A file of a newer run is not replaced: the run stands in its metadata. S3 asks for the same permission when it
      # compares an ETag.
      sid       = "CompareRuns"
      actions   = ["s3:GetObject"]
      resources = [local.silver_objects, local.quarantine_objects]
    },
    {
      sid       = "DistinguishNewFromForbidden"
      actions   = ["s3:ListBucket"]
      resources = [module.bucket["silver"].arn, module.bucket["quarantine"].arn]
    },
    {
      # A transaction is allowed by the actions of the writes in it. Batches write and delete the pages of a chunk that
      # has very many files.
      sid       = "CountRows"
      actions   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:BatchWriteItem"]
      resources = [module.ledger_table.arn]
    },
    {
      # Before the last try of a message the function sends one that finds out whether it survived.
      sid       = "SendLastTries"
      actions   = ["sqs:SendMessage"]
      resources = [module.chunk_queue.arn]
    },
    {
      sid       = "AnnounceCommits"
      actions   = ["events:PutEvents"]
      resources = [module.event_bus.arn]
    },
    ], var.quality_gate_enabled ? [{
      # Files of a dataset with the section `quality` wait there for their audit.
      sid       = "StageFiles"
      actions   = ["s3:PutObject"]
      resources = [local.staged_objects, local.leftover_objects]
  }] : [])
}

# Apart from transform in everything that can be broken there: its code, its layers, its concurrency.
module "settle" {
  source = "../modules/function"

  permissions_boundary_arn = var.permissions_boundary_arn

  name               = "${local.prefix}-settle"
  description        = "Records the failure of chunks whose function could not start"
  artifacts_bucket   = module.bucket["artifacts"].name
  code               = "core/settle"
  artifacts_dir      = var.artifacts_dir
  release            = local.release
  layers             = [module.layer["base"].arn]
  memory_mb          = 256
  timeout_seconds    = 60
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days
  searches_logs_of   = [module.transform.log_group_arn] # how it ended

  environment = merge(local.deployment.environment, {
    POWERTOOLS_SERVICE_NAME = "settle"
    LEDGER_TABLE            = module.ledger_table.name
    NOTIFICATIONS_TOPIC_ARN = module.notifications.arn
    CHUNK_DLQ_URL           = module.chunk_dlq.url
    TRANSFORM_LOG_GROUP     = module.transform.log_group
    MAX_RECEIVES            = tostring(var.max_receive_count)
    }, var.ledger_retention_days == null ? {} : {
    LEDGER_RETENTION_DAYS = tostring(var.ledger_retention_days)
    WAREHOUSE_ENABLED     = tostring(var.warehouse_enabled)
    WAREHOUSE_LEFT_OUT    = jsonencode(var.warehouse_left_out)
  })

  permissions = concat([
    {
      sid       = "FindStalled"
      actions   = ["dynamodb:Query"]
      resources = ["${module.ledger_table.arn}/index/open_objects"]
    },
    {
      # It reads the whole table once, when an earlier release has written it.
      sid       = "RecordFailures"
      actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Scan"]
      resources = [module.ledger_table.arn]
    },
    {
      # The messages stay: they are only looked at, and visible again at once.
      sid       = "LookAtDeadLetterMessages"
      actions   = ["sqs:ReceiveMessage", "sqs:ChangeMessageVisibility"]
      resources = [module.chunk_dlq.arn]
    },
    {
      sid       = "SendNotices"
      actions   = ["sns:Publish"]
      resources = [module.notifications.arn]
    },
    ], var.ledger_retention_days == null ? [] : [
    {
      # Objects that have been finished for long enough, and all that belongs to each.
      sid       = "FindExpired"
      actions   = ["dynamodb:Query"]
      resources = [module.ledger_table.arn, "${module.ledger_table.arn}/index/committed_objects"]
    },
  ], local.kms_permissions)
}
