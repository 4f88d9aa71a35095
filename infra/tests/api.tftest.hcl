# The analytics API's branch: its workflow of jobs, and what is around it as modules/workflow makes it for a job. tests/infra
# lints the definition and checks the policies in the state of core.tftest.hcl.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  # of the workflow
  name             = "sluice-test-analytics"
  account_id       = "123456789012"
  function_arn     = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-analytics-worker"
  topic_arn        = "arn:aws:sns:us-east-1:123456789012:sluice-test-notifications"
  event_dlq_arn    = "arn:aws:sqs:us-east-1:123456789012:sluice-test-events-dlq"
  definition       = { StartAt = "Done", States = { Done = { Type = "Succeed" } } }
  aborted_notice   = { kind = "analytics.failed", job = "<name>", reason = "<status>" }
  aborted_function = { name = "sluice-test-analytics-worker", target_id = "record" }

  # of the branch
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
    buckets = { artifacts = { name = "sluice-test-artifacts", arn = "arn:aws:s3:::sluice-test-artifacts" } }
    layers  = { base = "arn:aws:lambda:us-east-1:123456789012:layer:sluice-test-base:1" }
  }
  warehouse = {
    network    = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-1"] }
    secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-test-warehouse-reader-abcdef"
    layer      = "arn:aws:lambda:us-east-1:123456789012:layer:sluice-test-postgres:1"
    endpoints  = { name = "sluice-test-warehouse", vpc_id = "vpc-1", subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-2"] }
  }
  migrated = "yes"
  settings = {
    memory_mb                 = 1024
    reserved_concurrency      = null
    statement_timeout_seconds = 15
    cache_ttl_seconds         = 300
    job_timeout_seconds       = 600
    job_keep_days             = 30
    schedules = {
      daily = { expression = "cron(0 5 * * ? *)", operation = "revenue_analysis", parameters = { group_by = "date" } }
    }
    keys         = ["default"]
    throttle     = { rate = 200, burst = 400 }
    key_throttle = { rate = 50, burst = 100 }
    key_quota    = null
    cors_origins = []

    authorization   = { type = "NONE", user_pool_arns = [] }
    access_logs     = "off"
    waf_web_acl_arn = null
  }
}

run "every_attempt_of_a_job_fits" {
  module {
    source = "./branches/api"
  }

  assert {
    condition     = local.definition.TimeoutSeconds > 6 * var.settings.job_timeout_seconds
    error_message = "the first attempt and all five others must fit"
  }

  assert {
    condition     = jsondecode(local.schedules.daily.input) == { request = { operation = "revenue_analysis", parameters = { group_by = "date" } } } && local.schedules.daily.expression == "cron(0 5 * * ? *)"
    error_message = "the schedule must carry its question"
  }

  assert {
    condition     = keys(output.branch) == ["functions", "notices", "outputs", "queues", "tables", "workflows"]
    error_message = "the branch must have the keys that every branch has"
  }
}

run "a_job_has_a_log_and_no_schedule_of_its_own" {
  module {
    source = "./modules/workflow"
  }

  assert {
    condition     = aws_sfn_state_machine.this.logging_configuration[0].level == "ERROR" && endswith(aws_sfn_state_machine.this.logging_configuration[0].log_destination, ":*")
    error_message = "errors must be logged"
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.schedule) == 0 && length(aws_iam_role.schedule) == 0
    error_message = "no question is asked without a request unless it is given"
  }
}

run "a_job_that_is_aborted_is_recorded_and_notified" {
  module {
    source = "./modules/workflow"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.aborted.event_pattern).detail == { stateMachineArn = [aws_sfn_state_machine.this.arn], status = ["ABORTED", "TIMED_OUT"] }
    error_message = "the rule must match this workflow's ends that run no state"
  }

  assert {
    condition     = aws_cloudwatch_event_target.aborted_function[0].arn == var.function_arn && aws_cloudwatch_event_target.aborted.arn == var.topic_arn && aws_lambda_permission.aborted_function[0].source_arn == aws_cloudwatch_event_rule.aborted.arn
    error_message = "the function must record it, and the topic must be notified"
  }
}

run "schedules_ask_their_questions" {
  variables {
    schedules = {
      daily = { expression = "cron(0 5 * * ? *)", input = jsonencode({ request = { operation = "revenue_analysis", parameters = { group_by = "date" } } }) }
    }
    permissions       = [{ sid = "RecordFailure", actions = ["dynamodb:UpdateItem"], resources = ["arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-analytics"] }]
    topic_kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    tracing_mode      = "Active"
  }

  module {
    source = "./modules/workflow"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.schedule["daily"].schedule_expression == "cron(0 5 * * ? *)" && jsondecode(aws_cloudwatch_event_target.schedule["daily"].input) == { request = { operation = "revenue_analysis", parameters = { group_by = "date" } } }
    error_message = "the schedule must carry its question"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.schedule[0].policy).Statement[0].Resource == [aws_sfn_state_machine.this.arn] && jsondecode(aws_iam_role_policy.schedule[0].policy).Statement[0].Action == ["states:StartExecution"]
    error_message = "the schedules may start this workflow and nothing else"
  }

  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid] == ["RunSteps", "SendNotices", "DeliverLog", "RecordFailure", "UseTopicKey", "WriteTraces"]
    error_message = "encryption and tracing need permissions"
  }
}
