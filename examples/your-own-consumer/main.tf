# A consumer of object.committed beside the stack. Its input is the stack's outputs, written by deploy.sh.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

variable "stack" {
  description = "Outputs of the stack: where it is, its event bus, and the bucket for code."
  type = object({
    region           = string
    account_id       = string
    event_bus_name   = string
    artifacts_bucket = string
  })
}

variable "name" {
  description = "Name of the function, the queue and the table."
  type        = string
  default     = "example-consumer"
}

provider "aws" {
  region = var.stack.region
}

module "queue" {
  source = "../../infra/modules/committed_queue"

  name                     = var.name
  account                  = { partition = "aws", region = var.stack.region, id = var.stack.account_id }
  event_bus_name           = var.stack.event_bus_name
  function_timeout_seconds = 10
  retention_days           = 4
  max_receive_count        = 5
  label                    = "example"
}

module "table" {
  source = "../../infra/modules/table"

  name     = var.name
  hash_key = "object_id"
}

module "function" {
  source = "../../infra/modules/function"

  name             = var.name
  description      = "Counts the rows of committed objects"
  artifacts_bucket = var.stack.artifacts_bucket
  artifacts_dir    = "${path.module}/build"
  code             = "consumer"
  memory_mb        = 256
  timeout_seconds  = 10
  environment      = { TABLE = module.table.name }

  permissions = [{
    sid       = "StoreCounts"
    actions   = ["dynamodb:PutItem"]
    resources = [module.table.arn]
  }]
}

module "trigger" {
  source = "../../infra/modules/queue_trigger"

  queue               = { name = module.queue.name, arn = module.queue.arn }
  function            = { arn = module.function.arn, role_name = module.function.role_name }
  batch_size          = 10
  maximum_concurrency = 2
}

output "table" {
  description = "Table with one item for each committed object."
  value       = module.table.name
}

output "dlq_url" {
  description = "Dead-letter queue of the consumer."
  value       = module.queue.dlq_url
}
