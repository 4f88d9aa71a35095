locals {
  chunk_queue_name  = "${local.prefix}-chunks"
  ingest_queue_name = "${local.prefix}-ingest"

  # AWS asks for at least six times the function's timeout plus the batching window, so that a throttled batch can be
  # tried again before its messages show up for others:
  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  least_visibility_seconds = 6 * var.transform_timeout_seconds + var.transform_batching_window_seconds
}

module "notifications" {
  source = "../modules/topic"

  name        = "${local.prefix}-notifications"
  email       = local.notices_gathered ? null : var.notification_email
  kms_key_arn = var.topic_kms_key_arn
}

module "event_bus" {
  source = "../modules/event_bus"

  name         = "${local.prefix}-events"
  archive_days = var.event_archive_days
}

module "chunk_queue" {
  source = "../modules/queue"

  existing                   = var.existing_chunk_queue
  name                       = local.chunk_queue_name
  account                    = module.notifications.account
  visibility_timeout_seconds = coalesce(var.chunk_visibility_seconds, local.least_visibility_seconds)
  retention_days             = var.chunk_retention_days
  dead_letter = {
    arn               = module.chunk_dlq.arn
    max_receive_count = var.max_receive_count
  }
}

# Stored for as long as SQS allows: a dead-letter message's age counts from when it was first sent.
module "chunk_dlq" {
  source = "../modules/queue"

  existing           = var.existing_chunk_dlq
  name               = "${local.chunk_queue_name}-dlq"
  account            = module.notifications.account
  dead_letter_source = local.chunk_queue_name
}

# Events that EventBridge could not deliver to a target of one of this stack's rules on the default bus. Those for a
# branch's queue go to that queue's own dead-letter queue.
module "event_dlq" {
  source = "../modules/queue"

  name    = "${local.prefix}-events-dlq"
  account = module.notifications.account
  event_rule_arn = join(":", [
    "arn", module.notifications.account.partition, "events", module.notifications.account.region,
    module.notifications.account.id, "rule/${local.prefix}-*",
  ])
}

# S3 announces new objects here: a burst of uploads waits, and ingest takes as much as its concurrency allows.
module "ingest_queue" {
  source = "../modules/queue"

  name                       = local.ingest_queue_name
  account                    = module.notifications.account
  visibility_timeout_seconds = 6 * var.ingest_timeout_seconds
  retention_days             = var.chunk_retention_days
  bucket_arn                 = module.bucket["bronze"].arn
  dead_letter = {
    arn               = module.ingest_dlq.arn
    max_receive_count = var.max_receive_count
  }
}

# Notifications that ingest could not process: SQS moves them here after the last receive, or ingest itself sends its record
# of them. Lambda sends those that it was given before there was a queue.
module "ingest_dlq" {
  source = "../modules/queue"

  name               = "${local.ingest_queue_name}-dlq"
  account            = module.notifications.account
  dead_letter_source = local.ingest_queue_name
}
