# Audits with Great Expectations: a Glue job, for objects that are larger than a function takes, or for all of them.

resource "aws_s3_object" "job" {
  for_each = local.job_objects

  bucket = var.core.buckets.artifacts.name
  key    = each.value.key
  source = each.value.path

  # The content decides, not the file's date: the same bytes are never uploaded twice.
  source_hash = filebase64sha256(each.value.path)
}

locals {
  job_name = "${local.name}-audit"
  # Versions that are tested together (jobs/quality/modules.txt).
  job_modules = ["great_expectations==1.24.1", "pandas==3.1.1", "pyarrow==26.0.1"]
  job_objects = {
    library = { key = "jobs/${local.job_name}.zip", path = "${var.deployment.artifacts_dir}/job-quality-audit.zip" }
    script  = { key = "jobs/${local.job_name}.py", path = "${var.deployment.artifacts_dir}/script-quality-audit.py" }
  }
  job_logs = "arn:${local.account.partition}:logs:${local.account.region}:${local.account.id}:log-group:/aws-glue/jobs"

  job_statements = concat([
    {
      sid       = "ReadCode"
      actions   = ["s3:GetObject"]
      resources = [for object in local.job_objects : "${var.core.buckets.artifacts.arn}/${object.key}"]
    },
    local.read_ledger,
    local.read_rules,
    {
      sid       = "ReadStaged"
      actions   = ["s3:GetObject"]
      resources = [var.core.objects.staged]
    },
    {
      # Without it S3 answers 403 instead of 404 for what is gone:
      # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
      sid       = "DistinguishMissingFromForbidden"
      actions   = ["s3:ListBucket"]
      resources = [var.core.buckets.staging.arn]
    },
    {
      sid       = "WriteVerdicts"
      actions   = ["s3:PutObject"]
      resources = ["${module.bucket.arn}/${local.results_prefix}*", "${module.bucket.arn}/${local.pages_prefix}*"]
    },
    {
      # https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html
      sid       = "WriteLogs"
      actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
      resources = ["${local.job_logs}/output:*", "${local.job_logs}/error:*"]
    },
  ], var.deployment.kms_permissions)
}

resource "aws_iam_role" "job" {
  name        = "${local.job_name}-job"
  description = "Role of the Glue job ${local.job_name}"

  permissions_boundary = var.deployment.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "glue.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "job" {
  name = "job"
  role = aws_iam_role.job.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for statement in local.job_statements :
      { Sid = statement.sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources }
    ]
  })
}

resource "aws_glue_job" "audit" {
  name        = local.job_name
  description = "Holds staged objects against what their datasets expect, with Great Expectations"
  role_arn    = aws_iam_role.job.arn
  # Python shell jobs have Python 3.9, which Great Expectations no longer supports; Glue 6.0 has Python 3.13.
  glue_version      = "6.0"
  worker_type       = "G.1X"
  number_of_workers = 2
  timeout           = var.settings.job_timeout_minutes
  max_retries       = 0 # the workflow tries again

  command {
    name            = "glueetl"
    script_location = "s3://${aws_s3_object.job["script"].bucket}/${aws_s3_object.job["script"].key}"
    python_version  = "3"
  }

  execution_property {
    max_concurrent_runs = var.settings.max_concurrency
  }

  default_arguments = merge(
    {
      "--additional-python-modules" = join(",", local.job_modules)
      "--extra-py-files"            = "s3://${aws_s3_object.job["library"].bucket}/${aws_s3_object.job["library"].key}"
      "--job-bookmark-option"       = "job-bookmark-disable"
      "--LEDGER_TABLE"              = var.core.tables.ledger.name
      "--STAGING_BUCKET"            = var.core.buckets.staging.name
      "--SILVER_BUCKET"             = var.core.buckets.silver.name
      "--QUALITY_BUCKET"            = module.bucket.name
    },
    { for name, value in var.core.datasets.environment : "--${name}" => value },
  )

  depends_on = [aws_iam_role_policy.job]
}
