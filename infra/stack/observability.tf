# Observability (observability_enabled): a dashboard, alarms that go to the notifications topic, and the function
# `watch`, which publishes once a minute what no service knows: objects that are planned and not finished.

locals {
  watched_functions = merge(
    {
      ingest    = module.ingest.name
      transform = module.transform.name
    },
    { for watch in module.watch : "watch" => watch.name },
    { for replay in module.replay_function : "replay" => replay.name },
    { for load in module.load : "load" => load.name },
    { for feedback in module.feedback_function : "feedback" => feedback.name },
    { for checkins in module.checkins_function : "checkins" => checkins.name },
    { for executor in module.checkin_executor : "checkin-executor" => executor.name },
    # Not the worker of analytics jobs: a question that is refused is an error of it, and is told by the job's notice.
    { for api in module.api_function : "api" => api.name },
  )

  # Workflows by name; each gets an alarm on its failures.
  workflows = merge(
    { for replay in module.replay : "replay" => replay.arn },
    { for checkins in module.checkins : "checkins" => checkins.arn },
  )
}

module "watch" {
  source = "../modules/function"
  count  = var.observability_enabled ? 1 : 0

  name               = "${local.prefix}-watch"
  description        = "Publishes how many objects are unfinished and how long the oldest has waited"
  artifacts_bucket   = module.bucket["artifacts"].name
  zip_path           = "${var.artifacts_dir}/watch.zip"
  layers             = [module.layer["base"].arn]
  memory_mb          = 256
  timeout_seconds    = 30
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days

  environment = {
    POWERTOOLS_SERVICE_NAME      = "watch"
    POWERTOOLS_METRICS_NAMESPACE = local.prefix
    POWERTOOLS_LOG_LEVEL         = var.log_level
    LEDGER_TABLE                 = module.ledger_table.name
  }

  permissions = concat([
    {
      sid       = "ReadUnfinished"
      actions   = ["dynamodb:Query"]
      resources = ["${module.ledger_table.arn}/index/by_state"]
    },
    ], var.kms_key_arn == null ? [] : [{
      sid       = "UseDataKey"
      actions   = ["kms:Decrypt"]
      resources = [var.kms_key_arn]
  }])
}

module "observability" {
  source = "../modules/observability"
  count  = var.observability_enabled ? 1 : 0

  name      = local.prefix
  region    = module.notifications.account.region
  namespace = local.prefix
  topic_arn = module.notifications.arn
  functions = local.watched_functions
  workflows = local.workflows
  alarms    = var.alarms

  watch = {
    name = module.watch[0].name
    arn  = module.watch[0].arn
  }

  chunk_queue_name = module.chunk_queue.name
  dead_letter_queue_names = merge(
    {
      chunk  = module.chunk_dlq.name
      ingest = module.ingest_dlq.name
    },
    { for queue in module.load_queue : "load" => queue.dlq_name },
    { for queue in module.feedback_queue : "feedback" => queue.dlq_name },
  )
}

variable "alarms" {
  description = <<-EOT
    When the alarms fire; whatever is left out has the value of infra/modules/observability. Periods are in seconds,
    10, 30 or a multiple of 60 as CloudWatch wants it; AWS's own metrics come by the minute.
  EOT
  type = object({
    evaluation_periods        = optional(number)
    function_errors           = optional(number)
    function_period_seconds   = optional(number)
    throttles                 = optional(number)
    oldest_chunk_seconds      = optional(number)
    queue_period_seconds      = optional(number)
    dead_letters              = optional(number)
    quarantine_percent        = optional(number)
    quarantine_least_rows     = optional(number)
    quarantine_period_seconds = optional(number)
    unfinished_seconds        = optional(number)
    unfinished_period_seconds = optional(number)
    workflow_failures         = optional(number)
    workflow_period_seconds   = optional(number)
  })
  default = {}
}
