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
