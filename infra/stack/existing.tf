# Queues that exist already, named instead of created. Nothing about them is changed, so they have to be right:
# the chunk queue's visibility timeout at least 6 transform timeouts and the batching window, its redrive policy to the
# dead-letter queue with maxReceiveCount = max_receive_count, and each queue for this pipeline alone.

variable "existing_chunk_queue" {
  description = "ARN and URL of a chunk queue to use instead of a new one; needs existing_chunk_dlq. null creates one."
  type = object({
    arn = string
    url = string
  })
  default = null

  validation {
    condition     = var.existing_chunk_queue == null || var.existing_chunk_dlq != null
    error_message = "existing_chunk_queue needs existing_chunk_dlq: the dead-letter queue that its redrive policy names."
  }

  validation {
    condition     = var.existing_chunk_queue == null || var.existing_chunk_dlq == null ? true : var.existing_chunk_dlq.arn != var.existing_chunk_queue.arn
    error_message = "existing_chunk_queue must be another queue than existing_chunk_dlq."
  }
}

variable "existing_chunk_dlq" {
  description = <<-EOT
    ARN and URL of a dead-letter queue for the chunk queue; null creates one. Where the chunk queue is created, this
    queue's redrive allow policy has to let it in, and its retention should be SQS's longest (14 days).
  EOT
  type = object({
    arn = string
    url = string
  })
  default = null
}
