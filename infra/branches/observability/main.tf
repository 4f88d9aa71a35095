# Observability: a dashboard, alarms that notify the topic, and the function `watch`, which publishes once a minute what no AWS
# service measures: objects that are planned and not finished. What is watched comes from the branches' own outputs.

locals {
  functions = merge({ watch = module.watch.branch_entry }, [for branch in values(var.branches) : branch.functions]...)
  queues    = merge([for branch in values(var.branches) : branch.queues]...)
  workflows = merge([for branch in values(var.branches) : branch.workflows]...)
  tables    = merge([for branch in values(var.branches) : branch.tables]...)
}

module "watch" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = "${var.deployment.prefix}-watch"
  description        = "Publishes how many objects are unfinished and how long the oldest has waited"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "core/watch"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base]
  memory_mb          = 256
  timeout_seconds    = 30
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days

  environment = merge(var.deployment.environment, {
    POWERTOOLS_SERVICE_NAME = "watch"
    LEDGER_TABLE            = var.core.tables.ledger.name
  })

  permissions = concat([
    {
      sid       = "ReadUnfinished"
      actions   = ["dynamodb:Query"]
      resources = ["${var.core.tables.ledger.arn}/index/open_objects"]
    },
    {
      # Over how many shards that index is spread.
      sid       = "ReadShards"
      actions   = ["dynamodb:GetItem"]
      resources = [var.core.tables.ledger.arn]
    },
    ], var.deployment.kms_key_arn == null ? [] : [{
      sid       = "UseDataKey"
      actions   = ["kms:Decrypt"]
      resources = [var.deployment.kms_key_arn]
  }])
}

module "alarms" {
  source = "../../modules/alarms"

  name           = var.deployment.prefix
  region         = var.core.account.region
  namespace      = var.deployment.prefix
  topic_arn      = var.core.topic_arn
  mail_topic_arn = var.core.mail_topic_arn
  functions      = { for key, function in local.functions : key => function.name if function.alarms }
  workflows      = { for key, workflow in local.workflows : key => workflow.arn if workflow.alarms }
  alarms         = var.alarms

  watch = {
    name      = module.watch.name
    arn       = module.watch.arn
    qualifier = module.watch.qualifier
  }

  chunk_queue_name        = var.chunk_queue_name
  event_dlq_arn           = var.core.event_dlq_arn
  queue_names             = { for queue in values(local.queues) : queue.label => queue.name if queue.name != null }
  tables                  = local.tables
  databases               = merge([for branch in values(var.branches) : branch.outputs.databases]...)
  apis                    = merge([for branch in values(var.branches) : branch.outputs.apis]...)
  dead_letter_queue_names = { for queue in values(local.queues) : queue.label => queue.dlq_name }
}
