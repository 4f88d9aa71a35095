# Attributes, not whole modules: a module as a whole is done only when the last of its settings is, and the bucket's
# lifecycle takes the provider a minute.

module "bronze_trigger" {
  source = "../modules/object_trigger"

  bucket = {
    name = module.bucket["bronze"].name
    arn  = module.bucket["bronze"].arn
  }
  function = {
    name = module.ingest.name
    arn  = module.ingest.arn
  }
  account_id = module.notifications.account.id
  prefix     = "bronze/"
}

module "chunk_trigger" {
  source = "../modules/queue_trigger"

  queue = {
    name = module.chunk_queue.name
    arn  = module.chunk_queue.arn
  }
  function = {
    name      = module.transform.name
    role_name = module.transform.role_name
  }
  batch_size              = var.transform_batch_size
  batching_window_seconds = var.transform_batching_window_seconds
  maximum_concurrency     = var.transform_maximum_concurrency
}
