output "arn" {
  description = "ARN of the state machine."
  value       = aws_sfn_state_machine.this.arn
}

output "name" {
  description = "Name of the state machine."
  value       = aws_sfn_state_machine.this.name
}

output "log_group" {
  description = "Name of the workflow's log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "branch_entry" {
  description = "The workflow as an entry of a branch's workflows: ARN, name, and whether it has an alarm."
  value = {
    arn    = aws_sfn_state_machine.this.arn
    name   = aws_sfn_state_machine.this.name
    alarms = var.alarms
  }
}
