output "steps" {
  description = "The steps as task states, without ResultSelector, ResultPath, Catch and Next."
  value       = local.steps
}

output "endings" {
  description = "The states NotifySuccess, Done, NotifyFailure, Failed and NoticeNotSent."
  value       = local.endings
}

output "retry" {
  description = "How a task that is no step is tried again."
  value       = local.retry
}

output "partition" {
  description = "Partition of the ARNs of service integrations."
  value       = local.partition
}
