output "branch" {
  description = "What others may know of the branch; the same keys in every branch (docs/adding-a-branch.md)."
  value = {
    functions = { watch = module.watch.branch_entry }
    queues    = {}
    workflows = {}
    tables    = {}
    notices   = []
    outputs = {
      dashboard_name = module.alarms.dashboard_name
      alarm_names    = module.alarms.alarm_names
    }
  }
}
