output "branch" {
  description = "What others may know of the branch; the same keys in every branch (docs/adding-a-branch.md)."
  value = {
    functions = { lake = module.register.branch_entry }
    queues    = { lake = module.queue.branch_entry }
    workflows = { for compaction in module.compaction : "compaction" => compaction.branch_entry }
    tables    = {}
    notices   = ["compaction.failed", "dead.letter", "lake.failed"]
    outputs = {
      workgroup       = aws_athena_workgroup.this.name
      database        = aws_glue_catalog_database.silver.name
      ledger_database = aws_glue_catalog_database.ledger.name
      bucket          = module.bucket.name
      crawler         = one(aws_glue_crawler.this[*].name)
    }
  }
}
