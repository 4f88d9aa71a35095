locals {
  # Bucket names are shared by all AWS accounts; the suffix makes ours unique there.
  bucket_names = {
    for thing in ["bronze", "silver", "quarantine", "artifacts"] :
    thing => join("-", compact([local.prefix, thing, var.bucket_suffix]))
  }
}

module "bucket" {
  source   = "../modules/bucket"
  for_each = local.bucket_names

  name                    = each.value
  force_destroy           = var.force_destroy
  kms_key_arn             = var.kms_key_arn
  noncurrent_version_days = var.noncurrent_version_days
  abort_multipart_days    = var.abort_multipart_days
  # Plans and results of replays, results of analytics jobs; ledger, table and notices keep what they came to.
  expire_days = each.key == "artifacts" ? { "replays/" = var.replay_keep_days, "analytics/" = var.api_job_keep_days } : {}
}

# One item per object and content seen, so that an event delivered twice is worked once. Layout as Powertools wants it:
# https://docs.powertools.aws.dev/lambda/python/latest/utilities/idempotency/
module "idempotency_table" {
  source = "../modules/table"

  name                   = "${local.prefix}-idempotency"
  hash_key               = "id"
  ttl_attribute          = "expiration"
  point_in_time_recovery = var.point_in_time_recovery
  deletion_protection    = var.deletion_protection
  kms_key_arn            = var.kms_key_arn
}

# One item per object and one per chunk: what was planned, what is done, how many rows went where.
module "ledger_table" {
  source = "../modules/table"

  name      = "${local.prefix}-ledger"
  hash_key  = "pk"
  range_key = "sk"
  indexes = {
    by_dataset = { hash_key = "dataset", range_key = "received_at" }
    by_state   = { hash_key = "state", range_key = "updated_at" }
  }
  point_in_time_recovery = var.point_in_time_recovery
  deletion_protection    = var.deletion_protection
  kms_key_arn            = var.kms_key_arn
}
