# Compaction: a Spark job that makes few large files of a date's many small ones, beside silver, and moves the date's
# partition there (jobs/lake/compact.py). Only registered partitions can move: register puts them back when rows come.

locals {
  compaction      = var.settings.partitions == "registered" ? { job = var.settings.compaction } : {}
  compaction_name = "${local.name}-compaction"
  job_objects = {
    library = { key = "jobs/${local.compaction_name}.zip", path = "${var.deployment.artifacts_dir}/job-lake-compact.zip" }
    script  = { key = "jobs/${local.compaction_name}.py", path = "${var.deployment.artifacts_dir}/script-lake-compact.py" }
  }
  silver      = var.core.buckets.silver
  states_arn  = "arn:${local.account.partition}:states:::"
  job_logs    = "arn:${local.account.partition}:logs:${local.account.region}:${local.account.id}:log-group:/aws-glue/jobs"
  job_results = "compaction/"
  run_seconds = 60 * (var.settings.compaction.timeout_minutes + 15)
}

resource "aws_s3_object" "job" {
  for_each = { for name, object in local.job_objects : name => object if length(local.compaction) > 0 }

  bucket = var.core.buckets.artifacts.name
  key    = each.value.key
  source = each.value.path

  # The content decides, not the file's date: the same bytes are never uploaded twice.
  source_hash = filebase64sha256(each.value.path)
}

resource "aws_glue_job" "compaction" {
  for_each = local.compaction

  name              = local.compaction_name
  description       = "Makes few large files of the many small ones of a date"
  role_arn          = aws_iam_role.compaction["job"].arn
  glue_version      = "6.0"
  worker_type       = each.value.worker_type
  number_of_workers = each.value.workers
  timeout           = each.value.timeout_minutes
  max_retries       = 0 # the workflow retries, and knows how it ended

  command {
    name            = "glueetl"
    python_version  = "3"
    script_location = "s3://${aws_s3_object.job["script"].bucket}/${aws_s3_object.job["script"].key}"
  }

  execution_property {
    max_concurrent_runs = 1
  }

  default_arguments = {
    "--extra-py-files"      = "s3://${aws_s3_object.job["library"].bucket}/${aws_s3_object.job["library"].key}"
    "--job-bookmark-option" = "job-bookmark-disable"
    "--name"                = "by-hand"
    "--dataset"             = "*"
    "--day"                 = "*"
    "--database"            = aws_glue_catalog_database.silver.name
    "--ledger_table"        = var.core.tables.ledger.name
    "--silver_bucket"       = local.silver.name
    "--lake_bucket"         = module.bucket.name
    "--datasets_bucket"     = var.core.datasets.environment.DATASETS_BUCKET
    "--datasets_key"        = var.core.datasets.environment.DATASETS_KEY
    "--file_mb"             = tostring(each.value.file_mb)
    "--min_files"           = tostring(each.value.min_files)
    "--small_mb"            = tostring(each.value.small_mb)
    "--keep_hours"          = tostring(each.value.keep_hours)
    "--metrics_namespace"   = var.deployment.environment.POWERTOOLS_METRICS_NAMESPACE
  }

  depends_on = [aws_iam_role_policy.compaction, aws_glue_catalog_table.dataset]
}

resource "aws_iam_role" "compaction" {
  for_each = local.compaction

  name        = "${local.compaction_name}-job"
  description = "Role of the Glue job ${local.compaction_name}"

  permissions_boundary = var.deployment.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "glue.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "compaction" {
  for_each = local.compaction

  name = "job"
  role = aws_iam_role.compaction["job"].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "ReadCode"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = [for object in aws_s3_object.job : "${var.core.buckets.artifacts.arn}/${object.key}"]
      },
      {
        Sid      = "ReadDatasets"
        Effect   = "Allow"
        Action   = var.core.datasets.permission.actions
        Resource = var.core.datasets.permission.resources
      },
      {
        Sid      = "ListFiles"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = [local.silver.arn]
      },
      {
        # Silver is the truth: it is read, never written.
        Sid      = "ReadSilver"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${local.silver.arn}/silver/*"]
      },
      {
        # The second is an object with which Spark's file system of AWS marks the folder.
        Sid      = "WriteCompacted"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        Resource = ["${local.silver.arn}/compacted/*", "${local.silver.arn}/compacted_$folder$"]
      },
      {
        Sid      = "WriteResult"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = ["${module.bucket.arn}/${local.job_results}*"]
      },
      {
        Sid      = "MovePartitions"
        Effect   = "Allow"
        Action   = ["glue:GetTables", "glue:GetPartitions", "glue:GetPartition", "glue:UpdatePartition"]
        Resource = local.silver_tables
      },
      {
        # Of objects only when they arrived; of dates what the fence needs.
        Sid      = "FenceDates"
        Effect   = "Allow"
        Action   = ["dynamodb:Query", "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:UpdateItem"]
        Resource = [var.core.tables.ledger.arn]
      },
      {
        Sid      = "PublishMetrics"
        Effect   = "Allow"
        Action   = ["cloudwatch:PutMetricData"]
        Resource = ["*"] # CloudWatch has no resource to name for it
        Condition = {
          StringEquals = { "cloudwatch:namespace" = var.deployment.environment.POWERTOOLS_METRICS_NAMESPACE }
        }
      },
      {
        Sid      = "WriteLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${local.job_logs}/*"]
      },
      ], [for permission in var.deployment.kms_permissions : {
        Sid      = permission.sid
        Effect   = "Allow"
        Action   = permission.actions
        Resource = permission.resources
    }])
  })
}

module "compaction_tasks" {
  source = "../../modules/workflow_tasks"

  function_arn             = module.register.arn
  function_timeout_seconds = var.settings.timeout_seconds
  topic_arn                = var.core.topic_arn
  steps                    = {}

  failed = {
    error  = "CompactionFailed"
    cause  = "Not every date was compacted; the notice says why, and readers see silver there"
    record = "the log of the Glue job"
  }
}

module "compaction" {
  source   = "../../modules/workflow"
  for_each = local.compaction

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.compaction_name
  account_id         = local.account.id
  topic_arn          = var.core.topic_arn
  event_dlq_arn      = var.core.event_dlq_arn
  topic_kms_key_arn  = var.deployment.topic_kms_key_arn
  log_retention_days = var.deployment.log_retention_days
  tracing_mode       = var.deployment.tracing_mode

  permissions = [{
    # https://docs.aws.amazon.com/step-functions/latest/dg/connect-glue.html
    sid     = "RunJob"
    actions = ["glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun"]
    resources = [
      "arn:${local.account.partition}:glue:${local.account.region}:${local.account.id}:job/${aws_glue_job.compaction["job"].name}",
    ]
  }]

  schedules = each.value.schedule == null ? {} : {
    schedule = { expression = each.value.schedule, input = "{}" }
  }

  aborted_notice = {
    kind     = "compaction.failed"
    severity = "error"
    dataset  = "*"
    reason   = "<status>"
    detail   = "the workflow <name> ended before its job; readers see silver, or what was compacted before"
    look     = "sluice compact --show <name>"
    repair   = "sluice compact"
    workflow = "<machine>"
  }

  definition = {
    Comment        = "Compacts the lake's dates that are worth it, and tells when one fails"
    TimeoutSeconds = 2 * local.run_seconds + 3600 # two runs, and the wait for another one
    StartAt        = "Defaults"
    States = merge({ for name, state in module.compaction_tasks.endings : name => state if name != "NotifySuccess" }, {
      Defaults = {
        Type = "Pass"
        Parameters = {
          "given.$" = "$"
          defaults  = { dataset = "*", day = "*" }
        }
        Next = "Request"
      }
      Request = {
        Type       = "Pass"
        Parameters = { "request.$" = "States.JsonMerge($.defaults, $.given, false)" }
        Next       = "IsRequest"
      }
      IsRequest = {
        Type = "Choice"
        Choices = [{
          And  = [for name in ["dataset", "day"] : { Variable = "$.request.${name}", IsString = true }]
          Next = "Compact"
        }]
        Default = "Refused"
      }
      Refused = {
        Type = "Pass"
        Parameters = {
          request = { dataset = "*" }
          error   = { Error = "InvalidRequest", Cause = "dataset and day must be texts" }
        }
        Next = "DescribeFailure"
      }
      Compact = {
        Type     = "Task"
        Resource = "${local.states_arn}glue:startJobRun.sync"
        Parameters = {
          JobName = aws_glue_job.compaction["job"].name
          Arguments = {
            "--name.$"    = "$$.Execution.Name"
            "--dataset.$" = "$.request.dataset"
            "--day.$"     = "$.request.day"
          }
        }
        # A run that died is repeated, and finds what the first one has left. Another run, of a schedule or by hand, is
        # waited for.
        Retry = [
          {
            ErrorEquals     = ["Glue.ConcurrentRunsExceededException"]
            IntervalSeconds = 10
            BackoffRate     = 1.5
            MaxDelaySeconds = 120
            MaxAttempts     = 30
          },
          {
            ErrorEquals     = ["States.ALL"]
            IntervalSeconds = each.value.retry_seconds
            BackoffRate     = 2
            MaxAttempts     = 1
          },
        ]
        # The run's own timeout counts from its start, which another run may delay.
        TimeoutSeconds = local.run_seconds
        ResultPath     = null
        Catch = [{
          ErrorEquals = ["States.ALL"]
          ResultPath  = "$.error"
          Next        = "DescribeFailure"
        }]
        Next = "Done"
      }
      DescribeFailure = {
        Type = "Pass"
        Parameters = {
          notice = {
            kind         = "compaction.failed"
            severity     = "error"
            "dataset.$"  = "$.request.dataset"
            "reason.$"   = "$.error.Error"
            "detail.$"   = "$.error.Cause"
            "look.$"     = "States.Format('sluice compact --show {}', $$.Execution.Name)"
            repair       = "fix the cause, then sluice compact; until then readers see silver"
            "workflow.$" = "$$.StateMachine.Name"
          }
        }
        Next = "NotifyFailure"
      }
    })
  }
}
