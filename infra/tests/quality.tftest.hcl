# The quality gate's branch.

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
    max_receive_count      = 5
    message_retention_days = 4
    force_destroy          = true
    kms_key_arn            = null
    topic_kms_key_arn      = null
  }
  core = {
    account       = { partition = "aws", region = "us-east-1", id = "123456789012" }
    topic_arn     = "arn:aws:sns:us-east-1:123456789012:sluice-test-notifications"
    event_dlq_arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-events-dlq"
    bus_name      = "sluice-test-events"
    bus_arn       = "arn:aws:events:us-east-1:123456789012:event-bus/sluice-test-events"
    datasets = {
      environment = { DATASETS_BUCKET = "sluice-test-artifacts", DATASETS_KEY = "config/datasets.json" }
      permission  = { sid = "ReadDatasets", actions = ["s3:GetObject"], resources = ["arn:aws:s3:::sluice-test-artifacts/config/datasets.json"] }
    }
    buckets = { for name in ["artifacts", "silver", "staging"] : name => { name = "sluice-test-${name}", arn = "arn:aws:s3:::sluice-test-${name}" } }
    objects = {
      silver    = "arn:aws:s3:::sluice-test-silver/silver/*"
      staged    = "arn:aws:s3:::sluice-test-staging/staged/*"
      leftovers = "arn:aws:s3:::sluice-test-staging/leftovers/*"
    }
    tables = { ledger = { name = "sluice-test-ledger", arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-ledger" } }
    layers = { for name in ["base", "arrow"] : name => "arn:aws:lambda:us-east-1:123456789012:layer:sluice-test-${name}:1" }
  }
  settings = {
    bucket_name             = "sluice-test-quality"
    engine                  = "auto"
    arrow_max_rows          = 1000
    results_keep_days       = 9
    gather_seconds          = 5
    batch_size              = 100
    maximum_concurrency     = 2
    gate_timeout_seconds    = 60
    audit_timeout_seconds   = 300
    audit_memory_mb         = 2048
    publish_timeout_seconds = 300
    job_timeout_minutes     = 60
    max_concurrency         = 10
    quarantine_ratio        = 0.1
  }
}

run "the_gate_gathers_and_the_job_is_what_glue_runs" {
  module {
    source = "./branches/quality"
  }

  assert {
    condition     = aws_glue_job.audit.command[0].name == "glueetl" && aws_glue_job.audit.glue_version == "6.0" && aws_glue_job.audit.max_retries == 0
    error_message = "the job must be of the kind that has the Python of Great Expectations"
  }

  assert {
    condition     = startswith(aws_glue_job.audit.default_arguments["--additional-python-modules"], "great_expectations==")
    error_message = "the job must name the version of Great Expectations"
  }

  assert {
    condition     = aws_glue_job.audit.execution_property[0].max_concurrent_runs == 10
    error_message = "as many jobs as objects at a time may run"
  }

  assert {
    condition     = output.branch.notices == ["dead.letter", "quality.failed", "quality.withheld", "quarantine.threshold"] && keys(output.branch.functions) == ["quality", "quality-audit", "quality-publish"]
    error_message = "others must know what the branch has and sends"
  }
}
