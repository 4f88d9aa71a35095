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

output "cut_short_rule" {
  description = "Rule that hears of runs that were stopped or ran out of time, for targets besides the topic."
  value = {
    name = aws_cloudwatch_event_rule.cut_short.name
    arn  = aws_cloudwatch_event_rule.cut_short.arn
  }
}
