# The branches of this stack. A branch is a module in infra/branches, called in a file of its own (branch_<name>.tf), and a
# line here. An entry is null where the branch is off.

locals {
  branch_outputs = {
    core      = local.core_branch
    replay    = var.ops_enabled ? module.replay[0].branch : null
    warehouse = var.warehouse_enabled ? module.warehouse[0].branch : null
    api       = var.api_enabled ? module.api[0].branch : null
    feedback  = var.feedback_enabled ? module.feedback[0].branch : null
    checkins  = var.checkin_enabled ? module.checkins[0].branch : null
    lake      = var.lake_enabled ? module.lake[0].branch : null
    quality   = var.quality_gate_enabled ? module.quality[0].branch : null
    taxi      = var.taxi_enabled ? module.taxi[0].branch : null
  }

  # Days after which files below a prefix of the artifacts bucket are deleted: plans and results of replays, results of
  # analytics jobs, inventories of bronze. Ledger, table and notices record their outcome. A bucket has one lifecycle
  # setting, so the core makes it, also for what a branch left there before it was switched off.
  artifacts_expire_days = {
    "replays/"               = var.replay_keep_days
    "analytics/"             = var.api_job_keep_days
    (local.inventory_prefix) = 14 # of which the last is read, and one pass may take days
  }

  # What observability watches. It is a branch too, and watches itself.
  branches = { for name, branch in local.branch_outputs : name => branch if branch != null }
}

output "branches" {
  description = <<-EOT
    What every branch that is on has, by branch, the core under `core`: functions, queues with their dead-letter queues,
    workflows, tables, notices (kinds sent to the topic), and outputs of no other kind.
  EOT
  value       = merge(local.branches, { for observability in module.observability : "observability" => observability.branch })
}
