# The lake's branch.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  deployment = {
    prefix                 = "sluice-test"
    artifacts_dir          = "./tests/artifacts"
    log_retention_days     = 30
    tracing_mode           = "PassThrough"
    release                = { versioned = false, held = {} }
    environment            = { POWERTOOLS_METRICS_NAMESPACE = "sluice-test" }
    kms_permissions        = []
    max_receive_count      = 5
    message_retention_days = 4
    force_destroy          = true
    kms_key_arn            = null
    topic_kms_key_arn      = null
  }
  core = {
    account       = { partition = "aws", region = "us-east-1", id = "123456789012" }
    topic_arn     = "arn:aws:sns:us-east-1:123456789012:sluice-test-notifications"
    event_dlq_arn = "arn:aws:sqs:us-east-1:123456789012:sluice-test-events-dlq"
    bus_name      = "sluice-test-events"
    datasets = {
      environment = { DATASETS_BUCKET = "sluice-test-artifacts", DATASETS_KEY = "config/datasets.json" }
      permission  = { sid = "ReadDatasets", actions = ["s3:GetObject"], resources = ["arn:aws:s3:::sluice-test-artifacts/config/datasets.json"] }
    }
    buckets = { for name in ["artifacts", "silver", "quarantine"] : name => { name = "sluice-test-${name}", arn = "arn:aws:s3:::sluice-test-${name}" } }
    tables  = { ledger = { name = "sluice-test-ledger", arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sluice-test-ledger" } }
    layers  = { base = "arn:aws:lambda:us-east-1:123456789012:layer:sluice-test-base:1" }
  }
  settings = {
    bucket_name         = "sluice-test-lake"
    partitions          = "registered"
    projection_range    = "2000-01-01,NOW+1YEARS"
    crawler_schedule    = "cron(0 * * * ? *)"
    query_bytes_limit   = 20000000
    results_keep_days   = 3
    timeout_seconds     = 60
    memory_mb           = 256
    batch_size          = 10
    maximum_concurrency = 2
    compaction = {
      schedule        = null, file_mb = 128, min_files = 100, small_mb = 32, keep_hours = 24, worker_type = "G.1X", workers = 2,
      timeout_minutes = 120, retry_seconds = 30
    }
  }
}

run "a_table_for_each_dataset_with_the_types_of_silver" {
  module {
    source = "./branches/lake"
  }

  assert {
    condition     = toset(keys(aws_glue_catalog_table.dataset)) == toset(keys(jsondecode(file("./tests/artifacts/datasets.json")).datasets))
    error_message = "every dataset must have a table"
  }

  assert {
    condition = { for column in aws_glue_catalog_table.dataset["shipments"].storage_descriptor[0].columns : column.name => column.type } == {
      carrier         = "string"
      destination     = "string"
      event_time      = "timestamp"
      origin          = "string"
      record_type     = "string"
      shipment_id     = "string"
      weight_kg       = "double"
      _source_key     = "string"
      _source_version = "string"
      _source_offset  = "bigint"
      _record_id      = "string"
    }
    error_message = "a table must have silver's columns and types"
  }

  assert {
    condition     = [for column in aws_glue_catalog_table.dataset["shipments"].storage_descriptor[0].columns : column.name] == ["record_type", "event_time", "shipment_id", "origin", "destination", "carrier", "weight_kg", "_source_key", "_source_version", "_source_offset", "_record_id"]
    error_message = "columns must be in the order of the YAML"
  }

  assert {
    condition     = [for column in aws_glue_catalog_table.current["shipments"].storage_descriptor[0].columns : "${column.name} ${column.type}"] == ["record_type string", "event_time timestamp", "shipment_id string", "origin string", "destination string", "carrier string", "weight_kg double", "dt date", "_source_key string", "_source_version string", "_source_offset bigint", "_record_id string"]
    error_message = "the view of newest rows must have the columns that `sluice query` shows"
  }

  assert {
    condition     = toset(keys(aws_glue_catalog_table.current)) == toset([for name, dataset in jsondecode(file("./tests/artifacts/datasets.json")).datasets : name if length(try(dataset.key, [])) > 0])
    error_message = "every dataset with a key must have a view of its newest rows"
  }

  assert {
    condition     = aws_glue_catalog_table.dataset["shipments"].storage_descriptor[0].location == "s3://sluice-test-silver/silver/shipments/" && aws_glue_catalog_table.dataset["shipments"].partition_keys[0].name == "dt" && aws_glue_catalog_table.dataset["shipments"].partition_keys[0].type == "date"
    error_message = "a table must be where transform writes"
  }

  assert {
    condition     = !contains(keys(aws_glue_catalog_table.dataset["shipments"].parameters), "projection.enabled")
    error_message = "registered partitions must not be projected"
  }

  assert {
    condition     = aws_athena_workgroup.this.configuration[0].enforce_workgroup_configuration && aws_athena_workgroup.this.configuration[0].bytes_scanned_cutoff_per_query == 20000000 && aws_athena_workgroup.this.configuration[0].result_configuration[0].output_location == "s3://sluice-test-lake/results/"
    error_message = "the work group must enforce its limit and the place of its results"
  }
}

run "projected_partitions" {
  variables {
    settings = {
      bucket_name         = "sluice-test-lake"
      partitions          = "projected"
      projection_range    = "2020-01-01,NOW"
      crawler_schedule    = null
      query_bytes_limit   = 20000000
      results_keep_days   = 3
      timeout_seconds     = 60
      memory_mb           = 256
      batch_size          = 10
      maximum_concurrency = 2
      compaction = {
        schedule        = null, file_mb = 128, min_files = 100, small_mb = 32, keep_hours = 24, worker_type = "G.1X", workers = 2,
        timeout_minutes = 120, retry_seconds = 30
      }
    }
  }

  module {
    source = "./branches/lake"
  }

  assert {
    condition = aws_glue_catalog_table.dataset["flights"].parameters == tomap({
      EXTERNAL               = "TRUE"
      classification         = "parquet"
      "projection.enabled"   = "true"
      "projection.dt.type"   = "date"
      "projection.dt.format" = "yyyy-MM-dd"
      "projection.dt.range"  = "2020-01-01,NOW"
    })
    error_message = "projected partitions must have their properties"
  }
}

run "crawled_partitions" {
  variables {
    settings = {
      bucket_name         = "sluice-test-lake"
      partitions          = "crawled"
      projection_range    = "2020-01-01,NOW"
      crawler_schedule    = "cron(15 * * * ? *)"
      query_bytes_limit   = 20000000
      results_keep_days   = 3
      timeout_seconds     = 60
      memory_mb           = 256
      batch_size          = 10
      maximum_concurrency = 2
      compaction = {
        schedule        = null, file_mb = 128, min_files = 100, small_mb = 32, keep_hours = 24, worker_type = "G.1X", workers = 2,
        timeout_minutes = 120, retry_seconds = 30
      }
    }
  }

  module {
    source = "./branches/lake"
  }

  assert {
    condition     = length(aws_glue_job.compaction) == 0
    error_message = "a crawler's partitions must not move: nothing would put them back"
  }

  assert {
    condition     = aws_glue_crawler.this[0].schedule == "cron(15 * * * ? *)" && aws_glue_crawler.this[0].catalog_target[0].tables == sort(keys(aws_glue_catalog_table.dataset))
    error_message = "the crawler must look after the tables of the datasets, and no views"
  }

  assert {
    condition     = aws_glue_crawler.this[0].schema_change_policy[0].update_behavior == "LOG" && aws_glue_crawler.this[0].schema_change_policy[0].delete_behavior == "LOG"
    error_message = "the crawler must leave the tables as the YAML says"
  }

  assert {
    condition     = jsondecode(aws_iam_role.crawler[0].assume_role_policy).Statement[0].Principal.Service == "glue.amazonaws.com" && alltrue([for statement in jsondecode(aws_iam_role_policy.crawler[0].policy).Statement : !contains(statement.Resource, "*")])
    error_message = "Glue alone must assume the crawler's role, which is for silver and its tables"
  }

  assert {
    condition     = !contains(keys(aws_glue_catalog_table.dataset["flights"].parameters), "projection.enabled") && output.branch.outputs.crawler == "sluice-test-lake"
    error_message = "crawled partitions must not be projected"
  }
}
