output "branch" {
  description = "What others may know of the branch; the same keys in every branch (docs/adding-a-branch.md)."
  value = {
    functions = { replay = module.function.branch_entry }
    queues    = {}
    workflows = { replay = module.workflow.branch_entry }
    tables    = {}
    notices   = ["replay.done", "replay.failed"]
    outputs   = {}
  }
}
