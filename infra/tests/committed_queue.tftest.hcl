# The queue through which a branch receives committed objects.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name = "sluice-test-branch"
  account = {
    partition = "aws"
    region    = "us-east-1"
    id        = "123456789012"
  }
  event_bus_name           = "sluice-test-events"
  function_timeout_seconds = 20
  retention_days           = 4
  max_receive_count        = 5
  label                    = "branch"
}

run "only_this_rule_of_this_account_fills_the_queue" {
  module {
    source = "./modules/committed_queue"
  }

  assert {
    condition = jsondecode(module.queue.policy).Statement[1] == {
      Sid       = "TakeEvents"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:us-east-1:123456789012:sluice-test-branch"
      Condition = {
        StringEquals = { "aws:SourceAccount" = "123456789012" }
        ArnEquals    = { "aws:SourceArn" = "arn:aws:events:us-east-1:123456789012:rule/sluice-test-events/sluice-test-branch" }
      }
    }
    error_message = "the rule of this name, and nothing else, may send"
  }

  assert {
    condition     = aws_cloudwatch_event_target.this.dead_letter_config[0].arn == module.dlq.arn && jsondecode(module.dlq.policy).Statement[1].Condition == jsondecode(module.queue.policy).Statement[1].Condition
    error_message = "what cannot be delivered goes to the dead-letter queue, which lets the same rule send"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.this.name == "sluice-test-branch" && jsondecode(aws_cloudwatch_event_rule.this.event_pattern) == { source = ["sluice"], detail-type = ["object.committed"] }
    error_message = "committed objects are what the branch subscribes to"
  }
}

run "a_name_that_no_rule_may_have_is_refused" {
  command = plan

  variables {
    name = "sluice test"
  }

  module {
    source = "./modules/committed_queue"
  }

  expect_failures = [var.name]
}

run "staged_objects_are_another_event_and_gathering_hides_them_longer" {
  variables {
    event                   = "object.staged"
    left_out                = ["clicks"]
    batching_window_seconds = 30
  }

  module {
    source = "./modules/committed_queue"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this.event_pattern) == { source = ["sluice"], detail-type = ["object.staged"], detail = { dataset = [{ anything-but = ["clicks"] }] } }
    error_message = "the rule must be about the event that the caller names, and not about datasets that it leaves out"
  }
}
