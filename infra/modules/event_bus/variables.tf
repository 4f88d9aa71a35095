variable "name" {
  description = "Name of the event bus, and of its archive."
  type        = string

  validation {
    # An archive's name is the shorter of the two.
    condition     = can(regex("^[A-Za-z0-9_.-]{1,48}$", var.name))
    error_message = "An event bus name has 1 to 48 letters, digits, dots, hyphens and underscores."
  }
}

variable "archive_days" {
  description = "Days for which events are archived for replay; 0 for no archive."
  type        = number
  default     = 0

  validation {
    condition     = var.archive_days >= 0 && floor(var.archive_days) == var.archive_days
    error_message = "archive_days must be a whole number of days, 0 for no archive."
  }
}
