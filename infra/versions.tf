# Nothing is deployed from this folder (that is stack/): it is the root that `terraform test` runs in, and without a
# file of its own Terraform takes it for empty and does not install what the tests use.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}
