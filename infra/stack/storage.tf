locals {
  # Bucket names are shared by all AWS accounts; the suffix makes ours unique there.
  bucket_names = {
    for thing in concat(["bronze", "silver", "quarantine", "artifacts"], var.quality_gate_enabled ? ["staging"] : []) :
    thing => join("-", compact([local.prefix, thing, var.bucket_suffix]))
  }
}

locals {
  # Files of runs that were not published, and lists of what they replace: bronze still has their rows.
  expire_days = {
    artifacts = local.artifacts_expire_days
    bronze    = var.bronze_expire_days == null ? {} : { "bronze/" = var.bronze_expire_days }
    staging   = { "staged/" = var.quality_withheld_keep_days }
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
  # Runs name versions of the datasets (config/), so those never expire.
  noncurrent_prefixes = each.key == "artifacts" ? concat(["functions/", "layers/"], keys(local.artifacts_expire_days)) : [""]
  expire_days         = lookup(local.expire_days, each.key, {})
  inventory_of        = each.key == "artifacts" && local.inventoried ? { bucket = local.bucket_names["bronze"], account_id = module.notifications.account.id, prefix = local.inventory_prefix } : null
  transitions         = each.key == "bronze" && var.bronze_transition != null ? { "bronze/" = var.bronze_transition } : {}
}

# The datasets: which fields rows have, their rules, and what branches do with them. Functions read the object, whose key never
# changes, and runs name its version: a changed rule is one change here, and no function is deployed again.
resource "aws_s3_object" "datasets" {
  bucket       = module.bucket["artifacts"].name
  key          = "config/datasets.json"
  source       = local.datasets_path
  content_type = "application/json"

  # The content decides, not the file's date.
  source_hash = filebase64sha256(local.datasets_path)
}

locals {
  datasets_path = "${var.artifacts_dir}/datasets.json"

  # What functions need to know of the object, known before its next version is. `tables` changes when tables of the
  # warehouse do: another dataset, field, type, key (or current_by) or partition, a contract that evolves; a rule
  # changes nothing there.
  datasets = {
    environment = {
      DATASETS_BUCKET = module.bucket["artifacts"].name
      DATASETS_KEY    = aws_s3_object.datasets.key
    }
    permission = {
      sid       = "ReadDatasets"
      actions   = ["s3:GetObject"]
      resources = ["${module.bucket["artifacts"].arn}/${aws_s3_object.datasets.key}"]
    }
    tables = sha256(jsonencode({
      for name, dataset in jsondecode(file(local.datasets_path)).datasets : name => {
        fields       = { for field, spec in dataset.fields : field => spec.type }
        key          = try(dataset.key, [])
        current_by   = try(dataset.current_by, "")
        partition_by = dataset.partition_by
        evolves      = try(dataset.contract.columns, "") == "evolve" # the column _unnamed
      }
    }))
  }
}

# One item per object and content seen, so that an event delivered twice is processed once. Layout as Powertools wants it:
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
    # Sparse, each with what its readers take from it, and each spread over ledger_shards partitions
    # (lambdas/shared/sluice_pipeline/ledger/shards.py): objects that are not committed, those that are, and all by dataset.
    open_objects      = { hash_key = "open_in", range_key = "updated_at", include = ["object_id", "failed_reason", "notice_due"] }
    committed_objects = { hash_key = "committed_in", range_key = "updated_at", include = ["object_id", "run", "rows_in"] }
    received_objects  = { hash_key = "received_in", range_key = "received_at", include = ["object_id", "dataset", "origin", "key"] }
  }
  # Also without ledger_retention_days: what has expired before is still to be deleted.
  ttl_attribute          = "expires_at"
  point_in_time_recovery = var.point_in_time_recovery
  deletion_protection    = var.deletion_protection
  kms_key_arn            = var.kms_key_arn
}
