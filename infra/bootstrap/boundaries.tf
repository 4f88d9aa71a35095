# The most that a role can do, whatever its policies say.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-delegate

locals {
  protected_policies = [local.stack_boundary, local.deployer_boundary]
  deployers          = ["${local.iam}:role/${local.plan}", "${local.iam}:role/${local.apply}"]

  # Each changes what a role can do.
  role_changes = [
    "iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy",
  ]
}

# Of the roles that the stack has: services that its functions, workflows and jobs call, and none that gives permissions.
resource "aws_iam_policy" "stack_boundary" {
  name        = "${local.prefix}-boundary"
  description = "The most that a role of the ${local.prefix} stack can do"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ServicesOfTheStack"
        Effect   = "Allow"
        Action   = local.all_actions
        Resource = "*" # a boundary gives nothing: each role's own policy names its resources
      },
      {
        Sid      = "PassRolesOfTheStack"
        Effect   = "Allow"
        Action   = "iam:PassRole"
        Resource = local.roles
      },
      {
        Sid      = "NoState"
        Effect   = "Deny"
        Action   = "s3:*"
        Resource = [local.state, "${local.state}/*"]
      },
      {
        Sid      = "NoDeployers"
        Effect   = "Deny"
        Action   = ["iam:PassRole", "sts:AssumeRole"]
        Resource = local.deployers
      },
    ]
  })
}

# Of plan and apply: everything but a way around the boundaries.
resource "aws_iam_policy" "deployer_boundary" {
  name        = "${local.prefix}-deployer-boundary"
  description = "The most that the roles ${local.plan} and ${local.apply} can do"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # A boundary gives nothing: the roles' policies do, and what follows is denied whatever they say.
      { Sid = "Everything", Effect = "Allow", Action = "*", Resource = "*" },
      {
        # The condition fails for a role without a boundary, too.
        Sid       = "NoRoleWithoutBoundary"
        Effect    = "Deny"
        Action    = local.role_changes
        Resource  = "*" # a Deny: of any name
        Condition = { StringNotEquals = { "iam:PermissionsBoundary" = local.stack_boundary } }
      },
      {
        Sid      = "NoBoundaryRemoved"
        Effect   = "Deny"
        Action   = ["iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary", "iam:PutUserPermissionsBoundary"]
        Resource = "*" # a Deny: of any name
      },
      {
        Sid      = "NoBoundaryChanged"
        Effect   = "Deny"
        Action   = ["iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:SetDefaultPolicyVersion"]
        Resource = local.protected_policies
      },
      {
        Sid    = "NoDeployerChanged"
        Effect = "Deny"
        Action = [
          "iam:AttachRolePolicy", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PassRole",
          "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole",
          "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription",
        ]
        Resource = local.deployers
      },
      {
        Sid    = "NoOtherIdentities"
        Effect = "Deny"
        Action = [
          "iam:AddClientIDToOpenIDConnectProvider", "iam:AddUserToGroup", "iam:AttachGroupPolicy", "iam:AttachUserPolicy",
          "iam:CreateAccessKey", "iam:CreateGroup", "iam:CreateLoginProfile", "iam:CreateOpenIDConnectProvider",
          "iam:CreateSAMLProvider", "iam:CreateUser", "iam:DeleteOpenIDConnectProvider", "iam:PutGroupPolicy",
          "iam:PutUserPolicy", "iam:UpdateAccessKey", "iam:UpdateLoginProfile",
          "iam:UpdateOpenIDConnectProviderThumbprint", "organizations:*", "account:*",
        ]
        Resource = "*" # a Deny: of any name
      },
      {
        Sid    = "NoStateLost"
        Effect = "Deny"
        Action = [
          "s3:BypassGovernanceRetention", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:DeleteObjectVersion",
          "s3:PutBucketAcl", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketVersioning",
          "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration",
        ]
        Resource = [local.state, "${local.state}/*"]
      },
    ]
  })
}
