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

variable "mail_topic_arn" {
  description = "ARN of the topic that a mail address subscribes to, where the function `digest` gathers notices into mails; null where it does not."
  type        = string
  default     = null
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
    name      = string
    arn       = string
    qualifier = optional(string)
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
  description = "Name of the queue of chunks, which is on the dashboard and has a threshold of its own."
  type        = string
}

variable "queue_names" {
  description = "Names of the queues that functions empty, by what they are called in names of alarms."
  type        = map(string)
}

variable "tables" {
  description = "Names of the tables, by what they are called in names of alarms."
  type        = map(string)
  default     = {}
}

variable "databases" {
  description = "Aurora clusters with the connections that each takes, by what they are called in names of alarms."
  type        = map(object({ cluster_id = string, max_connections = number }))
  default     = {}
}

variable "apis" {
  description = "REST APIs by the key of the function behind each, which begins the names of their alarms."
  type        = map(object({ name = string, stage = string }))
  default     = {}
}

variable "dead_letter_queue_names" {
  description = "Names of the dead-letter queues, by what they are called in names of alarms."
  type        = map(string)
}

variable "alarms" {
  description = "Thresholds (an alarm fires at this value or above), periods in seconds, and how many periods in a row it takes."
  type = object({
    evaluation_periods           = optional(number, 1)
    function_errors              = optional(number, 1)
    function_period_seconds      = optional(number, 60)
    throttles                    = optional(number, 1)
    oldest_chunk_seconds         = optional(number, 900)
    queue_period_seconds         = optional(number, 60)
    dead_letters                 = optional(number, 1)
    quarantine_percent           = optional(number, 5)
    quarantine_min_rows          = optional(number, 100)
    quarantine_period_seconds    = optional(number, 300)
    unfinished_seconds           = optional(number, 1800)
    unfinished_period_seconds    = optional(number, 60)
    workflow_failures            = optional(number, 1)
    workflow_period_seconds      = optional(number, 60)
    oldest_message_seconds       = optional(number, 1800)
    table_throttles              = optional(number, 1)
    table_period_seconds         = optional(number, 60)
    database_capacity_percent    = optional(number, 90)
    database_connections_percent = optional(number, 80)
    database_period_seconds      = optional(number, 300)
    api_5xx                      = optional(number, 1)
    api_latency_milliseconds     = optional(number, 10000)
    api_period_seconds           = optional(number, 60)
    api_latency_period_seconds   = optional(number, 300)
  })
  default = {}

  validation {
    # AWS's own metrics have one value a minute, and the pipeline's are published as such.
    condition = alltrue([
      for period in [
        var.alarms.function_period_seconds, var.alarms.queue_period_seconds, var.alarms.quarantine_period_seconds,
        var.alarms.unfinished_period_seconds, var.alarms.workflow_period_seconds, var.alarms.table_period_seconds,
        var.alarms.database_period_seconds, var.alarms.api_period_seconds, var.alarms.api_latency_period_seconds,
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

  validation {
    condition = alltrue([
      for percent in [var.alarms.database_capacity_percent, var.alarms.database_connections_percent] : percent > 0 && percent <= 100
    ])
    error_message = "alarms.database_capacity_percent and alarms.database_connections_percent must be between 0 and 100."
  }
}
