# Replay (ops_enabled): infra/branches/replay.

module "replay" {
  source = "../branches/replay"
  count  = var.ops_enabled ? 1 : 0

  deployment = local.deployment
  core       = local.core

  chunk_queue = {
    arn = module.chunk_queue.arn
    url = module.chunk_queue.url
  }

  settings = {
    memory_mb        = var.replay_memory_mb
    timeout_seconds  = var.replay_timeout_seconds
    max_concurrency  = var.replay_max_concurrency
    batch_objects    = var.replay_batch_objects
    deadline_seconds = var.replay_deadline_seconds
    schedule         = var.replay_schedule
  }
}

variable "ops_enabled" {
  description = "Operations: the replay workflow."
  type        = bool
  default     = false
}

variable "replay_max_concurrency" {
  description = "Batches of a replay that are requeued side by side."
  type        = number
  default     = 4

  validation {
    condition     = var.replay_max_concurrency >= 1 && var.replay_max_concurrency <= 40
    error_message = "replay_max_concurrency must be between 1 and 40, the most that an inline map runs."
  }
}

variable "replay_batch_objects" {
  description = "Objects that one step requeues; a replay takes at most 500 times as many."
  type        = number
  default     = 200

  validation {
    condition     = var.replay_batch_objects >= 1 && var.replay_batch_objects <= 2000 && floor(var.replay_batch_objects) == var.replay_batch_objects
    error_message = "replay_batch_objects must be a whole number between 1 and 2000."
  }
}

variable "replay_deadline_seconds" {
  description = "Seconds after which a replay is reconciled as it is, finished or not; its notice says which."
  type        = number
  default     = 21600

  validation {
    condition     = var.replay_deadline_seconds >= 1 && var.replay_deadline_seconds <= 604800
    error_message = "replay_deadline_seconds must be between 1 and 604800 (a week)."
  }
}

variable "replay_keep_days" {
  description = "Days for which a replay's plan and result are kept, in the artifacts bucket below replays/."
  type        = number
  default     = 90

  validation {
    condition     = var.replay_keep_days >= 1 && floor(var.replay_keep_days) == var.replay_keep_days
    error_message = "replay_keep_days must be a whole number of days, at least 1."
  }
}

variable "replay_timeout_seconds" {
  description = "Seconds that one step of a replay may take."
  type        = number
  default     = 300

  validation {
    # The step that waits gives back when ten seconds are left.
    condition     = var.replay_timeout_seconds >= 15 && var.replay_timeout_seconds <= 900
    error_message = "replay_timeout_seconds must be between 15 and 900."
  }
}

variable "replay_memory_mb" {
  description = "Memory of the replay function in MB."
  type        = number
  default     = 512

  validation {
    condition     = var.replay_memory_mb >= 128 && var.replay_memory_mb <= 10240
    error_message = "replay_memory_mb must be between 128 and 10240."
  }
}

variable "replay_schedule" {
  description = <<-EOT
    When to replay without a request and what; null for never. expression is rate(...) or cron(...), request names dataset,
    prefix, since and until, where ages such as 1d count back from the start: { expression = "rate(1 day)",
    request = { prefix = "bronze/flights/", since = "1d" } }.
  EOT
  type = object({
    expression = string
    request = object({
      dataset = optional(string)
      prefix  = optional(string)
      since   = optional(string)
      until   = optional(string)
    })
  })
  default = null

  validation {
    condition     = var.replay_schedule == null ? true : can(regex("^(rate|cron)\\(.+\\)$", var.replay_schedule.expression))
    error_message = "replay_schedule.expression must be rate(...) or cron(...)."
  }

  validation {
    condition = var.replay_schedule == null ? true : anytrue([
      for value in [var.replay_schedule.request.dataset, var.replay_schedule.request.prefix, var.replay_schedule.request.since, var.replay_schedule.request.until] : value != null
    ])
    error_message = "replay_schedule.request must choose something: a dataset, a prefix (bronze/ is everything) or a time."
  }
}

output "replay_state_machine_arn" {
  description = "Workflow that reprocesses objects; null when ops_enabled is off."
  value       = one(module.replay[*].branch.workflows.replay.arn)
}

output "replay_function" {
  description = "Name of the function that does the workflow's steps; null when ops_enabled is off."
  value       = one(module.replay[*].branch.functions.replay.name)
}
