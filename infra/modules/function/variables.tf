variable "name" {
  description = "Name of the function, its role and its log group."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.name))
    error_message = "A function name has 1 to 64 letters, digits, hyphens and underscores."
  }
}

variable "description" {
  description = "What the function does, in one line."
  type        = string
}

variable "artifacts_bucket" {
  description = "Name of the bucket the code is uploaded to."
  type        = string
}

variable "code" {
  description = "Path of the function's package below lambdas/, such as core/ingest. Its zip is core-ingest.zip, its handler core.ingest.handler.handler."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*$", var.code))
    error_message = "code must be a path of package names below lambdas/, such as core/ingest."
  }
}

variable "artifacts_dir" {
  description = "Directory with the zips (make build), seen from the working directory."
  type        = string

  validation {
    condition     = fileexists("${var.artifacts_dir}/${replace(var.code, "/", "-")}.zip")
    error_message = "artifacts_dir must hold the zip of every function: build them first with `make build`."
  }
}

variable "runtime" {
  description = "Lambda runtime."
  type        = string
  default     = "python3.13"
}

variable "architecture" {
  description = "Instruction set: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "layers" {
  description = "ARNs of the layer versions, in the order in which they are unpacked (at most 5)."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.layers) <= 5
    error_message = "A function has at most 5 layers."
  }
}

variable "memory_mb" {
  description = "Memory in MB; CPU is given in proportion (one core at 1769 MB)."
  type        = number
  default     = 512

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "memory_mb must be between 128 and 10240."
  }
}

variable "timeout_seconds" {
  description = "Seconds after which Lambda ends an invocation."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900
    error_message = "timeout_seconds must be between 1 and 900."
  }
}

variable "ephemeral_storage_mb" {
  description = "Size of /tmp in MB."
  type        = number
  default     = 512

  validation {
    condition     = var.ephemeral_storage_mb >= 512 && var.ephemeral_storage_mb <= 10240
    error_message = "ephemeral_storage_mb must be between 512 and 10240."
  }
}

variable "reserved_concurrency" {
  description = "Concurrent executions kept for, and at most given to, this function; null sets no limit."
  type        = number
  default     = null

  validation {
    condition     = var.reserved_concurrency == null ? true : var.reserved_concurrency >= 0
    error_message = "reserved_concurrency must be 0 or more, or null for no limit."
  }
}

variable "environment" {
  description = "Environment variables of the function."
  type        = map(string)
  default     = {}
}

variable "network" {
  description = "Subnets and security groups the function runs in; null leaves it outside of any VPC."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null
}

variable "tracing_mode" {
  description = "X-Ray tracing: Active samples requests, PassThrough follows the caller's decision."
  type        = string
  default     = "PassThrough"

  validation {
    condition     = contains(["Active", "PassThrough"], var.tracing_mode)
    error_message = "tracing_mode must be Active or PassThrough."
  }
}

variable "log_retention_days" {
  description = "Days for which logs are kept; CloudWatch takes only certain values."
  type        = number
  default     = 30
}

variable "reads_own_log" {
  description = "Whether the function may read its own log."
  type        = bool
  default     = false
}

variable "searches_logs_of" {
  description = "ARNs of log groups of other functions in which the function may search."
  type        = list(string)
  default     = []
}

variable "permissions" {
  description = "What the function may call besides its own logs: actions on resources, each named in full; `prefixes` are those that it may list of a bucket, all when left out."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
    prefixes  = optional(list(string), [])
  }))
  default = []

  validation {
    condition     = alltrue([for p in var.permissions : alltrue([for a in p.actions : !strcontains(a, "*")])])
    error_message = "permissions must name every action in full, without a wildcard."
  }

  validation {
    # A star is only for the names of objects under a prefix of one bucket, of tables of one Glue database, of schedules of one
    # group, and of executions of one state machine.
    condition = alltrue([
      for p in var.permissions : alltrue([
        for r in p.resources : !strcontains(r, "*") || can(regex("^arn:[a-z-]+:((s3:::[^*]+/[^*]+|glue:[^*]+:table/[^*/]+|scheduler:[^*]+:schedule/[^*/]+)/|states:[^*]+:execution:[^*:]+:)\\*$", r))
      ])
    ])
    error_message = "permissions must name every resource; only the objects under a prefix of a bucket, the tables of a Glue database, the schedules of a group and the executions of a state machine may end in a star."
  }
}

variable "calls_any" {
  description = "Actions for which AWS has no resource to name, by the statement's id."
  type        = map(list(string))
  default     = {}

  validation {
    condition     = alltrue([for actions in values(var.calls_any) : alltrue([for a in actions : startswith(a, "redshift-data:") && !strcontains(a, "*")])])
    error_message = "calls_any is for calls about statements of Redshift's Data API, each named in full."
  }
}

variable "on_failure" {
  description = "Queue that receives asynchronous invocations which failed for good, and when that is; null for none."
  type = object({
    queue_arn             = string
    retry_attempts        = optional(number, 2)
    max_event_age_seconds = optional(number, 21600)
  })
  default = null

  validation {
    condition     = var.on_failure == null ? true : contains([0, 1, 2], var.on_failure.retry_attempts)
    error_message = "on_failure.retry_attempts must be 0, 1 or 2."
  }
}

variable "alarms" {
  description = "Whether errors and throttles of the function raise alarms where observability is on."
  type        = bool
  default     = true
}

variable "permissions_boundary_arn" {
  description = "ARN of the policy that bounds what the function's role can do; null for none."
  type        = string
  default     = null
}

variable "release" {
  description = "Whether each deployment publishes a version, which triggers invoke by the alias `live`; and the versions at which the aliases of functions (by name) are held, so that a shift moves them."
  type        = object({ versioned = bool, held = map(string) })
  default     = { versioned = false, held = {} }

  validation {
    condition     = alltrue([for version in values(var.release.held) : can(regex("^[0-9]+$", version))])
    error_message = "release.held must name published versions, which are numbers."
  }
}
