# What the stack takes and refuses.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  env           = "test"
  artifacts_dir = "./tests/artifacts"
}

run "a_suffix_makes_bucket_names_unique_and_nothing_else" {
  variables {
    bucket_suffix = "acme"
  }

  module {
    source = "./stack"
  }

  assert {
    condition     = output.bronze_bucket == "sluice-test-bronze-acme" && output.ledger_table == "sluice-test-ledger"
    error_message = "bucket_suffix must end the bucket names"
  }
}

run "bad_settings_are_refused" {
  command = plan

  variables {
    alarms                         = { quarantine_least_rows = 10 }
    allowed_account_ids            = ["production"]
    artifacts_dir                  = "./tests/mocks"
    bronze_expire_days             = 0
    bucket_suffix                  = "-x"
    chunk_bytes                    = 65535
    env                            = "Prod!"
    event_archive_days             = -1
    idempotency_ttl_days           = 0
    ingest_ephemeral_storage_mb    = 100
    ingest_memory_mb               = 64
    ingest_reserved_concurrency    = 0
    ingest_timeout_seconds         = 0
    kms_key_arn                    = "alias/mine"
    log_level                      = "LOUD"
    log_retention_days             = 8
    notice_gather_seconds          = 301
    notification_email             = "no-address"
    passed_over_keys               = ["*/_SUCCESS", "**"]
    project                        = "My_Project"
    quarantine_notice_ratio        = 1.1
    reconcile_margin_minutes       = 5
    reconcile_schedule             = "daily"
    reconcile_source               = "table"
    region                         = "here"
    topic_kms_key_arn              = "alias/mine"
    tracing_mode                   = "On"
    transform_batch_size           = 11
    transform_ephemeral_storage_mb = 10241
    transform_memory_mb            = 256
  }

  module {
    source = "./stack"
  }

  expect_failures = [
    var.project,
    var.env,
    var.region,
    var.bucket_suffix,
    var.chunk_bytes,
    var.passed_over_keys,
    var.allowed_account_ids,
    var.quarantine_notice_ratio,
    var.reconcile_margin_minutes,
    var.reconcile_schedule,
    var.reconcile_source,
    var.log_level,
    var.log_retention_days,
    var.tracing_mode,
    var.notice_gather_seconds,
    var.notification_email,
    var.event_archive_days,
    var.idempotency_ttl_days,
    var.bronze_expire_days,
    var.kms_key_arn,
    var.topic_kms_key_arn,
    var.ingest_timeout_seconds,
    var.ingest_memory_mb,
    var.ingest_ephemeral_storage_mb,
    var.ingest_reserved_concurrency,
    var.transform_memory_mb,
    var.transform_ephemeral_storage_mb,
    var.transform_batch_size,
    var.artifacts_dir,
    var.alarms,
  ]
}

run "bad_settings_of_branches_are_refused" {
  command = plan

  variables {
    api_cache_ttl_seconds         = -1
    api_cors_origins              = ["app.example/path"]
    api_job_keep_days             = 0
    api_job_timeout_seconds       = 901
    api_key_quota                 = { limit = 10, period = "YEAR" }
    api_key_throttle              = { rate = 1, burst = 0 }
    api_keys                      = ["A key"]
    api_memory_mb                 = 128
    api_schedules                 = { daily = { expression = "daily", operation = "revenue_analysis" } }
    api_statement_timeout_seconds = 25
    api_throttle                  = { rate = 0, burst = 1 }
    checkin_deadline_seconds      = 0
    checkin_memory_mb             = 256
    checkin_schedule              = { expression = "daily", days_back = -1 }
    checkin_timeout_seconds       = 901
    feedback_alert_quiet_seconds  = -1
    feedback_maximum_concurrency  = 1
    lake_maximum_concurrency      = 1
    feedback_memory_mb            = 128
    feedback_timeout_seconds      = 901
    lake_partitions               = "guessed"
    lake_projection_range         = "2000-01-01"
    lake_query_bytes_limit        = 1
    lake_results_keep_days        = 0
    lake_timeout_seconds          = 901
    ledger_retention_days         = 29
    load_batch_size               = 11
    warehouse_left_out            = ["Clicks*"]
    load_maximum_concurrency      = 1
    load_memory_mb                = 256
    load_timeout_seconds          = 901
    quality_arrow_max_rows        = 0
    quality_engine                = "guess"
    quality_gather_seconds        = 0
    quality_job_timeout_minutes   = 0
    quality_memory_mb             = 256
    quality_results_keep_days     = 0.5
    quality_timeout_seconds       = 901
    quality_withheld_keep_days    = 0
    replay_batch_objects          = 0
    replay_deadline_seconds       = 0
    replay_max_concurrency        = 41
    replay_memory_mb              = 64
    replay_schedule               = { expression = "daily", request = {} }
    replay_timeout_seconds        = 14
  }

  module {
    source = "./stack"
  }

  expect_failures = [
    var.replay_max_concurrency,
    var.replay_batch_objects,
    var.replay_deadline_seconds,
    var.replay_timeout_seconds,
    var.replay_memory_mb,
    var.replay_schedule,
    var.load_timeout_seconds,
    var.load_memory_mb,
    var.load_maximum_concurrency,
    var.ledger_retention_days,
    var.load_batch_size,
    var.warehouse_left_out,
    var.feedback_timeout_seconds,
    var.feedback_memory_mb,
    var.feedback_maximum_concurrency,
    var.lake_maximum_concurrency,
    var.feedback_alert_quiet_seconds,
    var.lake_partitions,
    var.lake_projection_range,
    var.lake_query_bytes_limit,
    var.lake_results_keep_days,
    var.lake_timeout_seconds,
    var.api_memory_mb,
    var.api_statement_timeout_seconds,
    var.api_cache_ttl_seconds,
    var.api_job_timeout_seconds,
    var.api_job_keep_days,
    var.api_schedules,
    var.api_keys,
    var.api_throttle,
    var.api_key_throttle,
    var.api_key_quota,
    var.api_cors_origins,
    var.checkin_timeout_seconds,
    var.checkin_memory_mb,
    var.checkin_deadline_seconds,
    var.checkin_schedule,
    var.quality_engine,
    var.quality_arrow_max_rows,
    var.quality_gather_seconds,
    var.quality_withheld_keep_days,
    var.quality_results_keep_days,
    var.quality_timeout_seconds,
    var.quality_memory_mb,
    var.quality_job_timeout_minutes,
  ]
}

# Apart, because its check is not reached where bronze_expire_days is bad.
run "what_cannot_be_read_again_is_no_place_for_raw_objects" {
  command = plan

  variables {
    bronze_transition = { days = 29, storage_class = "GLACIER" }
    warehouse_readers = 2
    warehouse_ca_file = "./tests/account.tfvars"
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.bronze_transition, var.warehouse_readers, var.warehouse_ca_file]
}

run "what_needs_a_branch_is_refused_without_it" {
  command = plan

  variables {
    api_enabled           = true
    canonical_enabled     = true
    notice_gather_seconds = 60 # only alarms report that mails cannot be sent
  }

  module {
    source = "./stack"
  }

  expect_failures = [
    var.canonical_enabled,
    var.api_enabled,
    var.notice_gather_seconds,
  ]
}

run "branches_are_off_unless_switched_on" {
  module {
    source = "./stack"
  }

  assert {
    condition     = output.replay_state_machine_arn == null && output.replay_function == null
    error_message = "a branch that is off creates nothing, and its outputs are null: operations"
  }

  assert {
    condition = alltrue([
      for value in [output.load_function, output.load_queue_url, output.load_dlq_url, output.migrate_function, output.warehouse_host, output.warehouse_secret_arns] : value == null
    ])
    error_message = "a branch that is off creates nothing, and its outputs are null: the warehouse"
  }

  assert {
    condition     = output.feedback_function == null && output.feedback_table == null && output.feedback_queue_url == null && output.feedback_dlq_url == null
    error_message = "a branch that is off creates nothing, and its outputs are null: feedback"
  }

  assert {
    condition     = output.lake_function == null && output.lake_workgroup == null && output.lake_database == null && output.lake_bucket == null && output.lake_queue_url == null && output.lake_dlq_url == null
    error_message = "a branch that is off creates nothing, and its outputs are null: the lake"
  }

  assert {
    condition = alltrue([
      for value in [output.api_function, output.api_id, output.api_stage, output.api_key_ids, output.analytics_table, output.analytics_worker_function, output.analytics_state_machine_arn] : value == null
    ])
    error_message = "a branch that is off creates nothing, and its outputs are null: the API"
  }

  assert {
    condition = alltrue([
      for value in [output.checkins_function, output.checkin_executor_function, output.checkins_state_machine_arn, output.checkins_table, output.checkin_log_table] : value == null
    ])
    error_message = "a branch that is off creates nothing, and its outputs are null: check-ins"
  }

  assert {
    condition = alltrue([
      for value in [output.staging_bucket, output.quality_bucket, output.quality_function, output.quality_audit_function, output.quality_publish_function, output.quality_job, output.quality_state_machine_arn, output.quality_queue_url, output.quality_dlq_url] : value == null
    ])
    error_message = "a branch that is off creates nothing, and its outputs are null: the quality gate"
  }
}

run "a_limit_below_a_chunk_is_refused" {
  command = plan

  variables {
    chunk_bytes              = 131072
    single_chunk_limit_bytes = 131071
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.single_chunk_limit_bytes]
}

run "a_visibility_below_six_timeouts_and_the_window_is_refused" {
  command = plan

  variables {
    transform_timeout_seconds         = 60
    transform_batching_window_seconds = 5
    chunk_visibility_seconds          = 364
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.chunk_visibility_seconds]
}

run "a_receive_count_below_five_and_a_chunk_that_outlives_dead_letters_are_refused" {
  command = plan

  variables {
    max_receive_count    = 4
    chunk_retention_days = 14
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.max_receive_count, var.chunk_retention_days]
}

run "a_concurrency_outside_lambdas_limits_is_refused" {
  command = plan

  variables {
    transform_maximum_concurrency = 1001
    account_concurrency           = 5000
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.transform_maximum_concurrency]
}

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html#compute-and-storage
run "a_new_account_cannot_run_what_the_queues_may_have_running" {
  command = plan

  variables {
    account_concurrency           = 10
    transform_maximum_concurrency = 10 # and ingest
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.account_concurrency]
}

run "lambda_reserves_all_but_a_hundred" {
  command = plan

  variables {
    account_concurrency            = 200
    transform_maximum_concurrency  = 4
    transform_reserved_concurrency = 101
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.account_concurrency]
}

run "a_reservation_below_the_queues_concurrency_is_refused" {
  command = plan

  variables {
    transform_maximum_concurrency  = 8
    transform_reserved_concurrency = 7
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.transform_reserved_concurrency]
}

run "protection_of_data_that_is_to_be_destroyed_is_refused" {
  command = plan

  variables {
    force_destroy       = true
    deletion_protection = true
    region              = "eu-west-1"
    allowed_account_ids = ["123456789012"]
    bucket_suffix       = "acme"
    notification_email  = "data-team@example.com"
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.deletion_protection]
}

run "data_that_matters_needs_a_region_an_account_a_suffix_and_an_address" {
  command = plan

  variables {
    deletion_protection = true
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.region, var.allowed_account_ids, var.bucket_suffix, var.notification_email]
}

run "throttles_of_the_api_fit_its_concurrency_and_that_fits_the_connections" {
  command = plan

  variables {
    warehouse_enabled        = true
    api_enabled              = true
    warehouse_max_capacity   = 1
    load_maximum_concurrency = 2
    # 189 connections, of which 10 are left to others
    api_reserved_concurrency = 177
    api_throttle             = { rate = 1770, burst = 177 }
  }

  module {
    source = "./stack"
  }
}

run "throttles_above_the_concurrency_are_refused" {
  command = plan

  variables {
    api_reserved_concurrency = 10
    api_throttle             = { rate = 100, burst = 11 }
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.api_reserved_concurrency]
}

run "more_connections_than_the_database_takes_are_refused" {
  command = plan

  variables {
    warehouse_enabled        = true
    api_enabled              = true
    warehouse_max_capacity   = 1
    load_maximum_concurrency = 2
    api_reserved_concurrency = 178
    api_throttle             = { rate = 1, burst = 1 }
  }

  module {
    source = "./stack"
  }

  expect_failures = [var.api_reserved_concurrency]
}

run "raw_objects_move_and_expire_as_their_variables_say" {
  variables {
    bronze_expire_days = 400
    bronze_transition  = { days = 90, storage_class = "GLACIER_IR" }
  }

  module {
    source = "./stack"
  }

  assert {
    condition = {
      for rule in module.bucket["bronze"].lifecycle_rules : rule.id => [
        rule.filter[0].prefix, try(tostring(rule.expiration[0].days), null), try(one(rule.transition).storage_class, null)
      ] if startswith(rule.id, "expire-bronze") || startswith(rule.id, "move-")
      } == {
      expire-bronze = ["bronze/", "400", null]
      move-bronze   = ["bronze/", null, "GLACIER_IR"]
    }
    error_message = "the rules must follow the variables"
  }

  assert {
    condition     = length([for rule in module.bucket["silver"].lifecycle_rules : rule if startswith(rule.id, "move-")]) == 0
    error_message = "only raw objects move"
  }
}
