mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name             = "sluice-test-taxi-load"
  description      = "Loads"
  account          = { partition = "aws", region = "us-east-1", id = "123456789012" }
  code             = "taxi/load"
  kind             = "pythonshell"
  artifacts_bucket = "sluice-test-artifacts"
  artifacts_dir    = "./tests/artifacts"
  timeout_minutes  = 10
  permissions      = []
}

run "a_python_shell_job_has_its_script_and_may_write_its_log" {
  module {
    source = "./modules/glue_job"
  }

  assert {
    condition     = aws_glue_job.this.command[0].name == "pythonshell" && aws_glue_job.this.command[0].python_version == "3.9" && aws_glue_job.this.max_capacity == 0.0625
    error_message = "a Python shell job runs Python 3.9 in the least capacity"
  }

  assert {
    condition     = aws_glue_job.this.max_retries == 0
    error_message = "who starts a job tries it again"
  }

  assert {
    condition     = aws_glue_job.this.command[0].script_location == "s3://sluice-test-artifacts/jobs/sluice-test-taxi-load.py"
    error_message = "the script is where the job looks for it"
  }

  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid] == ["ReadCode", "WriteLogs"]
    error_message = "without more permissions a job reads its script and writes its log"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[1].Resource == ["arn:aws:logs:us-east-1:123456789012:log-group:/aws-glue/python-jobs/output:*", "arn:aws:logs:us-east-1:123456789012:log-group:/aws-glue/python-jobs/error:*"]
    error_message = "only the log groups of Python shell jobs"
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "Glue of this account only"
  }
}

run "a_spark_job_has_workers" {
  variables {
    kind    = "glueetl"
    workers = { type = "G.2X", number = 5 }
  }

  module {
    source = "./modules/glue_job"
  }

  assert {
    condition     = aws_glue_job.this.glue_version == "6.0" && aws_glue_job.this.worker_type == "G.2X" && aws_glue_job.this.number_of_workers == 5
    error_message = "a Spark job runs Glue 6.0 on the workers asked for"
  }

  assert {
    condition     = strcontains(jsondecode(aws_iam_role_policy.this.policy).Statement[1].Resource[0], "log-group:/aws-glue/jobs/output")
    error_message = "the log groups of Spark jobs"
  }
}

run "a_wildcard_is_refused" {
  command = plan

  variables {
    permissions = [{ sid = "All", actions = ["s3:*"], resources = ["*"] }]
  }

  module {
    source = "./modules/glue_job"
  }

  expect_failures = [var.permissions]
}

run "other_kinds_of_job_are_refused" {
  command = plan

  variables {
    kind     = "gluestreaming"
    code     = "load"
    capacity = 2
  }

  module {
    source = "./modules/glue_job"
  }

  expect_failures = [var.kind, var.code, var.capacity]
}
