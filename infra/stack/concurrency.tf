# What the queues may have running at a time, against what the account may: above it Lambda throttles, and throttled
# receives count towards the dead-letter queue.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html#compute-and-storage

locals {
  # Lambda does not give away the last 100: https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
  unreservable_concurrency = 100

  digest_concurrency = 2 # the least that Lambda accepts: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html

  reserved_concurrency = sum([for one in [
    var.ingest_reserved_concurrency,
    var.transform_reserved_concurrency,
    var.api_enabled ? var.api_reserved_concurrency : null,
  ] : one == null ? 0 : one])
  queue_concurrency = sum([
    var.ingest_reserved_concurrency == null ? var.ingest_maximum_concurrency : 0,
    var.transform_reserved_concurrency == null ? var.transform_maximum_concurrency : 0,
    var.warehouse_enabled ? var.load_maximum_concurrency : 0,
    var.feedback_enabled ? var.feedback_maximum_concurrency : 0,
    var.lake_enabled ? var.lake_maximum_concurrency : 0,
    var.quality_gate_enabled ? 2 : 0,
    local.notices_gathered ? local.digest_concurrency : 0,
  ])
  needed_concurrency = local.reserved_concurrency + local.queue_concurrency
}

variable "account_concurrency" {
  description = "Concurrent executions of Lambda that the account has in this region (quota L-B99A9384): 1000, and 10 where the account is new."
  type        = number
  default     = 1000

  validation {
    condition     = var.account_concurrency >= local.needed_concurrency
    error_message = "account_concurrency is ${var.account_concurrency}, and the queues and reservations of this stack take ${local.needed_concurrency}: ask AWS for more (quota L-B99A9384), or lower *_maximum_concurrency."
  }

  validation {
    condition     = local.reserved_concurrency == 0 || local.reserved_concurrency <= var.account_concurrency - local.unreservable_concurrency
    error_message = "Lambda leaves ${local.unreservable_concurrency} of account_concurrency (${var.account_concurrency}) unreserved, and this stack reserves ${local.reserved_concurrency}: ask AWS for more (quota L-B99A9384), or set *_reserved_concurrency to null."
  }
}
