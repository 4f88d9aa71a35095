# The check-ins' branch.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  deployment = {
    prefix                 = "sluice-test"
    artifacts_dir          = "./tests/artifacts"
    log_retention_days     = 30
    tracing_mode           = "PassThrough"
    release                = { versioned = false, held = {} }
    environment            = {}
    kms_permissions        = []
    point_in_time_recovery = false
    deletion_protection    = false
    kms_key_arn            = null
    topic_kms_key_arn      = null
  }
  core = {
    account       = { partition = "aws", region = "us-east-1", id = "123456789012" }
    topic_arn     = "arn:aws:sns:us-east-1:123456789012:sluice-test-notifications"
    event_dlq_arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-events-dlq"
    datasets = {
      environment = { DATASETS_BUCKET = "sluice-test-artifacts", DATASETS_KEY = "config/datasets.json" }
      permission  = { sid = "ReadDatasets", actions = ["s3:GetObject"], resources = ["arn:aws:s3:::sluice-test-artifacts/config/datasets.json"] }
    }
    buckets = { for name in ["artifacts", "bronze", "silver", "quarantine"] : name => { name = "sluice-test-${name}", arn = "arn:aws:s3:::sluice-test-${name}" } }
    objects = { silver = "arn:aws:s3:::sluice-test-silver/silver/*" }
    tables  = { ledger = { name = "sluice-test-ledger", arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-ledger" } }
    layers  = { for name in ["base", "arrow"] : name => "arn:aws:lambda:us-east-1:123456789012:layer:sluice-test-${name}:1" }
  }
  settings = {
    memory_mb        = 1024
    timeout_seconds  = 300
    deadline_seconds = 3600
    hard_testing     = null
    schedule         = { expression = "cron(30 3 * * ? *)", days_back = 1 }
  }
}

run "the_executor_runs_on_a_schedule_when_one_is_given" {
  module {
    source = "./branches/checkins"
  }

  assert {
    condition     = aws_cloudwatch_event_target.executor[0].dead_letter_config[0].arn == var.core.event_dlq_arn
    error_message = "an event that does not reach the executor must not be lost"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.executor[0].schedule_expression == "cron(30 3 * * ? *)" && aws_lambda_permission.executor[0].source_arn == aws_cloudwatch_event_rule.executor[0].arn
    error_message = "the schedule must start the executor, and nothing else may"
  }
}
