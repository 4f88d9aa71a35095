output "name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "arn" {
  description = "ARN that the function is invoked by: its alias's where it has versions."
  value       = var.release.versioned ? aws_lambda_alias.live[0].arn : aws_lambda_function.this.arn
}

output "qualifier" {
  description = "Name of the alias that the function is invoked by; null without versions."
  value       = var.release.versioned ? aws_lambda_alias.live[0].name : null
}

output "role_name" {
  description = "Name of the function's role, for triggers that bring permissions of their own."
  value       = aws_iam_role.this.name
}

output "log_group" {
  description = "Name of the function's log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "log_group_arn" {
  description = "ARN of the function's log group, without the suffix of its streams."
  value       = aws_cloudwatch_log_group.this.arn
}

output "invoke_arn" {
  description = "ARN by which API Gateway invokes the function: its alias's where it has versions."
  value       = var.release.versioned ? aws_lambda_alias.live[0].invoke_arn : aws_lambda_function.this.invoke_arn
}

output "code_hash" {
  description = "Hash of the function's zip: another one for other code."
  value       = filebase64sha256(local.zip_path)
}

output "branch_entry" {
  description = "The function as an entry of a branch's functions: name, log group, and whether it has alarms."
  value = {
    name      = aws_lambda_function.this.function_name
    log_group = aws_cloudwatch_log_group.this.name
    alarms    = var.alarms
  }
}
