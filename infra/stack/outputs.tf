output "bronze_bucket" {
  description = "Bucket that raw objects are put into, under bronze/<dataset>/."
  value       = module.bucket["bronze"].name
}

output "silver_bucket" {
  description = "Bucket with the Parquet files, under silver/<dataset>/dt=<date>/."
  value       = module.bucket["silver"].name
}

output "quarantine_bucket" {
  description = "Bucket with the rows that were refused, under quarantine/<dataset>/."
  value       = module.bucket["quarantine"].name
}

output "artifacts_bucket" {
  description = "Bucket with the code of functions and layers."
  value       = module.bucket["artifacts"].name
}

output "chunk_queue_url" {
  description = "Queue of chunks waiting for transform."
  value       = module.chunk_queue.url
}

output "chunk_dlq_url" {
  description = "Dead-letter queue of the chunk queue."
  value       = module.chunk_dlq.url
}

output "ingest_dlq_url" {
  description = "Dead-letter queue of events that ingest could not work."
  value       = module.ingest_dlq.url
}

output "idempotency_table" {
  description = "Table of events already worked."
  value       = module.idempotency_table.name
}

output "ledger_table" {
  description = "Table with one item per object and per chunk."
  value       = module.ledger_table.name
}

output "notifications_topic_arn" {
  description = "Topic that notices about failed objects go to."
  value       = module.notifications.arn
}

output "event_bus_name" {
  description = "Bus on which object.committed is announced."
  value       = module.event_bus.name
}

output "event_bus_arn" {
  description = "ARN of that bus."
  value       = module.event_bus.arn
}

output "ingest_function" {
  description = "Name of the ingest function."
  value       = module.ingest.name
}

output "transform_function" {
  description = "Name of the transform function."
  value       = module.transform.name
}

output "ingest_log_group" {
  description = "Log group of the ingest function."
  value       = module.ingest.log_group
}

output "transform_log_group" {
  description = "Log group of the transform function."
  value       = module.transform.log_group
}

output "event_source_mapping_uuid" {
  description = "Id of the mapping that feeds chunks to transform."
  value       = module.chunk_trigger.uuid
}

output "account_id" {
  description = "Account the stack lives in."
  value       = module.notifications.account.id
}

output "region" {
  description = "Region the stack lives in."
  value       = module.notifications.account.region
}

output "replay_state_machine_arn" {
  description = "Workflow that takes objects in again; null when ops_enabled is off."
  value       = one(module.replay[*].arn)
}

output "replay_function" {
  description = "Name of the function that does the workflow's steps; null when ops_enabled is off."
  value       = one(module.replay_function[*].name)
}

output "watch_function" {
  description = "Name of the function that watches for unfinished objects; null when observability_enabled is off."
  value       = one(module.watch[*].name)
}

output "dashboard_name" {
  description = "Name of the dashboard; null when observability_enabled is off."
  value       = one(module.observability[*].dashboard_name)
}

output "alarm_names" {
  description = "Names of the alarms; null when observability_enabled is off."
  value       = one(module.observability[*].alarm_names)
}

output "load_function" {
  description = "Name of the function that loads silver into the warehouse; null when warehouse_enabled is off."
  value       = one(module.load[*].name)
}

output "load_queue_url" {
  description = "Queue of committed objects waiting for load; null when warehouse_enabled is off."
  value       = one(module.load_queue[*].url)
}

output "load_dlq_url" {
  description = "Dead-letter queue of that queue; null when warehouse_enabled is off."
  value       = one(module.load_queue[*].dlq_url)
}

output "migrate_function" {
  description = "Name of the function that brings the warehouse up to date; null when warehouse_enabled is off."
  value       = one(module.migrate[*].name)
}

output "warehouse_host" {
  description = "Address of the warehouse; null when warehouse_enabled is off."
  value       = one(module.database[*].host)
}

output "warehouse_secret_arns" {
  description = "Secrets with the warehouse's logins, by database role; null when warehouse_enabled is off."
  value       = one(module.database[*].role_secret_arns)
}
