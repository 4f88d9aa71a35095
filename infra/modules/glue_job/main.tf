# One Glue job: its script, its role and its settings. Who starts it, and tries it again, is the caller's: a workflow.

locals {
  code       = replace(var.code, "/", "-")
  script     = "${var.artifacts_dir}/script-${local.code}.py"
  is_spark   = var.kind == "glueetl"
  log_groups = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:/aws-glue/${local.is_spark ? "jobs" : "python-jobs"}"
  permissions = concat([
    {
      sid       = "ReadCode"
      actions   = ["s3:GetObject"]
      resources = ["arn:${var.account.partition}:s3:::${var.artifacts_bucket}/${local.script_key}"]
    },
    {
      # https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html
      sid       = "WriteLogs"
      actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
      resources = ["${local.log_groups}/output:*", "${local.log_groups}/error:*"]
    },
  ], var.permissions)
  script_key = "jobs/${var.name}.py"
}

resource "aws_s3_object" "script" {
  bucket = var.artifacts_bucket
  key    = local.script_key
  source = local.script

  # The content decides, not the file's date: the same bytes are never uploaded twice.
  source_hash = filebase64sha256(local.script)
}

resource "aws_iam_role" "this" {
  name        = "${var.name}-job"
  description = "Role of the Glue job ${var.name}"

  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "glue.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "job"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for statement in local.permissions :
      { Sid = statement.sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources }
    ]
  })
}

resource "aws_glue_job" "this" {
  name              = var.name
  description       = var.description
  role_arn          = aws_iam_role.this.arn
  glue_version      = local.is_spark ? "6.0" : null
  worker_type       = local.is_spark ? var.workers.type : null
  number_of_workers = local.is_spark ? var.workers.number : null
  max_capacity      = local.is_spark ? null : var.capacity
  timeout           = var.timeout_minutes
  max_retries       = 0 # who starts it tries again

  command {
    name            = var.kind
    script_location = "s3://${aws_s3_object.script.bucket}/${aws_s3_object.script.key}"
    python_version  = local.is_spark ? "3" : "3.9"
  }

  execution_property {
    max_concurrent_runs = var.max_concurrent_runs
  }

  default_arguments = merge({ "--job-bookmark-option" = "job-bookmark-disable" }, var.arguments)

  depends_on = [aws_iam_role_policy.this]
}
