variable "name" {
  description = "Name of the job; its role is <name>-job."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,60}$", var.name))
    error_message = "A job name has 1 to 60 letters, digits, hyphens and underscores, so that its role's name fits."
  }
}

variable "description" {
  description = "What the job does, in one line."
  type        = string
}

variable "account" {
  description = "Account and region that the job runs in."
  type        = object({ partition = string, region = string, id = string })
}

variable "code" {
  description = "Path of the script below jobs/ without its ending, such as taxi/load. It needs no other code of this repository."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]*/[a-z][a-z0-9_]*$", var.code))
    error_message = "code must be a branch and a script, such as taxi/load."
  }
}

variable "kind" {
  description = "pythonshell (Python 3.9) or glueetl (Spark, Glue 6.0)."
  type        = string

  validation {
    condition     = contains(["pythonshell", "glueetl"], var.kind)
    error_message = "kind must be pythonshell or glueetl."
  }
}

variable "artifacts_bucket" {
  description = "Name of the bucket the script is uploaded to."
  type        = string
}

variable "artifacts_dir" {
  description = "Directory with the scripts (make build), seen from the working directory."
  type        = string
}

variable "arguments" {
  description = "Arguments of a run that is started without them."
  type        = map(string)
  default     = {}
}

variable "permissions" {
  description = "What the job may call besides its script and its logs: actions on resources, each named in full."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
  }))

  validation {
    condition     = alltrue([for p in var.permissions : alltrue([for a in p.actions : !strcontains(a, "*")])])
    error_message = "permissions must name every action in full, without a wildcard."
  }
}

variable "timeout_minutes" {
  description = "Minutes after which Glue ends a run."
  type        = number
}

variable "max_concurrent_runs" {
  description = "Most runs at a time."
  type        = number
  default     = 1
}

variable "capacity" {
  description = "Data processing units of a Python shell job: 0.0625 (1 GB of memory) or 1 (16 GB)."
  type        = number
  default     = 0.0625

  validation {
    condition     = contains([0.0625, 1], var.capacity)
    error_message = "capacity must be 0.0625 or 1."
  }
}

variable "workers" {
  description = "Workers of a Spark job."
  type        = object({ type = string, number = number })
  default     = { type = "G.1X", number = 2 }
}

variable "permissions_boundary_arn" {
  description = "ARN of the policy that bounds what the job's role can do; null for none."
  type        = string
  default     = null
}
