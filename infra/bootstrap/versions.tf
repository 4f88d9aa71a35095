terraform {
  required_version = ">= 1.11" # the lock file of the S3 backend (use_lockfile)

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}
