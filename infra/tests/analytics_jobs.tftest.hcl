# The workflow of analytics jobs. tests/infra lints its definition and checks its policies in the state of core.tftest.hcl.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                     = "sluice-test-analytics"
  account_id               = "123456789012"
  function_arn             = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-analytics-worker"
  function_name            = "sluice-test-analytics-worker"
  function_timeout_seconds = 600
  table_name               = "sluice-test-analytics"
  table_arn                = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-analytics"
  topic_arn                = "arn:aws:sns:us-east-1:123456789012:sluice-test-notifications"
}

run "every_attempt_fits_and_errors_are_logged" {
  module {
    source = "./modules/analytics_jobs"
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.this.definition).TimeoutSeconds > 6 * var.function_timeout_seconds
    error_message = "the first attempt and all five others must fit"
  }

  assert {
    condition     = aws_sfn_state_machine.this.logging_configuration[0].level == "ERROR" && endswith(aws_sfn_state_machine.this.logging_configuration[0].log_destination, ":*")
    error_message = "errors must be logged"
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.schedule) == 0 && length(aws_iam_role.schedule) == 0
    error_message = "nothing is asked by itself unless it is given"
  }
}

run "a_job_that_is_cut_short_is_recorded_and_told" {
  module {
    source = "./modules/analytics_jobs"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.cut_short.event_pattern).detail == { stateMachineArn = [aws_sfn_state_machine.this.arn], status = ["ABORTED", "TIMED_OUT"] }
    error_message = "this workflow's ends that run no state must be heard of"
  }

  assert {
    condition     = aws_cloudwatch_event_target.record.arn == var.function_arn && aws_cloudwatch_event_target.tell.arn == var.topic_arn && aws_lambda_permission.record.source_arn == aws_cloudwatch_event_rule.cut_short.arn
    error_message = "the function must record it, and the topic must hear of it"
  }
}

run "schedules_ask_their_questions" {
  variables {
    schedules = {
      daily = { expression = "cron(0 5 * * ? *)", operation = "revenue_analysis", parameters = { group_by = "date" } }
    }
    kms_key_arns = ["arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"]
    tracing_mode = "Active"
  }

  module {
    source = "./modules/analytics_jobs"
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
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid] == ["RunQuestion", "RecordFailure", "SendNotices", "DeliverLog", "UseKeys", "WriteTraces"]
    error_message = "encryption and tracing need permissions"
  }
}
