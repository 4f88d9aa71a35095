# What must be there before the stack: the bucket of its state, and the roles with which GitHub Actions plans and applies it.
# Run by `sluice bootstrap`; its own state goes into the bucket that it makes.

terraform {
  # Partial on purpose: at first a local file, then the bucket.
  backend "local" {}
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      project    = var.project
      env        = var.env
      managed-by = "sluice-bootstrap"
    }
  }
}

locals {
  prefix    = "${var.project}-${var.env}"
  partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  iam       = "arn:${local.partition}:iam::${var.account_id}"
  plan      = "${local.prefix}-plan"
  apply     = "${local.prefix}-apply"

  # Known by name, so that neither policy waits for the other.
  stack_boundary    = "${local.iam}:policy/${local.prefix}-boundary"
  deployer_boundary = "${local.iam}:policy/${local.prefix}-deployer-boundary"
  identity_provider = "${local.iam}:oidc-provider/${local.issuer}"
  issuer            = "token.actions.githubusercontent.com"
}
