output "branch" {
  description = "What others may know of the branch; the same keys in every branch (docs/adding-a-branch.md)."
  value = {
    functions = {
      load    = module.load.branch_entry
      migrate = module.migrate.branch_entry
    }
    queues    = { loads = module.load_queue.branch_entry }
    workflows = {}
    tables    = {}
    notices   = ["control.totals", "dead.letter", "load.failed"]
    outputs = {
      warehouse_host        = module.database.host
      warehouse_secret_arns = module.database.role_secret_arns
      databases             = { warehouse = { cluster_id = local.name, max_connections = module.database.max_connections } }
    }
  }
}

output "reader" {
  description = "What a branch needs to read the warehouse: network, login and layer of its functions, and where endpoints for further services go."
  value = {
    network    = module.database.function_network
    secret_arn = module.database.role_secret_arns["reader"]
    layer      = module.layer.arn
    endpoints  = module.database.endpoint_network
  }
}

output "migrated" {
  description = "Known once the migrations have run: tables and logins exist."
  value       = aws_lambda_invocation.migrate.id
}
