# One encrypted queue, reachable over TLS only, and, when it has a dead-letter queue, the redrive policy to it.

locals {
  # Built, not read: a policy that waited for the queue's own ARN would be a second resource, and the provider
  # spends 25 s watching each write of a queue attribute.
  arn = "arn:${var.account.partition}:sqs:${var.account.region}:${var.account.id}:${var.name}"
}

resource "aws_sqs_queue" "this" {
  name                       = var.name
  visibility_timeout_seconds = var.visibility_timeout_seconds
  message_retention_seconds  = var.retention_days * 86400
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DenyPlainHttp"
      Effect    = "Deny"
      Principal = "*"
      # A Deny has to cover every action to be of use:
      # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html
      Action    = "sqs:*"
      Resource  = local.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
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

# A resource of its own, because SQS refuses a dead-letter queue that does not exist: the two queues are made side by
# side (25 s) and whoever only needs the queue's URL goes on while this setting is watched for another 25 s.
resource "aws_sqs_queue_redrive_policy" "this" {
  count = var.dead_letter == null ? 0 : 1

  queue_url = aws_sqs_queue.this.id

  redrive_policy = jsonencode({
    deadLetterTargetArn = var.dead_letter.arn
    maxReceiveCount     = var.dead_letter.max_receive_count
  })
}
