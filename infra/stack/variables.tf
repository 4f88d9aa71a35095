# What every deployment decides: names, safety, sizes. A branch has its own in branch_<name>.tf.

# --- names -----------------------------------------------------------------------------------------------------------

variable "project" {
  description = "First part of every name."
  type        = string
  default     = "sluice"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,15}$", var.project))
    error_message = "project must be 2 to 16 lower-case letters and digits, starting with a letter."
  }
}

variable "env" {
  description = "Second part of every name: which deployment this is."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.env))
    error_message = "env must be 2 to 12 lower-case letters and digits, starting with a letter."
  }
}

variable "region" {
  description = "AWS region; null takes us-east-1, unless deletion_protection is on."
  type        = string
  default     = null

  validation {
    condition     = var.region == null ? true : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be a region's code, such as us-east-1."
  }

  validation {
    condition     = !var.deletion_protection || var.region != null
    error_message = "region must be set where deletion_protection is on: data that matters is in a region that its owner chose."
  }
}

variable "allowed_account_ids" {
  description = "The accounts that this may be deployed to; none: any. Terraform stops before it changes another one."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.allowed_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "allowed_account_ids must be account numbers of 12 digits, in quotes."
  }

  validation {
    condition     = !var.deletion_protection || length(var.allowed_account_ids) > 0
    error_message = "allowed_account_ids must be set where deletion_protection is on: credentials of another account would build a second production."
  }
}

variable "bucket_suffix" {
  description = <<-EOT
    Last part of the bucket names, empty for none. Bucket names are shared by all AWS accounts, so a deployment to a
    real account wants something of its own here, such as the account id.
  EOT
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9]{1,20})?$", var.bucket_suffix))
    error_message = "bucket_suffix must be at most 20 lower-case letters and digits."
  }

  validation {
    condition     = !var.deletion_protection || var.bucket_suffix != ""
    error_message = "bucket_suffix must be set where deletion_protection is on: names without one may be taken by another account."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of the policy that bounds what every role of the stack can do (`sluice bootstrap` makes one); null for none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null ? true : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of a policy (arn:aws:iam::<account>:policy/<name>)."
  }
}

# --- data safety -----------------------------------------------------------------------------------------------------

variable "force_destroy" {
  description = "Whether destroying the stack deletes the objects in its buckets. For throw-away environments only."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the tables."
  type        = bool
  default     = false

  validation {
    condition     = !(var.deletion_protection && var.force_destroy)
    error_message = "deletion_protection and force_destroy contradict each other: set one of them."
  }
}

variable "point_in_time_recovery" {
  description = "Whether the tables can be restored to any second of the last 35 days."
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = <<-EOT
    ARN of a customer-managed KMS key for buckets and tables; null uses S3's own keys and the account's aws/dynamodb
    key. The key's policy has to let this account's IAM policies decide, and with reconcile_source = "inventory" it lets
    s3.amazonaws.com call kms:GenerateDataKey
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/configure-inventory.html).
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:<region>:<account>:key/<id>), not an alias."
  }
}

variable "topic_kms_key_arn" {
  description = <<-EOT
    ARN of a customer-managed KMS key for the notifications topic; null leaves notices unencrypted at rest. The key's
    policy has to let events.amazonaws.com and cloudwatch.amazonaws.com use it, or their notices are lost.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.topic_kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.topic_kms_key_arn))
    error_message = "topic_kms_key_arn must be the ARN of a key (arn:aws:kms:<region>:<account>:key/<id>), not an alias."
  }
}

variable "noncurrent_version_days" {
  description = "Days for which overwritten and deleted objects can still be read by version. Replays need the source."
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_version_days >= 1 && floor(var.noncurrent_version_days) == var.noncurrent_version_days
    error_message = "noncurrent_version_days must be a whole number of days, at least 1."
  }
}

variable "bronze_expire_days" {
  description = "Days after which raw objects are deleted; null retains them for good. A replay needs them: what is gone cannot be replayed."
  type        = number
  default     = null

  validation {
    condition     = var.bronze_expire_days == null ? true : var.bronze_expire_days >= 1 && floor(var.bronze_expire_days) == var.bronze_expire_days
    error_message = "bronze_expire_days must be a whole number of days, at least 1, or null."
  }
}

variable "bronze_transition" {
  description = <<-EOT
    Storage class that raw objects move to, and after how many days; null for none: { days = 90, storage_class =
    "GLACIER_IR" }. Classes whose objects have to be restored before they can be read are refused: a replay reads them.
  EOT
  type        = object({ days = number, storage_class = string })
  default     = null

  validation {
    condition = var.bronze_transition == null ? true : contains(
      ["STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"], var.bronze_transition.storage_class
    )
    error_message = "bronze_transition.storage_class must be STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING or GLACIER_IR."
  }

  validation {
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
    condition = var.bronze_transition == null ? true : (
      floor(var.bronze_transition.days) == var.bronze_transition.days
      && var.bronze_transition.days >= (endswith(var.bronze_transition.storage_class, "_IA") ? 30 : 1)
      && (var.bronze_expire_days == null ? true : var.bronze_transition.days < var.bronze_expire_days)
    )
    error_message = "bronze_transition.days must be a whole number, at least 30 for the IA classes (S3's own limit), and less than bronze_expire_days."
  }
}

variable "abort_multipart_days" {
  description = "Days after which the parts of an unfinished upload are removed."
  type        = number
  default     = 2

  validation {
    condition     = var.abort_multipart_days >= 1 && floor(var.abort_multipart_days) == var.abort_multipart_days
    error_message = "abort_multipart_days must be a whole number of days, at least 1."
  }
}

# --- splitting and queueing ------------------------------------------------------------------------------------------

variable "chunk_bytes" {
  description = "Bytes of one chunk: how much of an object one transform call works on."
  type        = number
  default     = 16777216

  validation {
    condition     = var.chunk_bytes >= 65536 && var.chunk_bytes <= 268435456 && floor(var.chunk_bytes) == var.chunk_bytes
    error_message = "chunk_bytes must be a whole number between 65536 (64 KiB) and 268435456 (256 MiB)."
  }
}

variable "single_chunk_limit_bytes" {
  description = "Largest object, in bytes, that cannot be split (JSON array, gzip, CSV with quoted newlines) and is still ingested."
  type        = number
  default     = 67108864

  validation {
    condition     = var.single_chunk_limit_bytes >= var.chunk_bytes && floor(var.single_chunk_limit_bytes) == var.single_chunk_limit_bytes
    error_message = "single_chunk_limit_bytes must be a whole number, at least chunk_bytes."
  }
}

variable "passed_over_keys" {
  description = <<-EOT
    Patterns of keys that are no data: such objects are counted and not ingested. A * stands for any text, slashes
    included; a pattern that ends in a slash applies to empty objects only.
  EOT
  type        = list(string)
  default = [
    "*/",             # folders made in a console
    "*_$folder$",     # folders of Hadoop
    "*/_SUCCESS",     # jobs of Hadoop and Spark that have ended
    "*/_temporary/*", # and those that have not
    "*/.hive-staging*",
    "*/.spark-staging-*",
    "*/_started_*", # transactions of Databricks
    "*/_committed_*",
    "*/.*.crc",
    "*/.DS_Store", # macOS
    "*/._*",
    "*/Thumbs.db", # Windows
  ]

  validation {
    condition     = alltrue([for pattern in var.passed_over_keys : can(regex("[^*/?]|/$", pattern)) && length(pattern) <= 1024])
    error_message = "passed_over_keys: a pattern of at most 1024 characters that names something; * alone would pass over every object."
  }

  validation {
    # An environment of a function holds 4 KB: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    condition     = length(jsonencode(var.passed_over_keys)) <= 2000
    error_message = "passed_over_keys must be at most 2000 characters as JSON."
  }
}

variable "idempotency_ttl_days" {
  description = "Days for which an event delivered again is recognised by its record alone."
  type        = number
  default     = 30

  validation {
    condition     = var.idempotency_ttl_days >= 1 && floor(var.idempotency_ttl_days) == var.idempotency_ttl_days
    error_message = "idempotency_ttl_days must be a whole number of days, at least 1."
  }
}

variable "max_receive_count" {
  description = "Receives after which a chunk message goes to the dead-letter queue."
  type        = number
  default     = 5

  validation {
    # AWS asks for at least 5 with Lambda, so that throttling alone does not kill a message:
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    condition     = var.max_receive_count >= 5 && var.max_receive_count <= 1000
    error_message = "max_receive_count must be between 5 and 1000: with fewer, throttling alone fills the dead-letter queue."
  }
}

variable "chunk_retention_days" {
  description = "Days for which a chunk message waits at most."
  type        = number
  default     = 4

  validation {
    # A dead-letter message's age counts on, so its queue (14 days) has to store messages longer.
    condition     = var.chunk_retention_days >= 1 && var.chunk_retention_days <= 13
    error_message = "chunk_retention_days must be between 1 and 13, less than the 14 days of the dead-letter queue."
  }
}

variable "chunk_visibility_seconds" {
  description = "Seconds for which a chunk in progress is hidden; null takes the least allowed, 6 timeouts and the batching window."
  type        = number
  default     = null

  validation {
    condition = (
      var.chunk_visibility_seconds == null
      ? 6 * var.transform_timeout_seconds + var.transform_batching_window_seconds <= 43200
      : var.chunk_visibility_seconds >= 6 * var.transform_timeout_seconds + var.transform_batching_window_seconds
      && var.chunk_visibility_seconds <= 43200
    )
    error_message = "chunk_visibility_seconds must be at least 6 x transform_timeout_seconds + transform_batching_window_seconds, and at most 43200."
  }
}

# --- functions -------------------------------------------------------------------------------------------------------

variable "artifacts_dir" {
  description = "Directory with the zips of functions and layers (make build), seen from the working directory."
  type        = string
  default     = "../../.sluice/build"

  validation {
    # A branch's zips are checked where they are used.
    condition = alltrue([
      for name in ["core-ingest", "core-transform", "layer-base", "layer-arrow"] : fileexists("${var.artifacts_dir}/${name}.zip")
    ])
    error_message = "artifacts_dir must hold the zip of every function and layer: build them first with `make build`."
  }
}

variable "log_level" {
  description = "Least level that the functions log."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], var.log_level)
    error_message = "log_level must be DEBUG, INFO, WARNING, ERROR or CRITICAL."
  }
}

variable "log_retention_days" {
  description = "Days for which the functions' logs are kept."
  type        = number
  default     = 30

  validation {
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days
    )
    error_message = "log_retention_days must be a value that CloudWatch takes: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, ..."
  }
}

variable "tracing_mode" {
  description = "X-Ray tracing of the functions: Active or PassThrough."
  type        = string
  default     = "PassThrough"

  validation {
    condition     = contains(["Active", "PassThrough"], var.tracing_mode)
    error_message = "tracing_mode must be Active or PassThrough."
  }
}

variable "ingest_timeout_seconds" {
  description = "Seconds that planning one batch of new objects may take."
  type        = number
  default     = 30

  # A planner that died holds the idempotency lock until its own timeout would have ended it, and the tries of an object wait
  # for that. Lambda's own retry, of an event that was not queued, comes after one minute.
  validation {
    condition     = var.ingest_timeout_seconds >= 1 && var.ingest_timeout_seconds <= 55
    error_message = "ingest_timeout_seconds must be between 1 and 55: a planner must end before its object is tried again."
  }
}

variable "ingest_memory_mb" {
  description = "Memory of ingest in MB."
  type        = number
  default     = 512

  validation {
    condition     = var.ingest_memory_mb >= 128 && var.ingest_memory_mb <= 10240
    error_message = "ingest_memory_mb must be between 128 and 10240."
  }
}

variable "ingest_ephemeral_storage_mb" {
  description = "Size of ingest's /tmp in MB."
  type        = number
  default     = 512

  validation {
    condition     = var.ingest_ephemeral_storage_mb >= 512 && var.ingest_ephemeral_storage_mb <= 10240
    error_message = "ingest_ephemeral_storage_mb must be between 512 and 10240."
  }
}

variable "ledger_shards" {
  description = "Partitions over which each index of the ledger is spread; each takes 500 objects a second. It may change at any time."
  type        = number
  default     = 8

  validation {
    condition     = var.ledger_shards >= 1 && var.ledger_shards <= 64 && floor(var.ledger_shards) == var.ledger_shards
    error_message = "ledger_shards must be a whole number between 1 and 64."
  }
}

variable "ledger_retention_days" {
  description = "Days for which the ledger knows an object after its rows are in silver, and, with a warehouse, in there; null for ever. After them it is forgotten: sluice verify counts what it left as expired, and a replay does not take it."
  type        = number
  default     = null

  validation {
    # ingest takes an object for one that may have expired when its version is 30 days old.
    condition     = var.ledger_retention_days == null || try(var.ledger_retention_days >= 30 && floor(var.ledger_retention_days) == var.ledger_retention_days, false)
    error_message = "ledger_retention_days must be a whole number of days, at least 30, or null."
  }

  validation {
    # A replayed commit, or an event that has a record, would be of an object that the ledger no longer knows.
    condition     = var.ledger_retention_days == null || try(var.ledger_retention_days > var.event_archive_days && var.ledger_retention_days > var.idempotency_ttl_days, false)
    error_message = "ledger_retention_days must be more than event_archive_days and idempotency_ttl_days."
  }

  validation {
    # While a rule may still leave an object or a former version in bronze, the ledger can judge it.
    condition     = var.ledger_retention_days == null || try(var.ledger_retention_days >= max(var.noncurrent_version_days, coalesce(var.bronze_expire_days, 0)), false)
    error_message = "ledger_retention_days must be at least noncurrent_version_days and bronze_expire_days: what is still in bronze by those rules is judged by its entry in the ledger."
  }
}

variable "ingest_batch_size" {
  description = "Most notifications of new objects in one ingest call; they share its timeout."
  type        = number
  default     = 10

  validation {
    condition     = var.ingest_batch_size >= 1 && var.ingest_batch_size <= 10
    error_message = "ingest_batch_size must be between 1 and 10."
  }
}

variable "ingest_maximum_concurrency" {
  description = "Most ingest calls that the ingest queue may have running at a time."
  type        = number
  default     = 4

  validation {
    condition     = var.ingest_maximum_concurrency >= 2 && var.ingest_maximum_concurrency <= 1000
    error_message = "ingest_maximum_concurrency must be between 2 and 1000, Lambda's limits."
  }
}

variable "ingest_reserved_concurrency" {
  description = "Concurrent executions kept for ingest, which is also its limit; null for none."
  type        = number
  default     = null

  validation {
    # Less would throttle the queue's pollers, and a throttled receive counts towards the dead-letter queue.
    condition     = var.ingest_reserved_concurrency == null ? true : var.ingest_reserved_concurrency >= var.ingest_maximum_concurrency
    error_message = "ingest_reserved_concurrency must be at least ingest_maximum_concurrency, or null for no limit."
  }
}

variable "transform_timeout_seconds" {
  description = "Seconds that one batch of chunks may take."
  type        = number
  default     = 30

  validation {
    condition     = var.transform_timeout_seconds >= 1 && var.transform_timeout_seconds <= 900
    error_message = "transform_timeout_seconds must be between 1 and 900."
  }
}

variable "transform_memory_mb" {
  description = "Memory of transform in MB."
  type        = number
  default     = 1024

  validation {
    condition     = var.transform_memory_mb >= 512 && var.transform_memory_mb <= 10240
    error_message = "transform_memory_mb must be between 512 and 10240."
  }
}

variable "transform_ephemeral_storage_mb" {
  description = "Size of transform's /tmp in MB."
  type        = number
  default     = 512

  validation {
    condition     = var.transform_ephemeral_storage_mb >= 512 && var.transform_ephemeral_storage_mb <= 10240
    error_message = "transform_ephemeral_storage_mb must be between 512 and 10240."
  }
}

variable "transform_batch_size" {
  description = "Most chunks in one transform call; they share its timeout."
  type        = number
  default     = 4

  validation {
    condition     = var.transform_batch_size >= 1 && var.transform_batch_size <= 10
    error_message = "transform_batch_size must be between 1 and 10."
  }
}

variable "transform_batching_window_seconds" {
  description = "Seconds for which chunks are gathered before a call; 0 calls at once."
  type        = number
  default     = 0

  validation {
    condition     = var.transform_batching_window_seconds >= 0 && var.transform_batching_window_seconds <= 300
    error_message = "transform_batching_window_seconds must be between 0 and 300."
  }
}

variable "transform_maximum_concurrency" {
  description = "Most transform calls that the chunk queue may have running at a time."
  type        = number
  default     = 4

  validation {
    condition     = var.transform_maximum_concurrency >= 2 && var.transform_maximum_concurrency <= 1000
    error_message = "transform_maximum_concurrency must be between 2 and 1000, Lambda's limits."
  }
}

variable "transform_reserved_concurrency" {
  description = "Concurrent executions kept for transform, which is also its limit; null for none."
  type        = number
  default     = null

  validation {
    # Less would throttle the queue's pollers, and a throttled receive counts towards the dead-letter queue.
    condition     = var.transform_reserved_concurrency == null ? true : var.transform_reserved_concurrency >= var.transform_maximum_concurrency
    error_message = "transform_reserved_concurrency must be at least transform_maximum_concurrency, or null for no limit."
  }
}

# --- notices and events ----------------------------------------------------------------------------------------------

variable "notification_email" {
  description = "Mail address that receives the notices; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.notification_email == null ? true : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.notification_email))
    error_message = "notification_email must be a mail address."
  }

  validation {
    condition     = !var.deletion_protection || var.notification_email != null
    error_message = "notification_email must be set where deletion_protection is on: dead-letter messages need a reader."
  }
}

variable "quarantine_notice_ratio" {
  description = "Share of an object's rows (0 to 1) above which their quarantine is worth a notice; 1 sends none."
  type        = number
  default     = 0.1

  validation {
    condition     = var.quarantine_notice_ratio >= 0 && var.quarantine_notice_ratio <= 1
    error_message = "quarantine_notice_ratio must be between 0 and 1."
  }
}

variable "event_archive_days" {
  description = "Days for which announced commits are archived for replay; 0 for no archive."
  type        = number
  default     = 0

  validation {
    condition     = var.event_archive_days >= 0 && floor(var.event_archive_days) == var.event_archive_days
    error_message = "event_archive_days must be a whole number of days, 0 for no archive."
  }
}

variable "versioned_functions" {
  description = "Whether functions publish a version with each deployment, which their triggers invoke by the alias `live`: for `sluice shift` and `sluice rollback`. Without it triggers invoke what was deployed last, as `sluice dev` needs."
  type        = bool
  default     = false
}

variable "held_versions" {
  description = "Versions at which a deployment leaves the aliases of functions (by name), so that a shift moves them. `--gradual` of deploy fills it."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(var.held_versions) == 0 || var.versioned_functions
    error_message = "held_versions needs versioned_functions: without versions there is no alias to hold."
  }
}
