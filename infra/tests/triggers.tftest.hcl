mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  bucket = {
    name = "sluice-test-bronze"
    arn  = "arn:aws:s3:::sluice-test-bronze"
  }
  queue = {
    name = "sluice-test-chunks"
    arn  = "arn:aws:sqs:us-east-1:123456789012:sluice-test-chunks"
  }
  function = {
    name      = "sluice-test-function"
    arn       = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-function"
    role_name = "sluice-test-function"
  }
  queue_arn           = "arn:aws:sqs:us-east-1:123456789012:sluice-test-ingest"
  function_name       = "sluice-test-function"
  account_id          = "123456789012"
  prefix              = "bronze/"
  batch_size          = 4
  maximum_concurrency = 4
}

run "the_bucket_announces_to_the_queue_only_and_may_still_invoke" {
  module {
    source = "./modules/object_trigger"
  }

  assert {
    condition     = aws_lambda_permission.this.source_arn == "arn:aws:s3:::sluice-test-bronze" && aws_lambda_permission.this.source_account == "123456789012"
    error_message = "the permission must name the bucket and the account"
  }

  assert {
    condition = (
      aws_s3_bucket_notification.this.queue[0].events == toset(["s3:ObjectCreated:*", "s3:ObjectRestore:Completed"])
      && aws_s3_bucket_notification.this.queue[0].filter_prefix == "bronze/"
      && aws_s3_bucket_notification.this.queue[0].queue_arn == var.queue_arn
      && length(aws_s3_bucket_notification.this.lambda_function) == 0
    )
    error_message = "new objects under the prefix must be announced, and nothing else"
  }
}

run "a_prefix_without_slash_is_refused" {
  command = plan

  variables {
    prefix = "bronze"
  }

  module {
    source = "./modules/object_trigger"
  }

  expect_failures = [var.prefix]
}

run "the_mapping_reports_failures_by_message_and_is_limited" {
  module {
    source = "./modules/queue_trigger"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "one bad message must not fail its batch"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this.scaling_config[0].maximum_concurrency == 4 && aws_lambda_event_source_mapping.this.batch_size == 4
    error_message = "batch size and concurrency must follow their variables"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.poll.policy).Statement[0].Resource == "arn:aws:sqs:us-east-1:123456789012:sluice-test-chunks"
    error_message = "the role may poll this queue only"
  }
}

run "a_concurrency_below_two_and_a_large_batch_without_window_are_refused" {
  command = plan

  variables {
    maximum_concurrency = 1
    batch_size          = 11
  }

  module {
    source = "./modules/queue_trigger"
  }

  expect_failures = [var.maximum_concurrency, var.batch_size]
}
