# An environment whose data matters. A plan refuses to begin without these, which only you can know:
# region              = "eu-west-1"
# allowed_account_ids = ["123456789012"]
# bucket_suffix       = "123456789012" # of your own: bucket names are shared by all accounts
# notification_email  = "data-team@example.com"
# With RDS's certificates of the region, functions prove the database that they connect to:
# warehouse_ca_file   = "~/eu-west-1-bundle.pem"
# permissions_boundary_arn = "arn:aws:iam::123456789012:policy/sluice-prod-boundary" # `make account` prints it

env = "prod"

force_destroy           = false
deletion_protection     = true
point_in_time_recovery  = true
noncurrent_version_days = 90
abort_multipart_days    = 7
log_retention_days      = 90
event_archive_days      = 30

notice_gather_seconds = 300 # a bad batch is one mail

reconcile_source   = "inventory"        # objects whose event never came: bronze by its daily list
reconcile_schedule = "rate(15 minutes)" # one run goes on after the other until the list is compared

chunk_bytes              = 16777216 # 16 MiB
single_chunk_limit_bytes = 67108864 # 64 MiB

ingest_timeout_seconds        = 50
ingest_memory_mb              = 512
ingest_maximum_concurrency    = 100
ingest_batch_size             = 10
ledger_shards                 = 8
ledger_retention_days         = 400 # a year can be audited and replayed; longer, the table grows by 5 TB a year at 10 million objects a day
transform_timeout_seconds     = 120
transform_memory_mb           = 2048
transform_batch_size          = 4
transform_maximum_concurrency = 50
load_timeout_seconds          = 300
load_maximum_concurrency      = 16
load_batch_size               = 10
lake_maximum_concurrency      = 60
checkin_timeout_seconds       = 300
checkin_deadline_seconds      = 3600

versioned_functions = true # sluice shift, sluice rollback

warehouse_readers = 1 # takes over when the writer's zone fails

# Needs a quota of the account of at least 200 concurrent executions. The throttle fits it: what is above is answered 429.
api_reserved_concurrency = 100
api_throttle             = { rate = 200, burst = 100 }

api_key_throttle = { rate = 20, burst = 40 }
api_key_quota    = { limit = 50000, period = "DAY" }
api_schedules = {
  daily   = { expression = "cron(0 5 * * ? *)", operation = "revenue_analysis", parameters = { group_by = "date", since = "7d" } }
  monthly = { expression = "cron(0 6 1 * ? *)", operation = "revenue_analysis", parameters = { group_by = "month", since = "400d" } }
}

# Branches. One that is not built yet refuses true.
observability_enabled = true
ops_enabled           = true
warehouse_enabled     = true
canonical_enabled     = true
api_enabled           = true
feedback_enabled      = true
checkin_enabled       = true
lake_enabled          = true
quality_gate_enabled  = true
taxi_enabled          = true
