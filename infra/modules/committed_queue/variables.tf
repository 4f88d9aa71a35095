variable "name" {
  description = "Name of the queue and of the rule that fills it; the dead-letter queue's ends in -dlq."
  type        = string

  validation {
    # A rule's name is the shorter of the two.
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.name))
    error_message = "A rule's name has 1 to 64 letters, digits, hyphens and underscores."
  }
}

variable "account" {
  description = "Where the queue is: partition, region and account id."
  type = object({
    partition = string
    region    = string
    id        = string
  })
}

variable "event_bus_name" {
  description = "Bus on which the event is announced."
  type        = string
}

variable "event" {
  description = "Which event about objects it is: object.committed, or object.staged of those that wait for the quality gate."
  type        = string
  default     = "object.committed"

  validation {
    condition     = contains(["object.committed", "object.staged"], var.event)
    error_message = "event must be object.committed or object.staged."
  }
}

variable "left_out" {
  description = "Datasets whose objects are not announced to the branch."
  type        = list(string)
  default     = []
}

variable "function_timeout_seconds" {
  description = "Timeout of the function that receives the messages; a message is hidden for six times as long."
  type        = number
}

variable "batching_window_seconds" {
  description = "Seconds for which messages are gathered before an invocation; a message is hidden for so much longer."
  type        = number
  default     = 0
}

variable "retention_days" {
  description = "Days for which a message waits; a dead-letter message's age counts on from there."
  type        = number
}

variable "max_receive_count" {
  description = "Receives after which a message goes to the dead-letter queue."
  type        = number
}

variable "label" {
  description = "What one message is called in `<label> dead-letter messages` and in the alarm <label>-dead-letters."
  type        = string
}
