output "branch" {
  description = "What others may know of the branch; the same keys in every branch (docs/adding-a-branch.md)."
  value = {
    functions = {
      checkins         = module.function.branch_entry
      checkin-executor = module.executor.branch_entry
    }
    queues    = {}
    workflows = { checkins = module.workflow.branch_entry }
    tables = {
      checkins    = module.table.name
      checkin-log = module.log.name
    }
    notices = ["checkin.done", "checkin.failed", "checkin.missing"]
    outputs = {}
  }
}

output "table" {
  description = "Table with the check-ins, for a branch that reads it."
  value = {
    name = module.table.name
    arn  = module.table.arn
  }
}
