output "branch" {
  description = "What others may know of the branch; the same keys in every branch (docs/adding-a-branch.md)."
  value = {
    functions = {
      api              = module.function.branch_entry
      analytics-worker = module.worker.branch_entry
    }
    queues    = {}
    workflows = { analytics = module.jobs.branch_entry }
    tables    = { analytics = module.table.name }
    notices   = ["analytics.done", "analytics.failed"]
    outputs = {
      api_id      = module.rest_api.id
      api_stage   = module.rest_api.stage
      api_key_ids = module.rest_api.key_ids
      apis        = { api = { name = local.name, stage = module.rest_api.stage } }
    }
  }
}
