# The whole stack with a mocked account in which every resource has an ARN of its own. tests/infra reads the state of
# this run to check every policy in it.

mock_provider "aws" {
  source = "./tests/mocks"
}

override_resource {
  target = module.bucket["bronze"].aws_s3_bucket.this
  values = {
    arn = "arn:aws:s3:::sluice-test-bronze"
  }
}

override_resource {
  target = module.bucket["silver"].aws_s3_bucket.this
  values = {
    arn = "arn:aws:s3:::sluice-test-silver"
  }
}

override_resource {
  target = module.bucket["quarantine"].aws_s3_bucket.this
  values = {
    arn = "arn:aws:s3:::sluice-test-quarantine"
  }
}

override_resource {
  target = module.bucket["artifacts"].aws_s3_bucket.this
  values = {
    arn = "arn:aws:s3:::sluice-test-artifacts"
  }
}

override_resource {
  target = module.notifications.aws_sns_topic.this
  values = {
    arn = "arn:aws:sns:us-east-1:123456789012:sluice-test-notifications"
  }
}

override_resource {
  target = module.event_bus.aws_cloudwatch_event_bus.this
  values = {
    arn = "arn:aws:events:us-east-1:123456789012:event-bus/sluice-test-events"
  }
}

override_resource {
  target = module.idempotency_table.aws_dynamodb_table.this
  values = {
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-idempotency"
  }
}

override_resource {
  target = module.ledger_table.aws_dynamodb_table.this
  values = {
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-ledger"
  }
}

override_resource {
  target = module.ingest.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-ingest"
  }
}

override_resource {
  target = module.transform.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-transform"
  }
}

override_resource {
  target = module.replay_function[0].aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-replay"
  }
}

override_resource {
  target = module.replay_function[0].aws_lambda_function.this
  values = {
    arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-replay"
  }
}

override_resource {
  target = module.watch[0].aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-watch"
  }
}

override_resource {
  target = module.chunk_queue.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-chunks"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-chunks"
  }
}

override_resource {
  target = module.chunk_dlq.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-chunks-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-chunks-dlq"
  }
}

override_resource {
  target = module.ingest_dlq.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-ingest-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-ingest-dlq"
  }
}

override_resource {
  target = module.load[0].aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-load"
  }
}

override_resource {
  target = module.migrate[0].aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-migrate"
  }
}

override_resource {
  target = module.load_queue[0].module.queue.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-loads"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-loads"
  }
}

override_resource {
  target = module.load_queue[0].module.dlq.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-loads-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-loads-dlq"
  }
}

override_resource {
  target = module.database[0].aws_secretsmanager_secret.role["loader"]
  values = {
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-test-warehouse-loader-abcdef"
  }
}

override_resource {
  target = module.database[0].aws_secretsmanager_secret.role["reader"]
  values = {
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-test-warehouse-reader-abcdef"
  }
}

override_resource {
  target = module.feedback_function[0].aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-feedback"
  }
}

override_resource {
  target = module.feedback_table[0].aws_dynamodb_table.this
  values = {
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-feedback"
  }
}

override_resource {
  target = module.feedback_queue[0].module.queue.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-feedback"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-feedback"
  }
}

override_resource {
  target = module.feedback_queue[0].module.dlq.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-feedback-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-feedback-dlq"
  }
}

override_resource {
  target = module.api_function[0].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-api" }
}

override_resource {
  target = module.analytics_worker[0].aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-analytics-worker" }
}

override_resource {
  target = module.analytics_worker[0].aws_lambda_function.this
  values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-analytics-worker" }
}

override_resource {
  target = module.analytics_jobs[0].aws_sfn_state_machine.this
  values = { arn = "arn:aws:states:us-east-1:123456789012:stateMachine:sluice-test-analytics" }
}

override_resource {
  target = module.analytics_table[0].aws_dynamodb_table.this
  values = { arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-analytics" }
}

override_resource {
  target = module.checkins_function[0].aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-checkins"
  }
}

override_resource {
  target = module.checkin_executor[0].aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-checkin-executor"
  }
}

override_resource {
  target = module.checkins_table[0].aws_dynamodb_table.this
  values = {
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-checkins"
  }
}

override_resource {
  target = module.checkin_log[0].aws_dynamodb_table.this
  values = {
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-checkin-log"
  }
}

override_resource {
  target = module.checkins_function[0].aws_lambda_function.this
  values = {
    arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-checkins"
  }
}

override_resource {
  target = module.checkins[0].aws_sfn_state_machine.this
  values = {
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:sluice-test-checkins"
  }
}

variables {
  env           = "test"
  artifacts_dir = "./tests/artifacts"
  ops_enabled   = true

  observability_enabled = true
  warehouse_enabled     = true
  canonical_enabled     = true
  feedback_enabled      = true
  api_enabled           = true
  checkin_enabled       = true
}

run "the_core_stack" {
  module {
    source = "./stack"
  }

  assert {
    condition = [output.bronze_bucket, output.silver_bucket, output.quarantine_bucket, output.artifacts_bucket] == [
      for thing in ["bronze", "silver", "quarantine", "artifacts"] : "sluice-test-${thing}"
    ]
    error_message = "buckets must be named <project>-<env>-<thing>"
  }

  assert {
    condition = [output.ingest_function, output.transform_function, output.ledger_table, output.idempotency_table, output.event_bus_name] == [
      for thing in ["ingest", "transform", "ledger", "idempotency", "events"] : "sluice-test-${thing}"
    ]
    error_message = "functions, tables and bus must be named <project>-<env>-<thing>"
  }

  assert {
    condition = [output.chunk_queue_url, output.chunk_dlq_url, output.ingest_dlq_url] == [
      for thing in ["chunks", "chunks-dlq", "ingest-dlq"] : "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-${thing}"
    ]
    error_message = "the queues must be told apart"
  }

  assert {
    condition     = output.account_id == "123456789012" && output.region == "us-east-1"
    error_message = "account and region must be read from the topic"
  }
}
