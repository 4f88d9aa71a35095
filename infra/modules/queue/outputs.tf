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
