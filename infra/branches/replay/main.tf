# Replay: a workflow (workflow.tf) that reprocesses bronze objects. It copies no bytes: a replay opens a new run of each object
# in the ledger and sends its chunks, which transform writes to the same silver files again.

locals {
  name = "${var.deployment.prefix}-replay"
}

module "function" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.name
  description        = "Steps of the replay workflow: plan, requeue, check, reconcile"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "core/replay"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base]
  memory_mb          = var.settings.memory_mb
  timeout_seconds    = var.settings.timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days

  environment = merge(var.deployment.environment, var.core.datasets.environment, {
    POWERTOOLS_SERVICE_NAME = "replay"
    LEDGER_TABLE            = var.core.tables.ledger.name
    CHUNK_QUEUE_URL         = var.chunk_queue.url
    REPLAY_BUCKET           = var.core.buckets.artifacts.name
    REPLAY_BATCH_OBJECTS    = tostring(var.settings.batch_objects)
    REPLAY_DEADLINE_SECONDS = tostring(var.settings.deadline_seconds)
  })

  permissions = concat([
    var.core.datasets.permission,
    {
      sid       = "ListLedger"
      actions   = ["dynamodb:Query", "dynamodb:Scan"]
      resources = ["${var.core.tables.ledger.arn}/index/received_objects"]
    },
    {
      # Scan: a ledger of an earlier release, until settle has brought all of it into the index.
      sid = "OpenRuns"
      actions = [
        "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem",
        "dynamodb:BatchWriteItem",
      ]
      resources = [var.core.tables.ledger.arn]
    },
    {
      sid       = "SendChunks"
      actions   = ["sqs:SendMessage"]
      resources = [var.chunk_queue.arn]
    },
    {
      # Whether a version still exists; no byte of it is read.
      sid       = "CheckBronzeVersions"
      actions   = ["s3:GetObjectVersion"]
      resources = [var.core.objects.bronze]
    },
    {
      # Without it, S3 answers 403 for a version that is gone:
      # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
      sid       = "DistinguishMissingFromForbidden"
      actions   = ["s3:ListBucket"]
      resources = [var.core.buckets.bronze.arn]
    },
    {
      # Beside the code: the fourth bucket of the stack, private and encrypted like the others, and no data set's own.
      sid       = "StorePlans"
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${var.core.buckets.artifacts.arn}/replays/*"]
    },
  ], var.deployment.kms_permissions)
}
