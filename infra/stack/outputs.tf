output "bronze_bucket" {
  description = "Bucket that raw objects are put into, under bronze/<dataset>/."
  value       = module.bucket["bronze"].name
}

output "silver_bucket" {
  description = "Bucket with the Parquet files, under silver/<dataset>/dt=<date>/."
  value       = module.bucket["silver"].name
}

output "quarantine_bucket" {
  description = "Bucket with the rejected rows, under quarantine/<dataset>/."
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

output "ingest_queue_url" {
  description = "Queue of S3's notifications waiting for ingest."
  value       = module.ingest_queue.url
}

output "ingest_dlq_url" {
  description = "Dead-letter queue of the ingest queue."
  value       = module.ingest_dlq.url
}

output "event_dlq_url" {
  description = "Dead-letter queue of events that EventBridge could not deliver."
  value       = module.event_dlq.url
}

output "idempotency_table" {
  description = "Table of events already processed."
  value       = module.idempotency_table.name
}

output "ledger_retention_days" {
  description = "Days for which the ledger knows a finished object; null for ever."
  value       = var.ledger_retention_days
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

output "metrics_namespace" {
  description = "CloudWatch namespace of the functions' metrics."
  value       = local.prefix
}

output "passed_over_keys" {
  description = "Patterns of keys that are not ingested."
  value       = var.passed_over_keys
}

output "ingest_function" {
  description = "Name of the ingest function."
  value       = module.ingest.name
}

output "transform_function" {
  description = "Name of the transform function."
  value       = module.transform.name
}

output "settle_function" {
  description = "Name of the function that records the failure of chunks whose function could not start."
  value       = module.settle.name
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

output "datasets_key" {
  description = "Key of the object with the deployed datasets, in the artifacts bucket."
  value       = aws_s3_object.datasets.key
}

output "function_alias" {
  description = "Alias by which functions are invoked; null where they have no versions."
  value       = module.ingest.qualifier
}
