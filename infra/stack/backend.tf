# Partial on purpose: the caller decides where the state is stored.
#   terraform init -backend-config=path=<file>
# A shared state for a real account goes into an override file (backend_override.tf with `backend "s3" {}`).
terraform {
  backend "local" {}
}
