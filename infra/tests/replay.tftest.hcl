# The replay workflow. tests/infra lints its definition and checks its policies in the state of core.tftest.hcl.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                     = "sluice-test-replay"
  account_id               = "123456789012"
  function_arn             = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-replay"
  function_timeout_seconds = 300
  topic_arn                = "arn:aws:sns:us-east-1:123456789012:sluice-test-notifications"
  deadline_seconds         = 3600
}

run "the_whole_ends_after_the_wait_and_errors_are_logged" {
  module {
    source = "./modules/replay"
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.this.definition).TimeoutSeconds > var.deadline_seconds + 2 * var.function_timeout_seconds
    error_message = "the last look and the reconciliation must fit between the deadline and the timeout, or nobody is told"
  }

  assert {
    condition     = aws_sfn_state_machine.this.logging_configuration[0].level == "ERROR" && endswith(aws_sfn_state_machine.this.logging_configuration[0].log_destination, ":*")
    error_message = "errors must be logged"
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.schedule) == 0 && length(aws_iam_role.schedule) == 0
    error_message = "there is no schedule unless one is given"
  }
}

run "a_replay_that_is_cut_short_is_told_by_eventbridge" {
  module {
    source = "./modules/replay"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.cut_short.event_pattern).detail == { stateMachineArn = [aws_sfn_state_machine.this.arn], status = ["ABORTED", "TIMED_OUT"] }
    error_message = "this workflow's ends that run no state must be told"
  }

  assert {
    condition     = aws_cloudwatch_event_target.cut_short.arn == var.topic_arn && jsondecode(aws_cloudwatch_event_target.cut_short.input_transformer[0].input_template).replay == "<name>"
    error_message = "the topic must hear which replay it was"
  }
}

run "a_schedule_starts_this_workflow_with_its_request" {
  variables {
    schedule = {
      expression = "rate(1 day)"
      request    = { prefix = "bronze/flights/", since = "1d" }
    }
  }

  module {
    source = "./modules/replay"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.schedule[0].schedule_expression == "rate(1 day)" && jsondecode(aws_cloudwatch_event_target.schedule[0].input) == { prefix = "bronze/flights/", since = "1d" }
    error_message = "the schedule must carry the request, without what it does not say"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.schedule[0].policy).Statement[0].Resource == [aws_sfn_state_machine.this.arn] && jsondecode(aws_iam_role_policy.schedule[0].policy).Statement[0].Action == ["states:StartExecution"]
    error_message = "the schedule may start this workflow and nothing else"
  }
}

run "keys_and_traces_are_allowed_when_they_are_used" {
  variables {
    topic_kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    tracing_mode      = "Active"
  }

  module {
    source = "./modules/replay"
  }

  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid] == ["RunSteps", "SendNotices", "DeliverLog", "UseTopicKey", "WriteTraces"]
    error_message = "an encrypted topic and tracing need permissions"
  }

  assert {
    condition     = aws_sfn_state_machine.this.tracing_configuration[0].enabled
    error_message = "Active must trace"
  }
}

run "more_batches_than_a_map_runs_are_refused" {
  command = plan

  variables {
    max_concurrency = 41
  }

  module {
    source = "./modules/replay"
  }

  expect_failures = [var.max_concurrency]
}
