output "name" {
  description = "Name of the job, known once it may run."
  value       = aws_glue_job.this.name
}

output "arn" {
  description = "ARN of the job."
  value       = "arn:${var.account.partition}:glue:${var.account.region}:${var.account.id}:job/${aws_glue_job.this.name}"
}

output "role_name" {
  description = "Name of the job's role."
  value       = aws_iam_role.this.name
}
