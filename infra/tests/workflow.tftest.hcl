# A workflow: what is around its definition. tests/infra lints the definitions and checks the policies in the state of
# core.tftest.hcl.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name          = "sluice-test-replay"
  account_id    = "123456789012"
  function_arn  = "arn:aws:lambda:us-east-1:123456789012:function:sluice-test-replay"
  topic_arn     = "arn:aws:sns:us-east-1:123456789012:sluice-test-notifications"
  event_dlq_arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-events-dlq"
  definition    = { Comment = "a test's", TimeoutSeconds = 60, StartAt = "Done", States = { Done = { Type = "Succeed" } } }

  aborted_notice = { kind = "replay.failed", replay = "<name>", reason = "<status>", workflow = "<machine>" }
}

run "the_definition_is_the_callers_and_errors_are_logged" {
  module {
    source = "./modules/workflow"
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.this.definition) == { Comment = "a test's", TimeoutSeconds = 60, StartAt = "Done", States = { Done = { Type = "Succeed" } } }
    error_message = "the definition must arrive as it was given"
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

run "eventbridge_notifies_of_a_run_that_was_aborted" {
  module {
    source = "./modules/workflow"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.aborted.event_pattern).detail == { stateMachineArn = [aws_sfn_state_machine.this.arn], status = ["ABORTED", "TIMED_OUT"] }
    error_message = "this workflow's ends that run no state must be reported"
  }

  assert {
    condition     = aws_cloudwatch_event_target.aborted.arn == var.topic_arn && tomap(jsondecode(aws_cloudwatch_event_target.aborted.input_transformer[0].input_template)) == var.aborted_notice
    error_message = "the notice must name the run"
  }

  assert {
    condition     = aws_cloudwatch_event_target.aborted.dead_letter_config[0].arn == var.event_dlq_arn
    error_message = "a notice that does not reach the topic must not be lost"
  }

  assert {
    condition     = strcontains(aws_cloudwatch_event_target.aborted.input_transformer[0].input_template, "\"<name>\"")
    error_message = "EventBridge fills in <name>, not an escape of it"
  }
}

run "a_schedule_starts_this_workflow_with_its_input" {
  variables {
    schedules = {
      schedule = {
        expression = "rate(1 day)"
        input      = jsonencode({ prefix = "bronze/flights/", since = "1d" })
      }
    }
  }

  module {
    source = "./modules/workflow"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.schedule["schedule"].schedule_expression == "rate(1 day)" && jsondecode(aws_cloudwatch_event_target.schedule["schedule"].input) == { prefix = "bronze/flights/", since = "1d" }
    error_message = "the schedule must carry the input"
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
    permissions       = [{ sid = "WriteLog", actions = ["dynamodb:UpdateItem"], resources = ["arn:aws:dynamodb:us-east-1:123456789012:table/log"] }]
  }

  module {
    source = "./modules/workflow"
  }

  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid] == ["RunSteps", "SendNotices", "DeliverLog", "WriteLog", "UseTopicKey", "WriteTraces"]
    error_message = "what the caller adds, an encrypted topic and tracing need permissions"
  }

  assert {
    condition     = aws_sfn_state_machine.this.tracing_configuration[0].enabled
    error_message = "Active must trace"
  }
}

run "the_parts_of_definitions_are_retried_and_notify_of_the_end" {
  command = plan

  variables {
    function_timeout_seconds = 300
    steps                    = { plan = { "request.$" = "$.request" } }
    notice_path              = "$.ended"
    failed                   = { error = "TestFailed", cause = "why", record = "the log" }
  }

  module {
    source = "./modules/workflow_tasks"
  }

  assert {
    condition     = output.steps.plan.TimeoutSeconds == 310 && output.steps.plan.Parameters.Payload["request.$"] == "$.request" && output.steps.plan.Parameters.Payload.step == "plan"
    error_message = "a step must outlive its function and carry its parameters"
  }

  assert {
    condition     = output.retry[0].ErrorEquals == ["InvalidRequest"] && output.retry[0].MaxAttempts == 0 && output.retry[1].ErrorEquals == ["States.ALL"]
    error_message = "a permanent error is not retried, every other one is"
  }

  assert {
    condition     = output.endings.NotifyFailure.InputPath == "$.ended" && output.endings.NotifyFailure.Next == "Failed" && output.endings.Failed.Error == "TestFailed"
    error_message = "a run that failed must notify before it ends"
  }

  assert {
    condition     = output.partition == "aws"
    error_message = "the partition is the function's"
  }
}
