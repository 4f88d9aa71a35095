# Partial on purpose: where the state lies is the caller's business, not the code's.
#   terraform init -backend-config=path=<file>
# A shared state for a real account goes into an override file (backend_override.tf with `backend "s3" {}`).
terraform {
  backend "local" {}
}
