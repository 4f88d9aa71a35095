# Messages of a queue are given to a function in batches; what the poller needs is granted to the function's role.

resource "aws_iam_role_policy" "poll" {
  name = "poll-${var.queue.name}"
  role = var.function.role_name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "PollQueue"
      Effect = "Allow"
      # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSLambdaSQSQueueExecutionRole.html
      Action = concat(
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        var.delays_retries ? ["sqs:ChangeMessageVisibility"] : [],
      )
      Resource = var.queue.arn
    }]
  })
}

resource "aws_lambda_event_source_mapping" "this" {
  event_source_arn                   = var.queue.arn
  function_name                      = var.function.arn
  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = var.batching_window_seconds
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }

  # Lambda checks that the role can receive before it accepts the mapping.
  depends_on = [aws_iam_role_policy.poll]
}
