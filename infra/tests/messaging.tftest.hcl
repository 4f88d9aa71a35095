# The topic and the event bus.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name = "sluice-test-thing"
}

run "services_of_the_account_publish_and_only_over_tls" {
  module {
    source = "./modules/topic"
  }

  assert {
    condition = jsondecode(aws_sns_topic_policy.this.policy).Statement[0] == {
      Sid       = "AllowEventBridge"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = "arn:aws:sns:us-east-1:123456789012:mock-topic"
    }
    error_message = "EventBridge must be allowed to publish, and meets no condition"
  }

  assert {
    condition = jsondecode(aws_sns_topic_policy.this.policy).Statement[1] == {
      Sid       = "AllowAlarmsOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = "arn:aws:sns:us-east-1:123456789012:mock-topic"
      Condition = { StringEquals = { "aws:SourceAccount" = "123456789012" } }
    }
    error_message = "alarms of this account must be allowed to publish, and no others"
  }

  assert {
    condition     = jsondecode(aws_sns_topic_policy.this.policy).Statement[2].Effect == "Deny" && jsondecode(aws_sns_topic_policy.this.policy).Statement[2].Condition == { Bool = { "aws:SecureTransport" = "false" } }
    error_message = "publishing without TLS must be denied"
  }

  assert {
    condition     = length(aws_sns_topic_subscription.email) == 0
    error_message = "there is no subscription unless asked for"
  }

  assert {
    condition     = output.account == { partition = "aws", region = "us-east-1", id = "123456789012" }
    error_message = "the account must be read from the topic's ARN"
  }
}

run "a_mailbox_is_subscribed_on_request" {
  variables {
    email = "data@example.org"
  }

  module {
    source = "./modules/topic"
  }

  assert {
    condition     = aws_sns_topic_subscription.email[0].protocol == "email" && aws_sns_topic_subscription.email[0].endpoint == "data@example.org"
    error_message = "the mailbox must be subscribed"
  }
}

run "a_topic_of_mails_takes_alarms_and_no_events" {
  variables {
    allows_eventbridge = false
  }

  module {
    source = "./modules/topic"
  }

  assert {
    condition     = [for statement in jsondecode(aws_sns_topic_policy.this.policy).Statement : statement.Sid] == ["AllowAlarmsOfThisAccount", "DenyPlainHttp"]
    error_message = "EventBridge must not be allowed to publish mails"
  }
}

run "the_bus_has_an_archive_on_request" {
  variables {
    archive_days = 30
  }

  module {
    source = "./modules/event_bus"
  }

  assert {
    condition     = aws_cloudwatch_event_archive.this[0].retention_days == 30
    error_message = "events must be kept for archive_days"
  }
}

run "the_bus_has_no_archive_by_default" {
  module {
    source = "./modules/event_bus"
  }

  assert {
    condition     = length(aws_cloudwatch_event_archive.this) == 0
    error_message = "no archive unless asked for"
  }
}

run "a_bus_name_too_long_for_its_archive_is_refused" {
  command = plan

  variables {
    name         = "sluice-test-a-name-that-is-longer-than-an-archive-may-be"
    archive_days = -1
  }

  module {
    source = "./modules/event_bus"
  }

  expect_failures = [var.name, var.archive_days]
}
