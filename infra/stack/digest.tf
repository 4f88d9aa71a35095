# One mail about the notices of some minutes (notice_gather_seconds): a queue subscribes to the topic of notices, `digest`
# publishes one mail for each batch to a topic of mails, and the address subscribes to that one. Programs subscribe to the
# topic of notices in any case.

locals {
  notices_gathered  = var.notice_gather_seconds > 0
  digest_queue_name = "${local.prefix}-digest"

  digest_timeout_seconds = 30
}

module "mail" {
  source = "../modules/topic"
  count  = local.notices_gathered ? 1 : 0

  name               = "${local.prefix}-mail"
  email              = var.notification_email
  kms_key_arn        = var.topic_kms_key_arn
  allows_eventbridge = false
}

module "digest_queue" {
  source = "../modules/queue"
  count  = local.notices_gathered ? 1 : 0

  name    = local.digest_queue_name
  account = module.notifications.account
  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-queueconfig
  visibility_timeout_seconds = 6 * local.digest_timeout_seconds + var.notice_gather_seconds
  retention_days             = var.chunk_retention_days
  topic_arn                  = module.notifications.arn
  dead_letter = {
    arn               = module.digest_dlq[0].arn
    max_receive_count = var.max_receive_count
  }
}

# Notices that could not be mailed, and those that SNS could not deliver to the queue.
module "digest_dlq" {
  source = "../modules/queue"
  count  = local.notices_gathered ? 1 : 0

  name               = "${local.digest_queue_name}-dlq"
  account            = module.notifications.account
  topic_arn          = module.notifications.arn
  dead_letter_source = local.digest_queue_name
}

resource "aws_sns_topic_subscription" "digest" {
  count = local.notices_gathered ? 1 : 0

  topic_arn = module.notifications.arn
  protocol  = "sqs"
  endpoint  = module.digest_queue[0].arn

  # As published: an envelope could make a long notice too long for SQS.
  # https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html
  raw_message_delivery = true

  # https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
  redrive_policy = jsonencode({ deadLetterTargetArn = module.digest_dlq[0].arn })
}

module "digest" {
  source = "../modules/function"
  count  = local.notices_gathered ? 1 : 0

  permissions_boundary_arn = var.permissions_boundary_arn

  name               = "${local.prefix}-digest"
  description        = "Publishes one mail about all notices that came together"
  artifacts_bucket   = module.bucket["artifacts"].name
  code               = "core/digest"
  artifacts_dir      = var.artifacts_dir
  release            = local.release
  layers             = [module.layer["base"].arn]
  memory_mb          = 256
  timeout_seconds    = local.digest_timeout_seconds
  tracing_mode       = var.tracing_mode
  log_retention_days = var.log_retention_days

  environment = merge(local.deployment.environment, {
    POWERTOOLS_SERVICE_NAME = "digest"
    MAIL_TOPIC_ARN          = module.mail[0].arn
    STACK_NAME              = local.prefix
  })

  permissions = concat([{
    sid       = "SendMails"
    actions   = ["sns:Publish"]
    resources = [module.mail[0].arn]
  }], local.topic_key_permissions)
}

module "digest_trigger" {
  source = "../modules/queue_trigger"
  count  = local.notices_gathered ? 1 : 0

  queue = {
    name = module.digest_queue[0].name
    arn  = module.digest_queue[0].arn
  }
  function = {
    arn       = module.digest[0].arn
    role_name = module.digest[0].role_name
  }
  batch_size              = 1000 # Lambda invokes earlier at 6 MB
  batching_window_seconds = var.notice_gather_seconds
  maximum_concurrency     = local.digest_concurrency
  delays_retries          = false
}

variable "notice_gather_seconds" {
  description = "Seconds for which notices are gathered into one mail to notification_email; 0 sends a mail for each. The address has to be confirmed again when this begins or ends."
  type        = number
  default     = 0

  validation {
    # A batching window's limits: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    condition     = var.notice_gather_seconds >= 0 && var.notice_gather_seconds <= 300 && floor(var.notice_gather_seconds) == var.notice_gather_seconds
    error_message = "notice_gather_seconds must be a whole number from 0 to 300."
  }

  validation {
    condition     = var.notice_gather_seconds == 0 || var.observability_enabled
    error_message = "notice_gather_seconds needs observability_enabled: only alarms report that no mail can be sent."
  }
}

output "mail_topic_arn" {
  description = "Topic that gathered notices go to as mails; null when notice_gather_seconds is 0 and each notice is a mail."
  value       = local.notices_gathered ? module.mail[0].arn : null
}

output "digest_function" {
  description = "Name of the function that gathers notices into mails; null when notice_gather_seconds is 0."
  value       = local.notices_gathered ? module.digest[0].name : null
}

output "digest_queue_url" {
  description = "Queue of notices that wait for their mail; null when notice_gather_seconds is 0."
  value       = local.notices_gathered ? module.digest_queue[0].url : null
}

output "digest_dlq_url" {
  description = "Dead-letter queue of notices that were not mailed; null when notice_gather_seconds is 0."
  value       = local.notices_gathered ? module.digest_dlq[0].url : null
}
