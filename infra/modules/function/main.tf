# One Lambda function: its code, its log group and its settings. Who it may call is in permissions.tf.

locals {
  zip_path = "${var.artifacts_dir}/${replace(var.code, "/", "-")}.zip"
  handler  = "${replace(var.code, "/", ".")}.handler.handler"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_s3_object" "zip" {
  bucket = var.artifacts_bucket
  key    = "functions/${var.name}.zip"
  source = local.zip_path

  # The content decides, not the file's date: the same bytes are never uploaded twice.
  source_hash = filebase64sha256(local.zip_path)
}

resource "aws_lambda_function" "this" {
  function_name = var.name
  description   = var.description
  role          = aws_iam_role.this.arn

  runtime       = var.runtime
  architectures = [var.architecture]
  handler       = local.handler
  layers        = var.layers

  s3_bucket         = aws_s3_object.zip.bucket
  s3_key            = aws_s3_object.zip.key
  s3_object_version = aws_s3_object.zip.version_id
  source_code_hash  = filebase64sha256(local.zip_path)
  publish           = var.release.versioned

  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = coalesce(var.reserved_concurrency, -1)

  ephemeral_storage {
    size = var.ephemeral_storage_mb
  }

  environment {
    variables = merge(var.environment, {
      # Powertools loads the X-Ray SDK only when it is to be used.
      POWERTOOLS_TRACE_DISABLED = tostring(var.tracing_mode != "Active")
    })
  }

  tracing_config {
    mode = var.tracing_mode
  }

  dynamic "vpc_config" {
    for_each = var.network == null ? [] : [var.network]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  # Lambda makes a log group that never expires when it finds none, and a first invocation needs the permissions.
  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.this]
}

# What triggers invoke, so that a new version is in service at once, in steps (sluice shift), or not at all (sluice rollback).
resource "aws_lambda_alias" "live" {
  count = var.release.versioned ? 1 : 0

  name             = "live"
  description      = "The version in service"
  function_name    = aws_lambda_function.this.function_name
  function_version = lookup(var.release.held, var.name, aws_lambda_function.this.version)

  lifecycle {
    ignore_changes = [routing_config] # a shift owns the weights while it lasts
  }
}

# What becomes of an asynchronous invocation that fails: a limited number of further attempts, then the queue.
resource "aws_lambda_function_event_invoke_config" "this" {
  count = var.on_failure == null ? 0 : 1

  function_name                = aws_lambda_function.this.function_name
  maximum_retry_attempts       = var.on_failure.retry_attempts
  maximum_event_age_in_seconds = var.on_failure.max_event_age_seconds

  destination_config {
    on_failure {
      destination = var.on_failure.queue_arn
    }
  }
}
