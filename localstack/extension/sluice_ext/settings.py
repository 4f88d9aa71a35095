"""Every setting of the engine in one place.

``ENGINE_DEFAULTS`` are LocalStack's own variables; `sluice_ext.main` puts them in the environment (a value that is
already set wins) before LocalStack is imported. The rest are read by the extension:

| variable | default | meaning |
|---|---|---|
| SLUICE_LAMBDA_RUNTIMES | (none) | folder holding `<runtime>/bin/python` for each Lambda runtime |
| SLUICE_IAM | (none) | record = record what each role uses; enforce = also refuse what its policies do not allow |
| SLUICE_MAX_ENVIRONMENTS | 8 per core, 8 to 32 | most execution environments at once, of all functions together |
| SLUICE_SCALE_UP_MS | 200 | wait, times the excess, before a function gets more environments than cores (ms) |
| SLUICE_IDLE_SECONDS | 300 | how long an idle execution environment lives (s) |
| SLUICE_IDLE_MB | 512 | what all idle ones may hold together (MB; 0: no limit); the longest unused ends first |
| SLUICE_LAMBDA_INIT_SECONDS | 10 | time limit of the init phase (s) |
| SLUICE_LAMBDA_UPDATE_SECONDS | 0.3 | how long a function's creation or update lasts (s; 0: done at once) |
| SLUICE_LAMBDA_MEMORY_LIMIT | 1 | 1 = kill an invocation that grows beyond the memory size, as on AWS |
| SLUICE_LAMBDA_PRIVATE_TMP | 1 | 1 = each environment has its own /tmp (mount namespace) where the kernel allows it |
| SLUICE_LAMBDA_FORK | 1 | 1 = cold starts but a version's first begin with its libraries imported |
| SLUICE_TTL_SWEEP_SECONDS | 5 | how often expired DynamoDB items are removed (s) |
| SLUICE_LOG_FLUSH_MS | 200 | how long function logs are collected for one PutLogEvents (ms) |
| SLUICE_LOG_MB | 8 | how much of the functions' logs is stored, the newest lines (MB) |
| SLUICE_METRIC_SECONDS | 5 | how often the depths and ages of queues are published (s; AWS: 60) |
| SLUICE_ALARM_SECONDS | 5 | how often alarms are evaluated (s; AWS: 60, or 10 for short periods) |
| SLUICE_ATHENA_CACHE_MB | 2048 | most megabytes of S3 objects that Athena retains as files |
| SLUICE_SETUP | (none) | folder of the project's set-up, which makes the environments of Glue's jobs on first use |
| SLUICE_SETUP_HOME | HOME | the home of the user, whose package settings that set-up uses |
| SLUICE_JAVA_HOME | (none) | the Java of Spark jobs; empty: java on the PATH |
| SLUICE_GLUE_WHEELS | (none) | folder of wheels for --additional-python-modules |
| SLUICE_GLUE_MINUTE | 60 | how long a minute of a job's timeout lasts (s) |
| SLUICE_SPARK_MB | 3072 | most memory of a Spark job (MB) |
| SLUICE_SPARK_OPTIMIZE | 0 | 1 = Java's optimizing compiler, too, for Spark jobs of minutes (short ones cost twice) |
| SLUICE_S3_MEMORY_MB | 8 | what S3 objects up to 512 KiB hold in memory before the oldest go to files (MB) |
| SLUICE_TRIM_SECONDS | 10 | how often free memory is given back to the system (s; 0: never) |
| SLUICE_STATE | (none) | folder of a saved state, which is restored before the first call; may be missing |
| SLUICE_STATE_OBJECTS | (none) | folder of what saved states share; without it `objects` beside SLUICE_STATE |
| SLUICE_FAULTS | 0 | 1 = allow fault control and the call record under /_sluice |
| SLUICE_POSTGRES_HOST | (none) | host of PostgreSQL as the engine reaches it; empty: there is none |
| SLUICE_POSTGRES_PORT | 5432 | its port |
| SLUICE_POSTGRES_USER | postgres | an administrator of that server |
| SLUICE_POSTGRES_PASSWORD | (none) | the administrator's password; empty: the server asks for none |
| SLUICE_POSTGRES_PUBLIC_PORT | SLUICE_POSTGRES_PORT | where users on this machine reach it, on 127.0.0.1 |
| SLUICE_REDSHIFT_PORT | 0 | where drivers of Redshift connect, as work groups say; 0: PostgreSQL is their endpoint |
"""

import os
import shutil
from pathlib import Path

ENGINE_DEFAULTS: dict[str, str] = {
    # Load this extension's parts.
    "LAMBDA_RUNTIME_EXECUTOR": "process",
    "PROVIDER_OVERRIDE_APIGATEWAY": "sluice",
    "PROVIDER_OVERRIDE_ATHENA": "sluice",
    "PROVIDER_OVERRIDE_CLOUDWATCH": "sluice",
    "PROVIDER_OVERRIDE_DYNAMODB": "sluice",
    "PROVIDER_OVERRIDE_DYNAMODBSTREAMS": "sluice",
    "PROVIDER_OVERRIDE_EVENTS": "sluice",
    "PROVIDER_OVERRIDE_GLUE": "sluice",
    "PROVIDER_OVERRIDE_KMS": "sluice",
    "PROVIDER_OVERRIDE_LAMBDA": "sluice",
    "PROVIDER_OVERRIDE_LOGS": "sluice",
    "PROVIDER_OVERRIDE_RDS": "sluice",
    "PROVIDER_OVERRIDE_REDSHIFT_DATA": "sluice",
    "PROVIDER_OVERRIDE_REDSHIFT_SERVERLESS": "sluice",
    "PROVIDER_OVERRIDE_S3": "sluice",
    "PROVIDER_OVERRIDE_SCHEDULER": "sluice",
    "PROVIDER_OVERRIDE_SECRETSMANAGER": "sluice",
    "PROVIDER_OVERRIDE_SNS": "sluice",
    "PROVIDER_OVERRIDE_SQS": "sluice",
    "PROVIDER_OVERRIDE_STEPFUNCTIONS": "sluice",
    "GATEWAY_SERVER": "sluice",
    # Nothing is looked up, downloaded or reported on the network.
    "SKIP_SSL_CERT_DOWNLOAD": "1",
    "DISABLE_EVENTS": "1",
    "DNS_ADDRESS": "0",
    "EAGER_SERVICE_LOADING": "0",
    # Queue URLs that need no name resolution; Terraform's AWS provider takes http://host/account/name only.
    "SQS_ENDPOINT_STRATEGY": "off",
    # Messages end with MessageRetentionPeriod.
    "SQS_ENABLE_MESSAGE_RETENTION_PERIOD": "1",
    # Presigned URLs that expired or were altered are refused.
    "S3_SKIP_SIGNATURE_VALIDATION": "0",
    # So are KMS keys that are not there, or disabled.
    "S3_SKIP_KMS_KEY_VALIDATION": "0",
    "LOCALSTACK_HOST": "127.0.0.1",
    "USE_SSL": "0",
    # One CloudWatch call per SQS call costs more than the call itself; metrics are counted in memory instead.
    "SQS_DISABLE_CLOUDWATCH_METRICS": "1",
    # Lambda: an asynchronous retry waits 1 then 2 minutes, as on AWS.
    "LAMBDA_RETRY_BASE_DELAY": "60",
    "LAMBDA_REMOVE_CONTAINERS": "1",
    # Services call each other in this process instead of through the engine's own port.
    "IN_MEMORY_CLIENT": "1",
    "LS_LOG": "warn",
}


NO_IDENTITY = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def _number(name: str, default: float) -> float:
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    try:
        return float(value)
    except ValueError:
        raise SystemExit(f"{name} must be a number, not {value!r}") from None


def _flag(name: str, default: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    return default if not value else value not in ("0", "false", "no", "off")


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _choice(name: str, *known: str) -> str:
    value = os.environ.get(name, "").strip().lower()
    if value and value not in known:
        raise SystemExit(f"{name} must be {' or '.join(known)}, not {value!r}")
    return value


RUNTIMES_DIR = os.environ.get("SLUICE_LAMBDA_RUNTIMES", "")
_IAM = _choice("SLUICE_IAM", "record", "enforce")
IAM_ENFORCED = _IAM == "enforce"
# Tests need the record; the engine of `make up` does not.
IAM_RECORDED = bool(_IAM) or _flag("SLUICE_FAULTS", False)
MAX_ENVIRONMENTS = max(1, int(_number("SLUICE_MAX_ENVIRONMENTS", min(32, max(8, 8 * cores())))))
SCALE_UP_SECONDS = _number("SLUICE_SCALE_UP_MS", 200) / 1000
IDLE_SECONDS = _number("SLUICE_IDLE_SECONDS", 300)
IDLE_MEMORY = max(0, int(_number("SLUICE_IDLE_MB", 512))) * 1_000_000
INIT_SECONDS = _number("SLUICE_LAMBDA_INIT_SECONDS", 10)
LAMBDA_UPDATE_SECONDS = _number("SLUICE_LAMBDA_UPDATE_SECONDS", 0.3)
MEMORY_LIMIT = _flag("SLUICE_LAMBDA_MEMORY_LIMIT", True)
PRIVATE_TMP = _flag("SLUICE_LAMBDA_PRIVATE_TMP", True)
FORK_SERVERS = _flag("SLUICE_LAMBDA_FORK", True)
TTL_SWEEP_SECONDS = _number("SLUICE_TTL_SWEEP_SECONDS", 5)
LOG_FLUSH_SECONDS = _number("SLUICE_LOG_FLUSH_MS", 200) / 1000
LOG_BYTES = max(1, int(_number("SLUICE_LOG_MB", 8))) * 1_000_000
METRIC_SECONDS = _number("SLUICE_METRIC_SECONDS", 5)
ALARM_SECONDS = _number("SLUICE_ALARM_SECONDS", 5)
ATHENA_CACHE_BYTES = int(_number("SLUICE_ATHENA_CACHE_MB", 2048) * 1_000_000)
SETUP = os.environ.get("SLUICE_SETUP", "").strip()
SETUP_HOME = os.environ.get("SLUICE_SETUP_HOME", "").strip()
JAVA_HOME = os.environ.get("SLUICE_JAVA_HOME", "").strip()
GLUE_WHEELS = os.environ.get("SLUICE_GLUE_WHEELS", "").strip()
GLUE_MINUTE = _number("SLUICE_GLUE_MINUTE", 60)
SPARK_MEMORY = max(1024, int(_number("SLUICE_SPARK_MB", 3072))) * 1_000_000
SPARK_OPTIMIZE = _flag("SLUICE_SPARK_OPTIMIZE", False)
S3_MEMORY = max(0, int(_number("SLUICE_S3_MEMORY_MB", 8))) * 1_000_000
TRIM_SECONDS = _number("SLUICE_TRIM_SECONDS", 10)
STATE_FOLDER = os.environ.get("SLUICE_STATE", "").strip()
STATE_OBJECTS = os.environ.get("SLUICE_STATE_OBJECTS", "").strip()
FAULTS = _flag("SLUICE_FAULTS", False)

POSTGRES_HOST = os.environ.get("SLUICE_POSTGRES_HOST", "").strip()
POSTGRES_PORT = int(_number("SLUICE_POSTGRES_PORT", 5432))
POSTGRES_USER = os.environ.get("SLUICE_POSTGRES_USER", "").strip() or "postgres"
POSTGRES_PASSWORD = os.environ.get("SLUICE_POSTGRES_PASSWORD", "")
# In a container the engine sees the server under another address than the user does.
POSTGRES_PUBLIC_PORT = int(_number("SLUICE_POSTGRES_PUBLIC_PORT", POSTGRES_PORT))
REDSHIFT_PORT = int(_number("SLUICE_REDSHIFT_PORT", 0))


def apply_engine_defaults() -> None:
    """Put LocalStack's settings in the environment. Must run before LocalStack is imported."""
    listen = os.environ.setdefault("GATEWAY_LISTEN", "127.0.0.1:4566")
    for name, value in ENGINE_DEFAULTS.items():
        os.environ.setdefault(name, value)
    # LocalStack's own persistence: what is kept is up to the host, which calls /_sluice/state.
    os.environ["PERSISTENCE"] = "0"
    host, _, port = listen.split(",")[0].rpartition(":")
    if host and os.environ["LOCALSTACK_HOST"] in (host, "127.0.0.1"):
        # Queue URLs carry this host and port; clients must be able to use them as they are.
        os.environ["LOCALSTACK_HOST"] = f"{host if host != '0.0.0.0' else '127.0.0.1'}:{port}"
    root = os.environ.get("FILESYSTEM_ROOT")
    if root:
        # Unpacked code and function scratch space live in the instance's folder, so removing it removes everything.
        scratch = Path(root).resolve() / "tmp"
        # A killed engine leaves code, scratch space and objects' contents behind that no engine knows any more.
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True, exist_ok=True)
        os.environ["TMPDIR"] = str(scratch)
