# Lake: silver and the ledger as tables of Glue, which Athena queries. Tables are made from the datasets; `register` adds a
# partition for each date of a committed object, and writes the object's counts beside them.

locals {
  name = "${var.deployment.prefix}-lake"

  # Athena's SQL takes names of letters, digits and underscores without quotes.
  database        = "${replace(var.deployment.prefix, "-", "_")}_silver"
  ledger_database = "${replace(var.deployment.prefix, "-", "_")}_ledger"

  datasets = jsondecode(file("${var.deployment.artifacts_dir}/datasets.json")).datasets

  # How Parquet of silver stores a field (lambdas/core/transform/columns.py), in Hive's words.
  # https://docs.aws.amazon.com/athena/latest/ug/data-types.html
  types = {
    string    = "string"
    int64     = "bigint"
    float64   = "double"
    bool      = "boolean"
    date      = "date"
    timestamp = "timestamp"
    json      = "string"
  }
  lineage = [
    { name = "_source_key", type = "string" },
    { name = "_source_version", type = "string" },
    { name = "_source_offset", type = "bigint" },
    { name = "_record_id", type = "string" },
  ]
  # The fields in the YAML's order. The order may change: a table's partitions and Parquet files are read by column names.
  # https://docs.aws.amazon.com/athena/latest/ug/updates-and-partitions.html
  fields = {
    for name, dataset in local.datasets : name => [
      for field in try(dataset.field_order, keys(dataset.fields)) : {
        name = field
        type = try(local.types[dataset.fields[field].type], replace(dataset.fields[field].type, " ", ""))
      }
    ]
  }
  # As in silver's files: the fields, what no field names, and where the row comes from.
  columns = {
    for name, dataset in local.datasets : name => concat(
      local.fields[name],
      try(dataset.contract.columns, "") == "evolve" ? [{ name = "_unnamed", type = "string" }] : [],
      local.lineage,
    )
  }

  # <dataset>_current: the newest row of each key, as lambdas/shared/sluice_pipeline/catalog/current.py says it. An object's
  # arrival is in the ledger's table.
  keyed = { for name, dataset in local.datasets : name => dataset if length(try(dataset.key, [])) > 0 }
  current_columns = {
    for name in keys(local.keyed) : name => concat(
      [for column in local.fields[name] : column if column.name != "dt"],
      [{ name = "dt", type = "date" }],
      [for column in local.columns[name] : column if startswith(column.name, "_")],
    )
  }
  current_sql = {
    for name, dataset in local.keyed : name => join("", [
      "SELECT ${join(", ", [for column in local.current_columns[name] : "\"${column.name}\""])} FROM (SELECT __rows.*, ",
      "row_number() OVER (PARTITION BY ${join(", ", [for field in dataset.key : "\"${field}\""])} ORDER BY ",
      try("\"${dataset.current_by}\" DESC NULLS LAST, ", ""),
      "__received DESC NULLS LAST, ${local.object_id} DESC, _source_offset DESC) AS __place ",
      "FROM \"${name}\" AS __rows LEFT JOIN (SELECT object_id AS __object, received_at AS __received ",
      "FROM \"${local.ledger_database}\".\"objects\") ",
      "AS __arrivals ON __object = ${local.object_id}) AS __placed WHERE __place = 1",
    ])
  }
  object_id = "split_part(_record_id, '-', 1)"

  crawled = var.settings.partitions == "crawled"

  # Types of a view's columns are Presto's.
  presto_types = { string = "varchar" }

  projection = var.settings.partitions != "projected" ? {} : {
    "projection.enabled"   = "true"
    "projection.dt.type"   = "date"
    "projection.dt.format" = "yyyy-MM-dd"
    "projection.dt.range"  = var.settings.projection_range
  }

  ledger_tables = {
    # What register writes (lambdas/lake/register/counts.py).
    objects = {
      description = "One row for each committed object: where it came from, and how many rows went where."
      location    = "s3://${module.bucket.name}/${local.objects_prefix}"
      columns = [
        { name = "object_id", type = "string" },
        { name = "dataset", type = "string" },
        { name = "source_key", type = "string" },
        { name = "source_bytes", type = "bigint" },
        { name = "run", type = "bigint" },
        { name = "received_at", type = "string" },
        { name = "chunks", type = "bigint" },
        { name = "rows_in", type = "bigint" },
        { name = "rows_silver", type = "bigint" },
        { name = "rows_quarantined", type = "bigint" },
        { name = "silver_files", type = "bigint" },
      ]
    }
    # What transform writes (lambdas/core/transform/quarantine.py), in place.
    quarantine = {
      description = "One row for each rejected row. Those with the reason control_totals are about a whole file."
      location    = "s3://${var.core.buckets.quarantine.name}/quarantine/"
      columns = [
        { name = "record_id", type = "string" },
        { name = "object_id", type = "string" },
        { name = "dataset", type = "string" },
        { name = "source_key", type = "string" },
        { name = "source_version", type = "string" },
        { name = "offset", type = "bigint" },
        { name = "length", type = "bigint" },
        { name = "field", type = "string" },
        { name = "reason", type = "string" },
        { name = "errors", type = "array<struct<field:string,reason:string,value:string,expected:string>>" },
        { name = "raw", type = "string" },
        { name = "raw_base64", type = "string" },
      ]
    }
  }

  objects_prefix = "ledger/objects/"
  results_prefix = "results/"
  account        = var.core.account
  # Glue asks for the catalog, the database and the table:
  # https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
  silver_tables = [
    "${local.catalog_arn}:catalog",
    "${local.catalog_arn}:database/${local.database}",
    "${local.catalog_arn}:table/${local.database}/*",
  ]
  catalog_arn = "arn:${local.account.partition}:glue:${local.account.region}:${local.account.id}"
}

# --- catalog ---------------------------------------------------------------------------------------------------------

resource "aws_glue_catalog_database" "silver" {
  name        = local.database
  description = "Valid rows: a table for each dataset."
}

resource "aws_glue_catalog_database" "ledger" {
  name        = local.ledger_database
  description = "What became of every object and every rejected row."
}

resource "aws_glue_catalog_table" "dataset" {
  for_each = local.datasets

  database_name = aws_glue_catalog_database.silver.name
  name          = each.key
  description   = try(each.value.description, null)
  table_type    = "EXTERNAL_TABLE"

  parameters = merge({
    EXTERNAL       = "TRUE"
    classification = "parquet"
  }, local.projection)

  partition_keys {
    name = "dt"
    type = "date"
  }

  storage_descriptor {
    location      = "s3://${var.core.buckets.silver.name}/silver/${each.key}/"
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
      parameters            = { "serialization.format" = "1" }
    }

    dynamic "columns" {
      # The partition's value is the one of the folder.
      for_each = [for column in local.columns[each.key] : column if column.name != "dt"]

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }

  lifecycle {
    # What crawlers note on a table, the branch's own or others.
    ignore_changes = [
      parameters["CrawlerSchemaDeserializerVersion"],
      parameters["CrawlerSchemaSerializerVersion"],
      parameters["UPDATED_BY_CRAWLER"],
      parameters["averageRecordSize"],
      parameters["compressionType"],
      parameters["objectCount"],
      parameters["partition_filtering.enabled"],
      parameters["recordCount"],
      parameters["sizeKey"],
      parameters["typeOfData"],
    ]
  }
}

# As Athena itself stores a view: https://docs.aws.amazon.com/glue/latest/webapi/API_TableInput.html (ViewOriginalText)
resource "aws_glue_catalog_table" "current" {
  for_each = local.keyed

  database_name = aws_glue_catalog_database.silver.name
  name          = "${each.key}_current"
  description   = "The newest row of each key of ${each.key}."
  table_type    = "VIRTUAL_VIEW"

  parameters = {
    presto_view = "true"
    comment     = "Presto View"
  }

  view_expanded_text = "/* Presto View */"
  view_original_text = format("/* Presto View: %s */", base64encode(jsonencode({
    catalog     = "awsdatacatalog"
    schema      = local.database
    originalSql = local.current_sql[each.key]
    columns = [
      for column in local.current_columns[each.key] :
      { name = column.name, type = lookup(local.presto_types, column.type, column.type) }
    ]
  })))

  storage_descriptor {
    # Athena wants a SerDe, and reads none.
    ser_de_info {
      name                  = "-"
      serialization_library = "-"
    }

    dynamic "columns" {
      for_each = local.current_columns[each.key]

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }
}

resource "aws_glue_catalog_table" "ledger" {
  for_each = local.ledger_tables

  database_name = aws_glue_catalog_database.ledger.name
  name          = each.key
  description   = each.value.description
  table_type    = "EXTERNAL_TABLE"

  parameters = {
    EXTERNAL       = "TRUE"
    classification = "json"
  }

  storage_descriptor {
    location      = each.value.location
    input_format  = "org.apache.hadoop.mapred.TextInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"

    ser_de_info {
      serialization_library = "org.openx.data.jsonserde.JsonSerDe"
      parameters            = { "serialization.format" = "1" }
    }

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }
}

# --- queries ---------------------------------------------------------------------------------------------------------

module "bucket" {
  source = "../../modules/bucket"

  name                    = var.settings.bucket_name
  force_destroy           = var.deployment.force_destroy
  kms_key_arn             = var.deployment.kms_key_arn
  noncurrent_version_days = var.settings.results_keep_days
  expire_days             = { (local.results_prefix) = var.settings.results_keep_days }
}

resource "aws_athena_workgroup" "this" {
  name          = local.name
  description   = "Queries over silver and the ledger."
  force_destroy = var.deployment.force_destroy

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.settings.query_bytes_limit

    result_configuration {
      output_location = "s3://${module.bucket.name}/${local.results_prefix}"

      encryption_configuration {
        encryption_option = var.deployment.kms_key_arn == null ? "SSE_S3" : "SSE_KMS"
        kms_key_arn       = var.deployment.kms_key_arn
      }
    }
  }
}

# --- register --------------------------------------------------------------------------------------------------------

module "queue" {
  source = "../../modules/committed_queue"

  name                     = local.name
  account                  = var.core.account
  event_bus_name           = var.core.bus_name
  function_timeout_seconds = var.settings.timeout_seconds
  retention_days           = var.deployment.message_retention_days
  max_receive_count        = var.deployment.max_receive_count
  label                    = "lake"
}

module "register" {
  source = "../../modules/function"

  permissions_boundary_arn = var.deployment.permissions_boundary_arn

  name               = local.name
  description        = "Registers the partitions of a committed object, and writes its counts for Athena"
  artifacts_bucket   = var.core.buckets.artifacts.name
  code               = "lake/register"
  artifacts_dir      = var.deployment.artifacts_dir
  release            = var.deployment.release
  layers             = [var.core.layers.base]
  memory_mb          = var.settings.memory_mb
  timeout_seconds    = var.settings.timeout_seconds
  tracing_mode       = var.deployment.tracing_mode
  log_retention_days = var.deployment.log_retention_days

  environment = merge(var.deployment.environment, var.core.datasets.environment, {
    POWERTOOLS_SERVICE_NAME = "lake"
    LEDGER_TABLE            = var.core.tables.ledger.name
    LAKE_DATABASE           = aws_glue_catalog_database.silver.name
    LAKE_BUCKET             = module.bucket.name
    OBJECTS_PREFIX          = local.objects_prefix
    LAKE_QUEUE_URL          = module.queue.url
    NOTIFICATIONS_TOPIC_ARN = var.core.topic_arn
    MAX_RECEIVES            = tostring(var.deployment.max_receive_count)
    REGISTERS_PARTITIONS    = tostring(!local.crawled)
  })

  permissions = concat([
    var.core.datasets.permission,
    {
      # UpdateItem: of dates that were compacted (lambdas/lake/compaction/fence.py).
      sid       = "ReadOutputs"
      actions   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"]
      resources = [var.core.tables.ledger.arn]
    },
    {
      sid       = "WriteCounts"
      actions   = ["s3:PutObject"]
      resources = ["${module.bucket.arn}/${local.objects_prefix}*"]
    },
    {
      sid       = "SendNotices"
      actions   = ["sns:Publish"]
      resources = [var.core.topic_arn]
    },
    ], local.crawled ? [] : [{
      sid       = "RegisterPartitions"
      actions   = ["glue:GetTable", "glue:BatchGetPartition", "glue:BatchCreatePartition", "glue:BatchUpdatePartition"]
      resources = local.silver_tables
  }], var.deployment.kms_permissions)
}

module "trigger" {
  source = "../../modules/queue_trigger"

  queue = {
    name = module.queue.name
    arn  = module.queue.arn
  }
  function = {
    arn       = module.register.arn
    role_name = module.register.role_name
  }
  batch_size          = var.settings.batch_size
  maximum_concurrency = var.settings.maximum_concurrency

  # Tables first.
  depends_on = [aws_glue_catalog_table.dataset]
}
