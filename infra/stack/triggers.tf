module "bronze_trigger" {
  source = "../modules/object_trigger"

  bucket     = module.bucket["bronze"]
  function   = module.ingest
  account_id = module.notifications.account.id
  prefix     = "bronze/"
}

module "chunk_trigger" {
  source = "../modules/queue_trigger"

  queue                   = module.chunk_queue
  function                = module.transform
  batch_size              = var.transform_batch_size
  batching_window_seconds = var.transform_batching_window_seconds
  maximum_concurrency     = var.transform_maximum_concurrency
}
