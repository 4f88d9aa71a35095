# A throw-away environment: small, quick to build, and gone without a trace when destroyed.

env = "dev"

force_destroy           = true
deletion_protection     = false
point_in_time_recovery  = false
noncurrent_version_days = 7
log_retention_days      = 7

chunk_bytes              = 16777216 # 16 MiB
single_chunk_limit_bytes = 67108864 # 64 MiB

ingest_timeout_seconds        = 30
ingest_memory_mb              = 512
ingest_maximum_concurrency    = 4
ledger_shards                 = 1
transform_timeout_seconds     = 30
transform_memory_mb           = 1024
transform_batch_size          = 4
transform_maximum_concurrency = 4
load_timeout_seconds          = 120
load_maximum_concurrency      = 2
checkin_timeout_seconds       = 60
checkin_deadline_seconds      = 900
quality_gather_seconds        = 1
taxi_retry_seconds            = 2

# One laptop's client may ask as fast as it can.
api_key_throttle = { rate = 500, burst = 1000 }
api_throttle     = { rate = 500, burst = 1000 }

api_job_timeout_seconds = 120

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
