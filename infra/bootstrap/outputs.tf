output "state_bucket" {
  description = "Bucket of the states."
  value       = aws_s3_bucket.state.bucket
}

output "plan_role_arn" {
  description = "Role for jobs that plan."
  value       = aws_iam_role.deployer[local.plan].arn
}

output "apply_role_arn" {
  description = "Role for jobs that deploy."
  value       = aws_iam_role.deployer[local.apply].arn
}

output "permissions_boundary_arn" {
  description = "The stack's variable permissions_boundary_arn: the apply role makes no role without it."
  value       = aws_iam_policy.stack_boundary.arn
}
