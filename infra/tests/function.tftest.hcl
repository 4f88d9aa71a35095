# The function and its layer. The zips are empty: only their hashes matter.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name             = "sluice-test-ingest"
  description      = "A function"
  artifacts_bucket = "sluice-test-artifacts"
  code             = "core/ingest"
  artifacts_dir    = "./tests/artifacts"
}

run "a_function_may_write_its_own_logs_and_nothing_else" {
  module {
    source = "./modules/function"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.this.policy).Statement == [{
      Sid      = "WriteOwnLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/mock-function:*"
    }]
    error_message = "without further permissions the role writes its own logs only"
  }

  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
    error_message = "only Lambda may assume the role"
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/sluice-test-ingest" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "the log group must be the function's, and must expire"
  }

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == -1
    error_message = "no concurrency is reserved unless asked for"
  }
}

run "code_is_taken_from_the_version_that_was_uploaded" {
  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_lambda_function.this.s3_key == aws_s3_object.zip.key && aws_lambda_function.this.s3_object_version == "mock-version"
    error_message = "the function must run the object version that was uploaded"
  }

  assert {
    condition     = aws_lambda_function.this.source_code_hash == filebase64sha256("./tests/artifacts/core-ingest.zip") && aws_s3_object.zip.source_hash == aws_lambda_function.this.source_code_hash
    error_message = "the content of the zip must decide whether it is uploaded"
  }
}

run "failed_events_go_to_the_queue_and_the_role_may_send_them" {
  variables {
    on_failure = {
      queue_arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-ingest-dlq"
    }
    permissions = [{
      sid       = "ReadBronze"
      actions   = ["s3:GetObject"]
      resources = ["arn:aws:s3:::sluice-test-bronze/bronze/*"]
    }]
  }

  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.this[0].maximum_retry_attempts == 2
    error_message = "a failed event must be tried twice more"
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.this[0].destination_config[0].on_failure[0].destination == "arn:aws:sqs:us-east-1:123456789012:sluice-test-ingest-dlq"
    error_message = "a failed event must end in the queue"
  }

  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : [s.Sid, s.Resource]] == [
      ["WriteOwnLogs", "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/mock-function:*"],
      ["SendFailedEvents", "arn:aws:sqs:us-east-1:123456789012:sluice-test-ingest-dlq"],
      ["ReadBronze", ["arn:aws:s3:::sluice-test-bronze/bronze/*"]],
    ]
    error_message = "the role must hold exactly what was asked for"
  }
}

run "without_versions_the_function_itself_is_invoked" {
  module {
    source = "./modules/function"
  }

  assert {
    condition     = !aws_lambda_function.this.publish && length(aws_lambda_alias.live) == 0
    error_message = "no version is published unless asked for"
  }

  assert {
    condition     = output.arn == aws_lambda_function.this.arn && output.invoke_arn == aws_lambda_function.this.invoke_arn && output.qualifier == null
    error_message = "triggers must invoke the function"
  }
}

run "a_version_is_published_and_put_into_service_by_its_alias" {
  variables {
    release = { versioned = true, held = {} }
  }

  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_lambda_function.this.publish && aws_lambda_alias.live[0].function_version == aws_lambda_function.this.version
    error_message = "the alias must name the version that was published last"
  }

  assert {
    condition     = output.arn == aws_lambda_alias.live[0].arn && output.invoke_arn == aws_lambda_alias.live[0].invoke_arn && output.qualifier == "live"
    error_message = "triggers must invoke the alias"
  }
}

run "a_held_alias_stays_at_its_version" {
  variables {
    release = { versioned = true, held = { sluice-test-ingest = "41", other = "7" } }
  }

  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_lambda_alias.live[0].function_version == "41"
    error_message = "a shift moves a held alias, not the deployment"
  }
}

run "an_alias_is_held_at_a_published_version_only" {
  command = plan

  variables {
    release = { versioned = true, held = { sluice-test-ingest = "$LATEST" } }
  }

  module {
    source = "./modules/function"
  }

  expect_failures = [var.release]
}

run "active_tracing_brings_its_permission" {
  variables {
    tracing_mode = "Active"
  }

  module {
    source = "./modules/function"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[1].Action == ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    error_message = "a traced function must be allowed to write traces"
  }
}

run "wildcard_actions_and_resources_are_refused" {
  command = plan

  variables {
    permissions = [
      { sid = "Everything", actions = ["s3:*"], resources = ["arn:aws:s3:::sluice-test-bronze/bronze/*"] },
    ]
  }

  module {
    source = "./modules/function"
  }

  expect_failures = [var.permissions]
}

run "a_resource_of_star_is_refused" {
  command = plan

  variables {
    permissions = [{ sid = "Anywhere", actions = ["sqs:SendMessage"], resources = ["*"] }]
  }

  module {
    source = "./modules/function"
  }

  expect_failures = [var.permissions]
}

run "a_whole_bucket_is_refused" {
  command = plan

  variables {
    permissions = [{ sid = "Bucket", actions = ["s3:GetObject"], resources = ["arn:aws:s3:::sluice-test-bronze/*"] }]
  }

  module {
    source = "./modules/function"
  }

  expect_failures = [var.permissions]
}

run "bad_sizes_are_refused" {
  command = plan

  variables {
    name                 = "with space"
    architecture         = "sparc"
    memory_mb            = 127
    timeout_seconds      = 901
    ephemeral_storage_mb = 511
    reserved_concurrency = -1
    tracing_mode         = "On"
    layers               = ["a", "b", "c", "d", "e", "f"]
    on_failure           = { queue_arn = "arn:aws:sqs:us-east-1:123456789012:q", retry_attempts = 3 }
  }

  module {
    source = "./modules/function"
  }

  expect_failures = [
    var.name, var.architecture, var.memory_mb, var.timeout_seconds, var.ephemeral_storage_mb,
    var.reserved_concurrency, var.tracing_mode, var.layers, var.on_failure,
  ]
}

run "a_layer_is_taken_from_the_version_that_was_uploaded" {
  variables {
    zip_path = "./tests/artifacts/layer-base.zip"
  }

  module {
    source = "./modules/layer"
  }

  assert {
    condition     = aws_lambda_layer_version.this.s3_key == aws_s3_object.zip.key && aws_lambda_layer_version.this.s3_object_version == "mock-version"
    error_message = "the layer must hold the object version that was uploaded"
  }

  assert {
    condition     = aws_lambda_layer_version.this.compatible_runtimes == toset(["python3.13"])
    error_message = "the layer must name its runtime"
  }
}
