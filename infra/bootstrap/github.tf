# GitHub Actions without keys: a job's token is exchanged for a role.
# https://docs.github.com/en/actions/security-for-github-actions/security-hardening-your-deployments/configuring-openid-connect-in-amazon-web-services

resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_identity_provider ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

locals {
  # Who a token speaks for: a job that names the environment, and for plans each pull request, too. No wildcard.
  # https://docs.github.com/en/actions/security-for-github-actions/security-hardening-your-deployments/about-security-hardening-with-openid-connect#example-subject-claims
  subjects = {
    (local.plan)  = ["repo:${var.repository}:environment:${var.env}", "repo:${var.repository}:pull_request"]
    (local.apply) = ["repo:${var.repository}:environment:${var.env}"]
  }
}

resource "aws_iam_role" "deployer" {
  for_each = local.subjects

  name                 = each.key
  description          = "GitHub Actions of ${var.repository}: ${each.key}"
  max_session_duration = 7200 # a first deployment waits for databases and endpoints
  permissions_boundary = aws_iam_policy.deployer_boundary.arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.identity_provider }
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = each.value
        }
      }
    }]
  })

  # IAM refuses a principal that does not exist.
  depends_on = [aws_iam_openid_connect_provider.github]
}
