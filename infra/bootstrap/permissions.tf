# What the two roles may do. Plan reads settings and not data; apply makes what the stack is made of, under names of the stack.

locals {
  state  = "arn:${local.partition}:s3:::${var.state_bucket}" # known before it is made, so that a plan shows whole policies
  states = "${local.state}/*/terraform.tfstate"              # and not the one of the bootstrap itself
  roles  = "${local.iam}:role/${local.prefix}-*"

  # Services of which the stack has resources.
  services = [
    "apigateway", "athena", "cloudwatch", "dynamodb", "ec2", "events", "glue", "kms", "lambda", "logs", "rds",
    "redshift-data", "redshift-serverless", "s3", "scheduler", "secretsmanager", "sns", "sqs", "states", "tag", "xray",
  ]

  all_actions = [for service in local.services : "${service}:*"]

  read_state = [
    { Sid = "FindState", Effect = "Allow", Action = "s3:ListBucket", Resource = local.state },
    { Sid = "ReadState", Effect = "Allow", Action = "s3:GetObject", Resource = [local.states, "${local.states}.tflock"] },
    {
      Sid      = "LockState"
      Effect   = "Allow"
      Action   = ["s3:PutObject", "s3:DeleteObject"]
      Resource = "${local.states}.tflock"
    },
  ]
  no_data = [{
    # Rows, objects, messages and passwords are no settings.
    Sid    = "NoData"
    Effect = "Deny"
    Action = [
      "athena:GetQueryResults", "athena:GetQueryResultsStream", "dynamodb:BatchGetItem", "dynamodb:GetItem",
      "dynamodb:GetRecords", "dynamodb:Query", "dynamodb:Scan", "kms:Decrypt", "logs:FilterLogEvents",
      "logs:GetLogEvents", "logs:GetLogRecord", "logs:GetQueryResults", "redshift-data:GetStatementResult",
      "redshift-data:GetStatementResultV2", "redshift-serverless:GetCredentials",
    ]
    Resource = "*" # a Deny: no data of anything in the account
    }, {
    Sid    = "NoObjects"
    Effect = "Deny"
    Action = ["s3:GetObject", "s3:GetObjectVersion"]
    # The code's own bucket is compared object by object.
    NotResource = ["${local.state}/*", "arn:${local.partition}:s3:::${local.prefix}-artifacts*"]
  }]
}

resource "aws_iam_role_policy" "plan" {
  name = "plan"
  role = aws_iam_role.deployer[local.plan].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.read_state, local.no_data, [{
      Sid      = "ReadSettings"
      Effect   = "Allow"
      Action   = concat(flatten([for service in local.services : ["${service}:Describe*", "${service}:Get*", "${service}:List*"]]), ["apigateway:GET", "iam:Get*", "iam:List*", "sts:GetCallerIdentity", "wafv2:Get*"])
      Resource = "*" # a list names no resource; what it may not read is denied above
    }])
  })
}

resource "aws_iam_role_policy" "apply" {
  name = "apply"
  role = aws_iam_role.deployer[local.apply].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.read_state, [
      {
        Sid      = "WriteState"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = local.states
      },
      {
        # The stack makes, changes and removes what these services have; the boundary says what of it is out of bounds.
        Sid      = "Stack"
        Effect   = "Allow"
        Action   = local.all_actions
        Resource = "*" # many of these actions name no resource, and names of the stack are not in every ARN (subnets, layers)
      },
      {
        Sid      = "ReadRoles"
        Effect   = "Allow"
        Action   = ["iam:Get*", "iam:List*", "sts:GetCallerIdentity"]
        Resource = "*" # AWS's own policies and roles of services, too
      },
      {
        Sid    = "RolesOfTheStack"
        Effect = "Allow"
        Action = [
          "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:PassRole", "iam:PutRolePermissionsBoundary",
          "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
          "iam:UpdateRoleDescription",
        ]
        Resource = local.roles
      },
      {
        # The one policy of AWS's that the stack attaches: the role by which API Gateway writes access logs.
        Sid       = "GatewayLogs"
        Effect    = "Allow"
        Action    = ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
        Resource  = local.roles
        Condition = { ArnEquals = { "iam:PolicyARN" = "arn:${local.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs" } }
      },
      {
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awswafv2.html
        Sid      = "WebAcl"
        Effect   = "Allow"
        Action   = ["wafv2:AssociateWebACL", "wafv2:DisassociateWebACL", "wafv2:GetWebACL", "wafv2:GetWebACLForResource"]
        Resource = "*" # the list is another's (api_waf_web_acl_arn), and the API's ARN has an id that AWS makes
      },
      {
        # AWS makes these for services that the stack uses; nothing else may be in them.
        Sid      = "RolesOfServices"
        Effect   = "Allow"
        Action   = "iam:CreateServiceLinkedRole"
        Resource = "${local.iam}:role/aws-service-role/*"
        Condition = { StringEquals = { "iam:AWSServiceName" = [
          "ops.apigateway.amazonaws.com", "rds.amazonaws.com", "redshift.amazonaws.com",
        ] } }
      },
    ])
  })
}
