output "branch" {
  description = "What others may know of the branch; the same keys in every branch (docs/adding-a-branch.md)."
  value = {
    functions = {
      taxi         = module.start.branch_entry
      taxi-steps   = module.steps.branch_entry
      taxi-migrate = module.migrate.branch_entry
    }
    queues    = {}
    workflows = { taxi = module.workflow.branch_entry }
    tables    = { taxi = module.table.name }
    notices   = ["taxi.failed", "taxi.loaded", "taxi.unpublished"]
    outputs = {
      bucket         = module.bucket.name
      workgroup      = aws_redshiftserverless_workgroup.this.workgroup_name
      database       = aws_redshiftserverless_namespace.this.db_name
      schedule_group = aws_scheduler_schedule_group.this.name
      secret_arn     = aws_redshiftserverless_namespace.this.admin_password_secret_arn
      jobs = {
        ingest    = module.ingest.name
        transform = module.transform.name
        load      = module.load.name
      }
    }
  }
}
