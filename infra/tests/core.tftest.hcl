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
  target = module.mail[0].aws_sns_topic.this
  values = {
    arn = "arn:aws:sns:us-east-1:123456789012:sluice-test-mail"
  }
}

override_resource {
  target = module.reconcile[0].aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-reconcile"
  }
}

override_resource {
  target = module.digest[0].aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-digest"
  }
}

override_resource {
  target = module.digest_queue[0].aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-digest"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-digest"
  }
}

override_resource {
  target = module.digest_dlq[0].aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-digest-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-digest-dlq"
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
  target = module.settle.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-settle"
  }
}

override_resource {
  target = module.transform.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-transform"
  }
}

override_resource {
  target = module.replay[0].module.function.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-replay"
  }
}

override_resource {
  target = module.replay[0].module.function.aws_lambda_function.this
  values = {
    arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-replay"
  }
}

override_resource {
  target = module.observability[0].module.watch.aws_cloudwatch_log_group.this
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
  target = module.event_dlq.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-events-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-events-dlq"
  }
}

override_resource {
  target = module.ingest_queue.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-ingest"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-ingest"
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
  target = module.warehouse[0].module.load.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-load"
  }
}

override_resource {
  target = module.warehouse[0].module.migrate.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-migrate"
  }
}

override_resource {
  target = module.warehouse[0].module.load_queue.module.queue.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-loads"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-loads"
  }
}

override_resource {
  target = module.warehouse[0].module.load_queue.module.dlq.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-loads-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-loads-dlq"
  }
}

override_resource {
  target = module.warehouse[0].module.database.aws_secretsmanager_secret.role["loader"]
  values = {
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-test-warehouse-loader-abcdef"
  }
}

override_resource {
  target = module.warehouse[0].module.database.aws_secretsmanager_secret.role["reader"]
  values = {
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-test-warehouse-reader-abcdef"
  }
}

override_resource {
  target = module.feedback[0].module.function.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-feedback"
  }
}

override_resource {
  target = module.feedback[0].module.table.aws_dynamodb_table.this
  values = {
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-feedback"
  }
}

override_resource {
  target = module.feedback[0].module.queue.module.queue.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-feedback"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-feedback"
  }
}

override_resource {
  target = module.feedback[0].module.queue.module.dlq.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-feedback-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-feedback-dlq"
  }
}

override_resource {
  target = module.lake[0].module.register.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-lake"
  }
}

override_resource {
  target = module.lake[0].module.bucket.aws_s3_bucket.this
  values = {
    arn = "arn:aws:s3:::sluice-test-lake"
  }
}

override_resource {
  target = module.lake[0].module.queue.module.queue.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-lake"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-lake"
  }
}

override_resource {
  target = module.lake[0].module.queue.module.dlq.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-lake-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-lake-dlq"
  }
}

override_resource {
  target = module.bucket["staging"].aws_s3_bucket.this
  values = {
    arn = "arn:aws:s3:::sluice-test-staging"
  }
}

override_resource {
  target = module.quality[0].module.gate.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-quality"
  }
}

override_resource {
  target = module.quality[0].module.audit.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-quality-audit"
  }
}

override_resource {
  target = module.quality[0].module.publish.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-quality-publish"
  }
}

override_resource {
  target = module.quality[0].module.audit.aws_lambda_function.this
  values = {
    arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-quality-audit"
  }
}

override_resource {
  target = module.quality[0].module.publish.aws_lambda_function.this
  values = {
    arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-quality-publish"
  }
}

override_resource {
  target = module.quality[0].module.bucket.aws_s3_bucket.this
  values = {
    arn = "arn:aws:s3:::sluice-test-quality"
  }
}

override_resource {
  target = module.quality[0].module.queue.module.queue.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-quality"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-quality"
  }
}

override_resource {
  target = module.quality[0].module.queue.module.dlq.aws_sqs_queue.this
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-quality-dlq"
    id  = "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-quality-dlq"
  }
}

override_resource {
  target = module.quality[0].module.workflow.aws_sfn_state_machine.this
  values = {
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:sluice-test-quality"
  }
}

override_resource {
  target = module.quality[0].aws_glue_job.audit
  values = {
    arn = "arn:aws:glue:us-east-1:123456789012:job/sluice-test-quality-audit"
  }
}

override_resource {
  target = module.api[0].module.function.aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-api" }
}

override_resource {
  target = module.api[0].module.worker.aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-analytics-worker" }
}

override_resource {
  target = module.api[0].module.worker.aws_lambda_function.this
  values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-analytics-worker" }
}

override_resource {
  target = module.api[0].module.jobs.aws_sfn_state_machine.this
  values = { arn = "arn:aws:states:us-east-1:123456789012:stateMachine:sluice-test-analytics" }
}

override_resource {
  target = module.api[0].module.table.aws_dynamodb_table.this
  values = { arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-analytics" }
}

override_resource {
  target = module.checkins[0].module.function.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-checkins"
  }
}

override_resource {
  target = module.checkins[0].module.executor.aws_cloudwatch_log_group.this
  values = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-checkin-executor"
  }
}

override_resource {
  target = module.checkins[0].module.table.aws_dynamodb_table.this
  values = {
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-checkins"
  }
}

override_resource {
  target = module.checkins[0].module.log.aws_dynamodb_table.this
  values = {
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-checkin-log"
  }
}

override_resource {
  target = module.checkins[0].module.function.aws_lambda_function.this
  values = {
    arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-checkins"
  }
}

override_resource {
  target = module.checkins[0].module.workflow.aws_sfn_state_machine.this
  values = {
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:sluice-test-checkins"
  }
}

override_resource {
  target = module.taxi[0].module.start.aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-taxi" }
}

override_resource {
  target = module.taxi[0].module.start.aws_lambda_function.this
  values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-taxi" }
}

override_resource {
  target = module.taxi[0].module.steps.aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-taxi-steps" }
}

override_resource {
  target = module.taxi[0].module.steps.aws_lambda_function.this
  values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-taxi-steps" }
}

override_resource {
  target = module.taxi[0].module.migrate.aws_cloudwatch_log_group.this
  values = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/sluice-test-taxi-migrate" }
}

override_resource {
  target = module.taxi[0].module.migrate.aws_lambda_function.this
  values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-taxi-migrate" }
}

override_resource {
  target = module.taxi[0].module.table.aws_dynamodb_table.this
  values = { arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-taxi" }
}

override_resource {
  target = module.taxi[0].module.bucket.aws_s3_bucket.this
  values = { arn = "arn:aws:s3:::sluice-test-taxi" }
}

override_resource {
  target = module.taxi[0].module.workflow.aws_sfn_state_machine.this
  values = { arn = "arn:aws:states:us-east-1:123456789012:stateMachine:sluice-test-taxi" }
}

override_resource {
  target = module.taxi[0].aws_iam_role.schedule
  values = { arn = "arn:aws:iam::123456789012:role/sluice-test-taxi-schedule" }
}

override_resource {
  target = module.taxi[0].aws_iam_role.copy
  values = { arn = "arn:aws:iam::123456789012:role/sluice-test-taxi-copy" }
}

override_resource {
  target = module.taxi[0].aws_redshiftserverless_workgroup.this
  values = { arn = "arn:aws:redshift-serverless:us-east-1:123456789012:workgroup/mock-workgroup" }
}

variables {
  env                   = "test"
  artifacts_dir         = "./tests/artifacts"
  ops_enabled           = true
  ledger_retention_days = 400

  notice_gather_seconds = 300
  reconcile_schedule    = "rate(15 minutes)"
  reconcile_source      = "inventory"
  observability_enabled = true
  warehouse_enabled     = true
  warehouse_ca_file     = "./tests/authority.pem"
  canonical_enabled     = true
  feedback_enabled      = true
  api_enabled           = true
  checkin_enabled       = true
  lake_enabled          = true
  quality_gate_enabled  = true
  taxi_enabled          = true
  taxi_schedule         = "cron(0 6 5 * ? *)"
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
    condition = [output.chunk_queue_url, output.chunk_dlq_url, output.ingest_queue_url, output.ingest_dlq_url, output.event_dlq_url] == [
      for thing in ["chunks", "chunks-dlq", "ingest", "ingest-dlq", "events-dlq"] : "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-${thing}"
    ]
    error_message = "the queues must be distinct"
  }

  assert {
    condition     = output.account_id == "123456789012" && output.region == "us-east-1"
    error_message = "account and region must be read from the topic"
  }

  assert {
    condition = alltrue([
      for branch in values(output.branches) : keys(branch) == ["functions", "notices", "outputs", "queues", "tables", "workflows"]
    ])
    error_message = "every branch must have the same keys"
  }

  assert {
    condition = alltrue(concat(
      flatten([for branch in values(output.branches) : [for function in values(branch.functions) : keys(function) == ["alarms", "log_group", "name"]]]),
      flatten([for branch in values(output.branches) : [for queue in values(branch.queues) : keys(queue) == ["dlq_name", "dlq_url", "label", "name", "url"]]]),
      flatten([for branch in values(output.branches) : [for workflow in values(branch.workflows) : keys(workflow) == ["alarms", "arn", "name"]]]),
    ))
    error_message = "every function, queue and workflow must be described in the same way"
  }

  assert {
    condition     = keys(output.branches) == ["api", "checkins", "core", "feedback", "lake", "observability", "quality", "replay", "taxi", "warehouse"]
    error_message = "every branch that is on must be in the output"
  }
}
