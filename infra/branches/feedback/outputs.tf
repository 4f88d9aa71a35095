output "branch" {
  description = "What others may know of the branch; the same keys in every branch (docs/adding-a-branch.md)."
  value = {
    functions = { feedback = module.function.branch_entry }
    queues    = { feedback = module.queue.branch_entry }
    workflows = {}
    tables    = { feedback = module.table.name }
    notices   = ["dead.letter", "feedback.anomaly", "feedback.failed"]
    outputs   = {}
  }
}
