# The crawler (partitions = crawled): it finds the dates of the tables that Terraform made, and adds them as partitions.

resource "aws_glue_crawler" "this" {
  count = local.crawled ? 1 : 0

  name          = local.name
  description   = "Adds new dates of silver to the tables of the datasets."
  database_name = aws_glue_catalog_database.silver.name
  role          = aws_iam_role.crawler[0].arn
  schedule      = var.settings.crawler_schedule

  # Tables that are there before: it makes none of its own, and deletes none.
  # https://docs.aws.amazon.com/glue/latest/dg/tables-described.html#update-manual-tables
  catalog_target {
    database_name = aws_glue_catalog_database.silver.name
    tables        = sort([for table in aws_glue_catalog_table.dataset : table.name])
  }

  # The YAML says what a table's columns are, not a file; partitions have the table's.
  schema_change_policy {
    update_behavior = "LOG"
    delete_behavior = "LOG"
  }
  recrawl_policy {
    recrawl_behavior = "CRAWL_EVERYTHING"
  }
  configuration = jsonencode({
    Version       = 1.0
    Grouping      = { TableGroupingPolicy = "CombineCompatibleSchemas" }
    CrawlerOutput = { Partitions = { AddOrUpdateBehavior = "InheritFromTable" } }
  })

  depends_on = [aws_iam_role_policy.crawler]
}

resource "aws_iam_role" "crawler" {
  count = local.crawled ? 1 : 0

  name        = "${local.name}-crawler"
  description = "Of the crawler that finds the dates of silver."

  permissions_boundary = var.deployment.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "glue.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "crawler" {
  count = local.crawled ? 1 : 0

  name = "crawl"
  role = aws_iam_role.crawler[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "ListSilver"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = [var.core.buckets.silver.arn]
      },
      {
        Sid      = "ReadSilver"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${var.core.buckets.silver.arn}/silver/*"]
      },
      {
        Sid    = "AddPartitions"
        Effect = "Allow"
        Action = [
          "glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartition", "glue:GetPartitions",
          "glue:BatchGetPartition", "glue:CreatePartition", "glue:BatchCreatePartition", "glue:UpdatePartition",
          "glue:BatchUpdatePartition",
        ]
        Resource = local.silver_tables
      },
      {
        # All crawlers write to one group, which the first one makes.
        Sid      = "WriteLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${local.crawler_log_arn}", "${local.crawler_log_arn}:*"]
      },
      ], [
      for one in var.deployment.kms_permissions :
      { Sid = one.sid, Effect = "Allow", Action = one.actions, Resource = one.resources }
    ])
  })
}

locals {
  crawler_log_arn = "arn:${local.account.partition}:logs:${local.account.region}:${local.account.id}:log-group:/aws-glue/crawlers"
}
