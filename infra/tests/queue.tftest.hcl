mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name = "sluice-test-chunks"
  account = {
    partition = "aws"
    region    = "eu-west-1"
    id        = "210987654321"
  }
}

run "a_queue_is_encrypted_and_denies_plain_http" {
  module {
    source = "./modules/queue"
  }

  assert {
    condition     = aws_sqs_queue.this[0].sqs_managed_sse_enabled
    error_message = "messages must be encrypted at rest"
  }

  assert {
    condition = jsondecode(aws_sqs_queue.this[0].policy).Statement[0] == {
      Sid       = "DenyPlainHttp"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = "arn:aws:sqs:eu-west-1:210987654321:sluice-test-chunks"
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }
    error_message = "the queue policy must deny every request without TLS"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.this[0].redrive_allow_policy) == { redrivePermission = "denyAll" }
    error_message = "a queue that is no dead-letter queue must say so"
  }
}

run "dead_letters_go_where_they_are_sent" {
  variables {
    dead_letter = {
      arn               = "arn:aws:sqs:eu-west-1:210987654321:sluice-test-chunks-dlq"
      max_receive_count = 5
    }
  }

  module {
    source = "./modules/queue"
  }

  assert {
    condition = jsondecode(aws_sqs_queue.this[0].redrive_policy) == {
      deadLetterTargetArn = "arn:aws:sqs:eu-west-1:210987654321:sluice-test-chunks-dlq"
      maxReceiveCount     = 5
    }
    error_message = "the redrive policy must name the dead-letter queue and the receives"
  }
}

run "a_dead_letter_queue_takes_from_its_source_only" {
  variables {
    name               = "sluice-test-chunks-dlq"
    dead_letter_source = "sluice-test-chunks"
  }

  module {
    source = "./modules/queue"
  }

  assert {
    condition = jsondecode(aws_sqs_queue.this[0].redrive_allow_policy) == {
      redrivePermission = "byQueue"
      sourceQueueArns   = ["arn:aws:sqs:eu-west-1:210987654321:sluice-test-chunks"]
    }
    error_message = "only the source queue may use the dead-letter queue"
  }

  assert {
    condition     = aws_sqs_queue.this[0].message_retention_seconds == 1209600
    error_message = "a dead-letter message must be stored for 14 days"
  }
}

run "bad_values_are_refused" {
  command = plan

  variables {
    name                       = "with space"
    visibility_timeout_seconds = 43201
    retention_days             = 15
    dead_letter = {
      arn               = "arn:aws:sqs:eu-west-1:210987654321:sluice-test-chunks-dlq"
      max_receive_count = 0
    }
  }

  module {
    source = "./modules/queue"
  }

  expect_failures = [var.name, var.visibility_timeout_seconds, var.retention_days, var.dead_letter]
}

run "a_queue_that_exists_is_named_and_not_created" {
  variables {
    existing = {
      arn = "arn:aws:sqs:eu-west-1:210987654321:theirs"
      url = "https://sqs.eu-west-1.amazonaws.com/210987654321/theirs"
    }
  }

  module {
    source = "./modules/queue"
  }

  assert {
    condition     = length(aws_sqs_queue.this) == 0
    error_message = "nothing may be created"
  }

  assert {
    condition     = [output.name, output.arn, output.url] == ["theirs", var.existing.arn, var.existing.url]
    error_message = "the outputs must name the existing queue"
  }
}

run "an_arn_and_a_url_of_two_queues_are_refused" {
  command = plan

  variables {
    existing = {
      arn = "arn:aws:sqs:eu-west-1:210987654321:theirs"
      url = "https://sqs.eu-west-1.amazonaws.com/210987654321/others"
    }
  }

  module {
    source = "./modules/queue"
  }

  expect_failures = [var.existing]
}
