# The core pipeline: bronze -> ingest -> chunk queue -> transform -> silver and quarantine.
# storage.tf buckets and tables, messaging.tf queues, topic and bus, functions.tf the code, triggers.tf what starts it,
# core.tf what branches get of it, branches.tf and branch_<name>.tf the branches.

locals {
  # Every name is <project>-<env>-<thing>.
  prefix = "${var.project}-${var.env}"
  region = coalesce(var.region, "us-east-1")

  tags = {
    project    = var.project
    env        = var.env
    managed-by = "terraform"
  }
}
