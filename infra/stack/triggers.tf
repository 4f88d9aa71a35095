# Attributes, not whole modules: a module as a whole is done only when the last of its settings is, and the bucket's
# lifecycle takes the provider a minute.

module "bronze_trigger" {
  source = "../modules/object_trigger"

  bucket = {
    name = module.bucket["bronze"].name
    arn  = module.bucket["bronze"].arn
  }
  queue_arn     = module.ingest_queue.arn
  function_name = module.ingest.name
  account_id    = module.notifications.account.id
  prefix        = "bronze/"

  # The first message finds a reader.
  depends_on = [module.ingest_trigger]
}

module "ingest_trigger" {
  source = "../modules/queue_trigger"

  queue = {
    name = module.ingest_queue.name
    arn  = module.ingest_queue.arn
  }
  function = {
    arn       = module.ingest.arn
    role_name = module.ingest.role_name
  }
  batch_size          = var.ingest_batch_size
  maximum_concurrency = var.ingest_maximum_concurrency
}

module "chunk_trigger" {
  source = "../modules/queue_trigger"

  queue = {
    name = module.chunk_queue.name
    arn  = module.chunk_queue.arn
  }
  function = {
    arn       = module.transform.arn
    role_name = module.transform.role_name
  }
  batch_size              = var.transform_batch_size
  batching_window_seconds = var.transform_batching_window_seconds
  maximum_concurrency     = var.transform_maximum_concurrency
}

# A rule of EventBridge fires once a minute at most: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
resource "aws_cloudwatch_event_rule" "settle" {
  name                = "${local.prefix}-settle"
  description         = "Runs ${module.settle.name}"
  schedule_expression = "rate(1 minute)"
}

resource "aws_cloudwatch_event_target" "settle" {
  rule      = aws_cloudwatch_event_rule.settle.name
  target_id = "settle"
  arn       = module.settle.arn

  dead_letter_config {
    arn = module.event_dlq.arn
  }
}

resource "aws_lambda_permission" "settle" {
  statement_id  = "AllowSchedule"
  action        = "lambda:InvokeFunction"
  function_name = module.settle.name
  qualifier     = module.settle.qualifier
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.settle.arn
}
