# Observability (observability_enabled): infra/branches/observability.

module "observability" {
  source = "../branches/observability"
  count  = var.observability_enabled ? 1 : 0

  deployment       = local.deployment
  core             = local.core
  branches         = local.branches
  chunk_queue_name = module.chunk_queue.name
  alarms           = var.alarms
}

variable "observability_enabled" {
  description = "Dashboard, alarms, and the function that watches for objects that make no progress."
  type        = bool
  default     = false
}

variable "alarms" {
  description = <<-EOT
    When the alarms fire; what is left out has the value of infra/modules/alarms. Periods are in seconds and a multiple of
    60: AWS's own metrics have one value a minute.
  EOT
  type = object({
    evaluation_periods           = optional(number)
    function_errors              = optional(number)
    function_period_seconds      = optional(number)
    throttles                    = optional(number)
    oldest_chunk_seconds         = optional(number)
    queue_period_seconds         = optional(number)
    dead_letters                 = optional(number)
    quarantine_percent           = optional(number)
    quarantine_min_rows          = optional(number)
    quarantine_least_rows        = optional(number) # former name, refused below
    quarantine_period_seconds    = optional(number)
    unfinished_seconds           = optional(number)
    unfinished_period_seconds    = optional(number)
    workflow_failures            = optional(number)
    workflow_period_seconds      = optional(number)
    oldest_message_seconds       = optional(number)
    table_throttles              = optional(number)
    table_period_seconds         = optional(number)
    database_capacity_percent    = optional(number)
    database_connections_percent = optional(number)
    database_period_seconds      = optional(number)
    api_5xx                      = optional(number)
    api_latency_milliseconds     = optional(number)
    api_period_seconds           = optional(number)
    api_latency_period_seconds   = optional(number)
  })
  default = {}

  # Terraform ignores an attribute that a type does not have: without this the former name would silently do nothing.
  validation {
    condition     = var.alarms.quarantine_least_rows == null
    error_message = "alarms.quarantine_least_rows is called quarantine_min_rows now: rename it in the tfvars file."
  }
}

output "watch_function" {
  description = "Name of the function that watches for unfinished objects; null when observability_enabled is off."
  value       = one(module.observability[*].branch.functions.watch.name)
}

output "dashboard_name" {
  description = "Name of the dashboard; null when observability_enabled is off."
  value       = one(module.observability[*].branch.outputs.dashboard_name)
}

output "alarm_names" {
  description = "Names of the alarms; null when observability_enabled is off."
  value       = one(module.observability[*].branch.outputs.alarm_names)
}
