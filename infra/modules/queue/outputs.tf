output "name" {
  description = "Name of the queue."
  value       = var.existing == null ? aws_sqs_queue.this[0].name : reverse(split(":", var.existing.arn))[0]
}

output "arn" {
  description = "ARN of the queue."
  value       = var.existing == null ? aws_sqs_queue.this[0].arn : var.existing.arn
}

output "url" {
  description = "URL of the queue."
  value       = var.existing == null ? aws_sqs_queue.this[0].id : var.existing.url
}

output "policy" {
  description = "Policy of the queue as JSON; null for a queue that exists already."
  value       = one(aws_sqs_queue.this[*].policy)
}
