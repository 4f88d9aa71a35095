# The core pipeline: bronze -> ingest -> chunk queue -> transform -> silver and quarantine.
# storage.tf buckets and tables, messaging.tf queues, topic and bus, functions.tf the code, triggers.tf what starts it.

locals {
  # Every name is <project>-<env>-<thing>.
  prefix = "${var.project}-${var.env}"

  tags = {
    project    = var.project
    env        = var.env
    managed-by = "terraform"
  }
}
