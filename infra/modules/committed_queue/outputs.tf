output "name" {
  description = "Name of the queue."
  value       = module.queue.name
}

output "arn" {
  description = "ARN of the queue."
  value       = module.queue.arn
}

output "url" {
  description = "URL of the queue."
  value       = module.queue.url
}

output "dlq_name" {
  description = "Name of the dead-letter queue."
  value       = module.dlq.name
}

output "dlq_url" {
  description = "URL of the dead-letter queue."
  value       = module.dlq.url
}

output "branch_entry" {
  description = "The queue as an entry of a branch's queues: both names and URLs, and its label."
  value = {
    name     = module.queue.name
    url      = module.queue.url
    dlq_name = module.dlq.name
    dlq_url  = module.dlq.url
    label    = var.label
  }
}
