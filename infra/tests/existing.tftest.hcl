# Queues that exist already are used, and nothing of theirs is created.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  env           = "test"
  artifacts_dir = "./tests/artifacts"
}

run "an_existing_queue_and_its_dead_letter_queue_are_used" {
  variables {
    existing_chunk_queue = {
      arn = "arn:aws:sqs:us-east-1:123456789012:theirs"
      url = "https://sqs.us-east-1.amazonaws.com/123456789012/theirs"
    }
    existing_chunk_dlq = {
      arn = "arn:aws:sqs:us-east-1:123456789012:theirs-dlq"
      url = "https://sqs.us-east-1.amazonaws.com/123456789012/theirs-dlq"
    }
  }

  module {
    source = "./stack"
  }

  assert {
    condition     = [output.chunk_queue_url, output.chunk_dlq_url] == [var.existing_chunk_queue.url, var.existing_chunk_dlq.url]
    error_message = "functions and tools must be led to the existing queues"
  }
}

run "an_existing_queue_without_its_dead_letter_queue_is_refused" {
  command = plan

  variables {
    existing_chunk_queue = {
      arn = "arn:aws:sqs:us-east-1:123456789012:theirs"
      url = "https://sqs.us-east-1.amazonaws.com/123456789012/theirs"
    }
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.existing_chunk_queue]
}

run "a_queue_that_is_its_own_dead_letter_queue_is_refused" {
  command = plan

  variables {
    existing_chunk_queue = {
      arn = "arn:aws:sqs:us-east-1:123456789012:theirs"
      url = "https://sqs.us-east-1.amazonaws.com/123456789012/theirs"
    }
    existing_chunk_dlq = {
      arn = "arn:aws:sqs:us-east-1:123456789012:theirs"
      url = "https://sqs.us-east-1.amazonaws.com/123456789012/theirs"
    }
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.existing_chunk_queue]
}
