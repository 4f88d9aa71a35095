output "arn" {
  description = "ARN of the topic."
  value       = aws_sns_topic.this.arn
}

output "account" {
  description = "Partition, region and account id in which the topic was made, and with it the whole stack."
  value       = local.account
}
