# One encrypted queue, reachable over TLS only, and, where it has one, its dead-letter queue. A queue that exists already
# is only named: nothing is created then, and nothing about it is changed.

locals {
  # Built, not read: a policy that waited for the queue's own ARN would be a second resource, and the provider watches
  # each write of a queue's attributes for 25 s.
  arn = "arn:${var.account.partition}:sqs:${var.account.region}:${var.account.id}:${var.name}"
}

resource "aws_sqs_queue" "this" {
  count = var.existing == null ? 1 : 0

  name                       = var.name
  visibility_timeout_seconds = var.visibility_timeout_seconds
  message_retention_seconds  = var.retention_days * 86400
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true

  # Inside the queue, though it then waits for its dead-letter queue (SQS refuses one that does not exist): as a resource
  # of its own the setting is watched for 25 s at creation and again at destruction, and a queue could work without it.
  redrive_policy = var.dead_letter == null ? null : jsonencode({
    deadLetterTargetArn = var.dead_letter.arn
    maxReceiveCount     = var.dead_letter.max_receive_count
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid       = "DenyPlainHttp"
      Effect    = "Deny"
      Principal = "*"
      # A Deny has to cover every action to be of use:
      # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html
      Action    = "sqs:*"
      Resource  = local.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }], var.event_rule_arn == null ? [] : [{
      # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions
      Sid       = "TakeEvents"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.arn
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account.id }
        ArnEquals    = { "aws:SourceArn" = var.event_rule_arn }
      }
      }], var.bucket_arn == null ? [] : [{
      # A bucket ARN has no account in it: without the account, the next owner of the name could send.
      # https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
      Sid       = "TakeBucketNotifications"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.arn
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account.id }
        ArnEquals    = { "aws:SourceArn" = var.bucket_arn }
      }
      }], var.topic_arn == null ? [] : [{
      # https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
      Sid       = "TakeNotices"
      Effect    = "Allow"
      Principal = { Service = "sns.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.arn
      Condition = { ArnEquals = { "aws:SourceArn" = var.topic_arn } }
    }])
  })

  # Who may name this queue as its dead-letter queue. The source queue need not exist yet.
  redrive_allow_policy = (
    var.dead_letter_source == null
    ? jsonencode({ redrivePermission = "denyAll" })
    : jsonencode({
      redrivePermission = "byQueue"
      sourceQueueArns = [
        "arn:${var.account.partition}:sqs:${var.account.region}:${var.account.id}:${var.dead_letter_source}"
      ]
    })
  )
}
