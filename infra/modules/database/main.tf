# Aurora PostgreSQL Serverless v2 in private subnets. The master's password is made and kept by RDS in Secrets Manager: it
# never passes through Terraform, so no plan, state or output holds it.

resource "aws_db_subnet_group" "this" {
  name        = var.name
  description = "Private subnets of ${var.name}"
  subnet_ids  = [for subnet in aws_subnet.private : subnet.id]
}

# When the database was made. Its last snapshot is named after it: that of an earlier one stays, and its name is taken.
resource "terraform_data" "made" {
  count = var.force_destroy ? 0 : 1

  input = formatdate("YYYYMMDDhhmmss", plantimestamp())

  lifecycle {
    ignore_changes = [input]
  }
}

resource "aws_rds_cluster" "this" {
  cluster_identifier = var.name
  engine             = "aurora-postgresql"
  engine_version     = var.engine_version
  database_name      = var.database_name

  master_username             = var.master_username
  manage_master_user_password = true

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.database.id]

  storage_encrypted = true
  kms_key_id        = var.kms_key_arn

  backup_retention_period   = var.backup_retention_days
  copy_tags_to_snapshot     = true
  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = var.force_destroy
  final_snapshot_identifier = var.force_destroy ? null : "${var.name}-final-${terraform_data.made[0].output}"
  # Data that matters changes in the maintenance window.
  apply_immediately = !var.deletion_protection

  serverlessv2_scaling_configuration {
    min_capacity = var.min_capacity
    max_capacity = var.max_capacity
  }
}

resource "aws_rds_cluster_instance" "writer" {
  identifier         = "${var.name}-writer"
  cluster_identifier = aws_rds_cluster.this.id
  engine             = aws_rds_cluster.this.engine
  engine_version     = aws_rds_cluster.this.engine_version
  instance_class     = "db.serverless"

  db_subnet_group_name = aws_db_subnet_group.this.name
  publicly_accessible  = false
}

# Takes over when the writer's zone fails. Tiers 0 and 1 have the writer's capacity at all times:
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-administration.html
resource "aws_rds_cluster_instance" "reader" {
  count = var.readers

  identifier         = "${var.name}-reader"
  cluster_identifier = aws_rds_cluster.this.id
  engine             = aws_rds_cluster.this.engine
  engine_version     = aws_rds_cluster.this.engine_version
  instance_class     = "db.serverless"
  promotion_tier     = 1
  availability_zone  = [for zone in var.availability_zones : zone if zone != aws_rds_cluster_instance.writer.availability_zone][0]

  db_subnet_group_name = aws_db_subnet_group.this.name
  publicly_accessible  = false
}

# The roles that functions log in with. Terraform makes the secrets empty; the migrations make the roles and put the
# passwords here.
resource "aws_secretsmanager_secret" "role" {
  for_each = toset(var.roles)

  # For 30 days a deleted secret can be restored and its name is taken: the next one of a cluster needs another.
  name                    = var.force_destroy ? "${var.name}-${each.key}" : null
  name_prefix             = var.force_destroy ? null : "${var.name}-${each.key}-"
  description             = "Login of the database role ${each.key} of ${var.name}"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.force_destroy ? 0 : 30
}
