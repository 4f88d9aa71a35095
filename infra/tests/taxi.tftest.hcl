# The taxi branch.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  deployment = {
    prefix                 = "sluice-test"
    region                 = "us-east-1"
    artifacts_dir          = "./tests/artifacts"
    log_retention_days     = 30
    tracing_mode           = "PassThrough"
    release                = { versioned = false, held = {} }
    environment            = {}
    kms_permissions        = []
    point_in_time_recovery = false
    deletion_protection    = false
    force_destroy          = true
    kms_key_arn            = null
    topic_kms_key_arn      = null
  }
  core = {
    account       = { partition = "aws", region = "us-east-1", id = "123456789012" }
    topic_arn     = "arn:aws:sns:us-east-1:123456789012:sluice-test-notifications"
    event_dlq_arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-events-dlq"
    buckets       = { artifacts = { name = "sluice-test-artifacts", arn = "arn:aws:s3:::sluice-test-artifacts" } }
    layers        = { base = "arn:aws:lambda:us-east-1:123456789012:layer:sluice-test-base:1" }
  }
  settings = {
    bucket_name               = "sluice-test-taxi"
    source_url                = "https://example.com/{year}-{month}.parquet"
    schedule                  = null
    time_zone                 = "America/New_York"
    retry_hours               = 24
    retry_days                = 30
    availability_zones        = null
    cidr_block                = "10.21.0.0/20"
    base_capacity             = 8
    max_capacity              = 32
    clean_keep_days           = 30
    noncurrent_version_days   = 30
    abort_multipart_days      = 2
    start_timeout_seconds     = 60
    steps_timeout_seconds     = 300
    ingest_timeout_minutes    = 60
    transform_timeout_minutes = 60
    load_timeout_minutes      = 60
    queue_minutes             = 60
    timeout_minutes           = 1140
    transform_workers         = 2
    max_concurrency           = 3
    retry_seconds             = 60
  }
}

run "nothing_runs_by_itself_unless_it_is_asked_to" {
  module {
    source = "./branches/taxi"
  }

  assert {
    condition     = length(aws_scheduler_schedule.monthly) == 0
    error_message = "without a schedule there must be none"
  }

  assert {
    condition     = aws_redshiftserverless_namespace.this.manage_admin_password && aws_redshiftserverless_namespace.this.admin_user_password == null
    error_message = "Redshift itself must make and keep the admin's password"
  }

  assert {
    condition     = !aws_redshiftserverless_workgroup.this.publicly_accessible && aws_redshiftserverless_workgroup.this.enhanced_vpc_routing && length(aws_subnet.private) == 3
    error_message = "the warehouse must be in three private subnets, and read S3 through its network"
  }

  assert {
    condition     = length(distinct([for subnet in aws_subnet.private : subnet.availability_zone])) == 3 && length(distinct([for subnet in aws_subnet.private : subnet.cidr_block])) == 3
    error_message = "each subnet must be in a zone of its own"
  }

  assert {
    condition     = output.branch.notices == ["taxi.failed", "taxi.loaded", "taxi.unpublished"] && keys(output.branch.functions) == ["taxi", "taxi-migrate", "taxi-steps"]
    error_message = "others must know what the branch has and sends"
  }

  assert {
    condition     = [module.ingest.name, module.transform.name, module.load.name] == ["sluice-test-taxi-ingest", "sluice-test-taxi-transform", "sluice-test-taxi-load"]
    error_message = "each part of the work must be a job of its own"
  }
}

run "a_schedule_is_in_new_yorks_time_and_names_its_own" {
  module {
    source = "./branches/taxi"
  }

  variables {
    settings = {
      bucket_name               = "sluice-test-taxi"
      source_url                = "https://example.com/{year}-{month}.parquet"
      schedule                  = "cron(0 6 5 * ? *)"
      time_zone                 = "America/New_York"
      retry_hours               = 24
      retry_days                = 30
      availability_zones        = ["us-east-1b", "us-east-1d", "us-east-1f"]
      cidr_block                = "10.21.0.0/20"
      base_capacity             = 8
      max_capacity              = 32
      clean_keep_days           = 30
      noncurrent_version_days   = 30
      abort_multipart_days      = 2
      start_timeout_seconds     = 60
      steps_timeout_seconds     = 300
      ingest_timeout_minutes    = 60
      transform_timeout_minutes = 60
      load_timeout_minutes      = 60
      queue_minutes             = 60
      timeout_minutes           = 1140
      transform_workers         = 2
      max_concurrency           = 3
      retry_seconds             = 60
    }
  }

  assert {
    condition     = aws_scheduler_schedule.monthly[0].schedule_expression == "cron(0 6 5 * ? *)" && aws_scheduler_schedule.monthly[0].schedule_expression_timezone == "America/New_York"
    error_message = "the schedule must be the one that was asked for"
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.monthly[0].target[0].input) == { scheduled_time = "<aws.scheduler.scheduled-time>" }
    error_message = "the function must learn for when its call was, which may come late or twice"
  }

  assert {
    condition     = keys(aws_subnet.private) == ["us-east-1b", "us-east-1d", "us-east-1f"]
    error_message = "the zones must be those that were asked for"
  }
}
