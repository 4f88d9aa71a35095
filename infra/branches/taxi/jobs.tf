# The Glue jobs, in the order of the workflow. Each writes its report last, and may write only what is its own.

locals {
  # Of each run; the workflow gives year, month and batch.
  job_arguments = {
    "--year"   = "none"
    "--month"  = "none"
    "--batch"  = "none"
    "--bucket" = module.bucket.name
    "--prefix" = local.prefix
  }

  # Without it S3 answers 403 instead of 404 for what is not there.
  find_objects = { sid = "FindObjects", actions = ["s3:ListBucket"], resources = [module.bucket.arn] }
}

module "ingest" {
  source = "../../modules/glue_job"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name             = "${local.name}-ingest"
  description      = "Downloads the public file of a month, as it is"
  account          = local.account
  code             = "taxi/ingest"
  kind             = "pythonshell"
  artifacts_bucket = var.core.buckets.artifacts.name
  artifacts_dir    = var.deployment.artifacts_dir
  arguments = merge(local.job_arguments, {
    "--source_url" = var.settings.source_url
    "library-set"  = "analytics" # with PyArrow: https://docs.aws.amazon.com/glue/latest/dg/add-job-python.html
  })
  timeout_minutes     = var.settings.ingest_timeout_minutes
  max_concurrent_runs = var.settings.max_concurrency

  permissions = concat([
    local.find_objects,
    {
      sid       = "WriteRaw"
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${module.bucket.arn}/raw/*"]
    },
    {
      sid       = "WriteReport"
      actions   = ["s3:PutObject"]
      resources = ["${module.bucket.arn}/reports/ingest/*"]
    },
  ], var.deployment.kms_permissions)
}

module "transform" {
  source = "../../modules/glue_job"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name                = "${local.name}-transform"
  description         = "Cleans the trips of a month; rejected ones are kept with their reason"
  account             = local.account
  code                = "taxi/transform"
  kind                = "glueetl"
  artifacts_bucket    = var.core.buckets.artifacts.name
  artifacts_dir       = var.deployment.artifacts_dir
  arguments           = local.job_arguments
  timeout_minutes     = var.settings.transform_timeout_minutes
  max_concurrent_runs = var.settings.max_concurrency
  workers             = { type = "G.1X", number = var.settings.transform_workers }

  permissions = concat([
    local.find_objects,
    {
      sid       = "ReadRaw"
      actions   = ["s3:GetObject"]
      resources = ["${module.bucket.arn}/raw/*", "${module.bucket.arn}/reports/ingest/*"]
    },
    {
      # The last two are objects with which Spark's file system of AWS marks folders.
      sid     = "WriteRows"
      actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
      resources = [
        "${module.bucket.arn}/clean/*", "${module.bucket.arn}/rejected/*",
        "${module.bucket.arn}/clean_$folder$", "${module.bucket.arn}/rejected_$folder$",
      ]
    },
    {
      sid       = "WriteReport"
      actions   = ["s3:PutObject"]
      resources = ["${module.bucket.arn}/reports/transform/*"]
    },
  ], var.deployment.kms_permissions)
}

module "load" {
  source = "../../modules/glue_job"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name                = "${local.name}-load"
  description         = "Replaces a month of trips in the warehouse, in one transaction"
  account             = local.account
  code                = "taxi/load"
  kind                = "pythonshell"
  artifacts_bucket    = var.core.buckets.artifacts.name
  artifacts_dir       = var.deployment.artifacts_dir
  timeout_minutes     = var.settings.load_timeout_minutes
  max_concurrent_runs = var.settings.max_concurrency

  arguments = merge(local.job_arguments, {
    "--workgroup" = aws_redshiftserverless_workgroup.this.workgroup_name
    "--database"  = aws_redshiftserverless_namespace.this.db_name
    "--copy_role" = aws_iam_role.copy.arn
  })

  permissions = concat([
    local.find_objects,
    {
      sid       = "ReadReports"
      actions   = ["s3:GetObject"]
      resources = ["${module.bucket.arn}/reports/ingest/*", "${module.bucket.arn}/reports/transform/*"]
    },
    {
      sid       = "WriteManifestAndReport"
      actions   = ["s3:PutObject"]
      resources = ["${module.bucket.arn}/manifests/*", "${module.bucket.arn}/reports/load/*"]
    },
    {
      sid = "LoadMonth"
      actions = [
        "redshift-data:ExecuteStatement", "redshift-data:BatchExecuteStatement", "redshift-serverless:GetCredentials",
      ]
      resources = [aws_redshiftserverless_workgroup.this.arn]
    },
    {
      # These have no resource to name.
      sid       = "FollowStatements"
      actions   = ["redshift-data:DescribeStatement", "redshift-data:ListStatements"]
      resources = ["*"]
    },
  ], var.deployment.kms_permissions)
}
