output "branch" {
  description = "What others may know of the branch; the same keys in every branch (docs/adding-a-branch.md)."
  value = {
    functions = {
      quality         = module.gate.branch_entry
      quality-audit   = module.audit.branch_entry
      quality-publish = module.publish.branch_entry
    }
    queues    = { quality = module.queue.branch_entry }
    workflows = { quality = module.workflow.branch_entry }
    tables    = {}
    notices   = ["dead.letter", "quality.failed", "quality.withheld", "quarantine.threshold"]
    outputs = {
      bucket = module.bucket.name
      job    = aws_glue_job.audit.name
    }
  }
}
