# Redshift Serverless. The admin's password is made and kept by Redshift in Secrets Manager; functions and jobs come with their
# roles, through the Data API, so no password is anywhere else.

resource "aws_redshiftserverless_namespace" "this" {
  namespace_name        = local.name
  db_name               = "taxi"
  admin_username        = "taxi_admin"
  manage_admin_password = true

  kms_key_id                       = var.deployment.kms_key_arn
  admin_password_secret_kms_key_id = var.deployment.kms_key_arn

  iam_roles            = [aws_iam_role.copy.arn]
  default_iam_role_arn = aws_iam_role.copy.arn
  log_exports          = ["userlog", "connectionlog", "useractivitylog"]
}

resource "aws_redshiftserverless_workgroup" "this" {
  workgroup_name = local.name
  namespace_name = aws_redshiftserverless_namespace.this.namespace_name
  base_capacity  = var.settings.base_capacity
  max_capacity   = var.settings.max_capacity

  # COPY reads S3 through the network's own endpoint.
  enhanced_vpc_routing = true
  publicly_accessible  = false
  subnet_ids           = [for zone in local.zones : aws_subnet.private[zone].id]
  security_group_ids   = [aws_security_group.warehouse.id]
}

# What COPY may read. https://docs.aws.amazon.com/redshift/latest/mgmt/redshift-serverless-iam.html
resource "aws_iam_role" "copy" {
  name        = "${local.name}-copy"
  description = "Role with which the warehouse ${local.name} reads the clean rows"

  permissions_boundary = var.deployment.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"] }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "copy" {
  name = "copy"
  role = aws_iam_role.copy.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "ReadCleanRows"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${module.bucket.arn}/clean/*", "${module.bucket.arn}/manifests/*"]
      },
      {
        Sid      = "FindFiles"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = [module.bucket.arn]
      },
      ], [for permission in var.deployment.kms_permissions : {
        Sid      = permission.sid
        Effect   = "Allow"
        Action   = permission.actions
        Resource = permission.resources
    }])
  })
}

# --- migrate ---------------------------------------------------------------------------------------------------------

module "migrate" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = "${local.name}-migrate"
  description        = "Brings the warehouse of trips up to date: tables, view, users and what they may do"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "taxi/migrate"
  artifacts_dir      = var.deployment.artifacts_dir
  layers             = [var.core.layers.base]
  memory_mb          = 256
  timeout_seconds    = 300
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days
  alarms             = false # the deployment fails when it fails
  calls_any          = { ReadOwnStatements = local.read_statements }

  environment = merge(var.deployment.environment, {
    POWERTOOLS_SERVICE_NAME = "taxi-migrate"
    WORKGROUP               = aws_redshiftserverless_workgroup.this.workgroup_name
    DATABASE                = aws_redshiftserverless_namespace.this.db_name
    ADMIN_SECRET_ARN        = aws_redshiftserverless_namespace.this.admin_password_secret_arn
    LOADER_ROLE             = module.load.role_name
    READER_ROLES            = jsonencode([local.steps_name])
  })

  permissions = concat([
    {
      sid       = "RunMigrations"
      actions   = ["redshift-data:ExecuteStatement", "redshift-data:BatchExecuteStatement"]
      resources = [aws_redshiftserverless_workgroup.this.arn]
    },
    {
      sid       = "ReadAdmin"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [aws_redshiftserverless_namespace.this.admin_password_secret_arn]
    },
  ], var.deployment.kms_permissions)
}

# Once for each content of the function (its SQL is in the zip) and each warehouse.
resource "aws_lambda_invocation" "migrate" {
  function_name = module.migrate.name
  input         = "{}"

  triggers = {
    code      = module.migrate.code_hash
    warehouse = "${aws_redshiftserverless_namespace.this.namespace_id} ${aws_redshiftserverless_workgroup.this.workgroup_id}"
  }
}
