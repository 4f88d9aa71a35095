# The function's role: assumed by Lambda only, and allowed what the caller lists, its own logs, and nothing else.

resource "aws_iam_role" "this" {
  name        = var.name
  description = "Role of the function ${var.name}"

  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

locals {
  logs_statement = {
    Sid    = "WriteOwnLogs"
    Effect = "Allow"
    Action = concat(["logs:CreateLogStream", "logs:PutLogEvents"], var.reads_own_log ? ["logs:GetLogEvents"] : [])
    # The log streams of this group. AWS writes a stream's ARN as <group ARN>:log-stream:<name>, and the names are
    # made by Lambda, so the suffix has to be open:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
    Resource = "${aws_cloudwatch_log_group.this.arn}:*"
  }

  # Calls on a group are allowed on its ARN with the suffix, too.
  searched_logs_statements = length(var.searches_logs_of) == 0 ? [] : [{
    Sid      = "SearchLogs"
    Effect   = "Allow"
    Action   = ["logs:FilterLogEvents"]
    Resource = [for group in var.searches_logs_of : "${group}:*"]
  }]

  tracing_statements = var.tracing_mode == "Active" ? [{
    Sid    = "WriteTraces"
    Effect = "Allow"
    Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    # X-Ray has no resource to name for these two actions; AWS takes "*" only:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
    Resource = "*"
  }] : []

  network_statements = var.network == null ? [] : [{
    Sid    = "UseNetwork"
    Effect = "Allow"
    # Lambda connects a function to its subnets in the function's name; AWS's own policy for that takes "*":
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSLambdaVPCAccessExecutionRole.html
    Action = [
      "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
      "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
    ]
    Resource = "*"
  }]

  any_statements = [for sid, actions in var.calls_any : {
    Sid      = sid
    Effect   = "Allow"
    Action   = actions
    Resource = "*"
  }]

  on_failure_statements = var.on_failure == null ? [] : [{
    Sid      = "SendFailedEvents"
    Effect   = "Allow"
    Action   = ["sqs:SendMessage"]
    Resource = var.on_failure.queue_arn
  }]
}

resource "aws_iam_role_policy" "this" {
  name = "function"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.logs_statement],
      local.searched_logs_statements,
      local.tracing_statements,
      local.network_statements,
      local.on_failure_statements,
      local.any_statements,
      [for statement in var.permissions : merge({
        Sid      = statement.sid
        Effect   = "Allow"
        Action   = statement.actions
        Resource = statement.resources
        }, {
        for key, value in { Condition = { StringLike = { "s3:prefix" = statement.prefixes } } } : key => value if length(statement.prefixes) > 0
      })],
    )
  })
}
