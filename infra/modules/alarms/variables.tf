variable "name" {
  description = "First part of every name here: <project>-<env>."
  type        = string
}

variable "region" {
  description = "Region whose metrics the dashboard shows."
  type        = string
}

variable "namespace" {
  description = "Namespace of the pipeline's own metrics."
  type        = string
}

variable "topic_arn" {
  description = "ARN of the topic that is notified of every alarm, when it fires and when it is over."
  type        = string
}

variable "event_dlq_arn" {
  description = "ARN of the queue for events that EventBridge cannot deliver."
  type        = string
}

variable "functions" {
  description = "Names of the functions, by what they are called in names of alarms."
  type        = map(string)
}

variable "workflows" {
  description = "ARNs of state machines, by what they are called in names of alarms."
  type        = map(string)
  default     = {}
}

variable "watch" {
  description = "The function that publishes ObjectsUnfinished and OldestUnfinishedSeconds."
  type = object({
    name = string
    arn  = string
  })
}

variable "watch_schedule" {
  description = "How often that function runs."
  type        = string
  default     = "rate(1 minute)"

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.watch_schedule))
    error_message = "watch_schedule must be rate(...) or cron(...)."
  }
}

variable "chunk_queue_name" {
  description = "Name of the queue of chunks."
  type        = string
}

variable "dead_letter_queue_names" {
  description = "Names of the dead-letter queues, by what they are called in names of alarms."
  type        = map(string)
}

variable "alarms" {
  description = "Thresholds (an alarm fires at this value or above), periods in seconds, and how many periods in a row it takes."
  type = object({
    evaluation_periods        = optional(number, 1)
    function_errors           = optional(number, 1)
    function_period_seconds   = optional(number, 60)
    throttles                 = optional(number, 1)
    oldest_chunk_seconds      = optional(number, 900)
    queue_period_seconds      = optional(number, 60)
    dead_letters              = optional(number, 1)
    quarantine_percent        = optional(number, 5)
    quarantine_min_rows       = optional(number, 100)
    quarantine_period_seconds = optional(number, 300)
    unfinished_seconds        = optional(number, 1800)
    unfinished_period_seconds = optional(number, 60)
    workflow_failures         = optional(number, 1)
    workflow_period_seconds   = optional(number, 60)
  })
  default = {}

  validation {
    # AWS's own metrics have one value a minute, and the pipeline's are published as such.
    condition = alltrue([
      for period in [
        var.alarms.function_period_seconds, var.alarms.queue_period_seconds, var.alarms.quarantine_period_seconds,
        var.alarms.unfinished_period_seconds, var.alarms.workflow_period_seconds,
      ] : period >= 60 && period % 60 == 0
    ])
    error_message = "alarms: a period must be a multiple of 60 seconds."
  }

  validation {
    condition     = var.alarms.evaluation_periods >= 1 && floor(var.alarms.evaluation_periods) == var.alarms.evaluation_periods
    error_message = "alarms.evaluation_periods must be a whole number, at least 1."
  }

  validation {
    condition     = var.alarms.quarantine_percent > 0 && var.alarms.quarantine_percent <= 100
    error_message = "alarms.quarantine_percent must be between 0 and 100."
  }
}
