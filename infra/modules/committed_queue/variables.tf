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
  description = "Where the queue lives: partition, region and account id."
  type = object({
    partition = string
    region    = string
    id        = string
  })
}

variable "event_bus_name" {
  description = "Bus on which object.committed is announced."
  type        = string
}

variable "function_timeout_seconds" {
  description = "Timeout of the function that takes the messages; a message is hidden for six times as long."
  type        = number
}

variable "retention_days" {
  description = "Days for which a message waits; a dead letter's age counts on from there."
  type        = number
}

variable "max_receive_count" {
  description = "Receives after which a message goes to the dead-letter queue."
  type        = number
}
