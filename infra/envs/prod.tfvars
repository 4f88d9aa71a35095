# An environment whose data matters. Set bucket_suffix to something of your own: bucket names are shared by all accounts.

env = "prod"

force_destroy           = false
deletion_protection     = true
point_in_time_recovery  = true
noncurrent_version_days = 90
abort_multipart_days    = 7
log_retention_days      = 90
event_archive_days      = 30

chunk_bytes              = 16777216 # 16 MiB
single_chunk_limit_bytes = 67108864 # 64 MiB

ingest_timeout_seconds        = 50
ingest_memory_mb              = 512
transform_timeout_seconds     = 120
transform_memory_mb           = 2048
transform_batch_size          = 4
transform_maximum_concurrency = 50
load_timeout_seconds          = 300
load_maximum_concurrency      = 8
checkin_timeout_seconds       = 300
checkin_deadline_seconds      = 3600

api_key_throttle = { rate = 20, burst = 40 }
api_key_quota    = { limit = 50000, period = "DAY" }
api_schedules = {
  daily   = { expression = "cron(0 5 * * ? *)", operation = "revenue_analysis", parameters = { group_by = "date", since = "7d" } }
  monthly = { expression = "cron(0 6 1 * ? *)", operation = "revenue_analysis", parameters = { group_by = "month", since = "400d" } }
}

# Branches. One that is not built yet refuses true.
observability_enabled = false
ops_enabled           = false
warehouse_enabled     = false
canonical_enabled     = false
api_enabled           = false
feedback_enabled      = false
checkin_enabled       = false
lake_enabled          = false
quality_gate_enabled  = false
taxi_enabled          = false
