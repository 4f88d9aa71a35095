"""Every setting of the engine in one place.

``ENGINE_DEFAULTS`` are LocalStack's own variables; `sluice_ext.main` puts them in the environment (never over a
value that is already there) before LocalStack is imported. The rest are read by the extension:

| variable | default | meaning |
|---|---|---|
| SLUICE_LAMBDA_RUNTIMES | (none) | folder holding `<runtime>/bin/python` for each Lambda runtime |
| SLUICE_IAM | (none) | record = record what each role uses; enforce = also refuse what its policies do not allow |
| SLUICE_MAX_ENVIRONMENTS | 8 per core, 8 to 32 | execution environments alive at once, all functions together |
| SLUICE_SCALE_UP_MS | 200 | wait, times the excess, before a function gets more environments than cores (ms) |
| SLUICE_LAMBDA_INIT_SECONDS | 10 | time limit of the init phase (s) |
| SLUICE_LAMBDA_MEMORY_LIMIT | 1 | 1 = kill an invocation that grows beyond the memory size, as on AWS |
| SLUICE_LAMBDA_PRIVATE_TMP | 1 | 1 = each environment has its own /tmp (mount namespace) where the kernel allows it |
| SLUICE_TTL_SWEEP_SECONDS | 5 | how often expired DynamoDB items are removed (s) |
| SLUICE_LOG_FLUSH_MS | 200 | how long function logs are gathered before one PutLogEvents (ms) |
| SLUICE_METRIC_SECONDS | 5 | how often the depths and ages of queues are published (s; AWS: 60) |
| SLUICE_ALARM_SECONDS | 5 | how often alarms are evaluated (s; AWS: 60, or 10 for short periods) |
| SLUICE_FAULTS | 0 | 1 = allow fault control and the call record under /_sluice |
| SLUICE_POSTGRES_HOST | (none) | where the engine itself reaches PostgreSQL; empty: there is none |
| SLUICE_POSTGRES_PORT | 5432 | and its port there |
| SLUICE_POSTGRES_USER | postgres | an administrator of that server |
| SLUICE_POSTGRES_PASSWORD | (none) | the administrator's password; empty: the server trusts |
| SLUICE_POSTGRES_PUBLIC_PORT | SLUICE_POSTGRES_PORT | where users on this machine reach it, on 127.0.0.1 |
"""

import os
import shutil
from pathlib import Path

ENGINE_DEFAULTS: dict[str, str] = {
    # Loads this extension's parts.
    "LAMBDA_RUNTIME_EXECUTOR": "process",
    "PROVIDER_OVERRIDE_APIGATEWAY": "sluice",
    "PROVIDER_OVERRIDE_CLOUDWATCH": "sluice",
    "PROVIDER_OVERRIDE_DYNAMODB": "sluice",
    "PROVIDER_OVERRIDE_LAMBDA": "sluice",
    "PROVIDER_OVERRIDE_RDS": "sluice",
    "PROVIDER_OVERRIDE_S3": "sluice",
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
    "LOCALSTACK_HOST": "127.0.0.1",
    "USE_SSL": "0",
    # One CloudWatch call per SQS call costs more than the call itself; metrics are counted in memory instead.
    "SQS_DISABLE_CLOUDWATCH_METRICS": "1",
    # Lambda: an idle environment lives 10 minutes; an asynchronous retry waits 1 then 2 minutes, as on AWS.
    "LAMBDA_KEEPALIVE_MS": "600000",
    "LAMBDA_RETRY_BASE_DELAY": "60",
    "LAMBDA_REMOVE_CONTAINERS": "1",
    # Services call each other in this process instead of through the engine's own port.
    "IN_MEMORY_CLIENT": "1",
    # Persist nothing.
    "PERSISTENCE": "0",
    "LS_LOG": "warn",
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
# Tests want the record; the engine of `make up` does without.
IAM_RECORDED = bool(_IAM) or _flag("SLUICE_FAULTS", False)
MAX_ENVIRONMENTS = max(1, int(_number("SLUICE_MAX_ENVIRONMENTS", min(32, max(8, 8 * cores())))))
SCALE_UP_SECONDS = _number("SLUICE_SCALE_UP_MS", 200) / 1000
INIT_SECONDS = _number("SLUICE_LAMBDA_INIT_SECONDS", 10)
MEMORY_LIMIT = _flag("SLUICE_LAMBDA_MEMORY_LIMIT", True)
PRIVATE_TMP = _flag("SLUICE_LAMBDA_PRIVATE_TMP", True)
TTL_SWEEP_SECONDS = _number("SLUICE_TTL_SWEEP_SECONDS", 5)
LOG_FLUSH_SECONDS = _number("SLUICE_LOG_FLUSH_MS", 200) / 1000
METRIC_SECONDS = _number("SLUICE_METRIC_SECONDS", 5)
ALARM_SECONDS = _number("SLUICE_ALARM_SECONDS", 5)
FAULTS = _flag("SLUICE_FAULTS", False)

POSTGRES_HOST = os.environ.get("SLUICE_POSTGRES_HOST", "").strip()
POSTGRES_PORT = int(_number("SLUICE_POSTGRES_PORT", 5432))
POSTGRES_USER = os.environ.get("SLUICE_POSTGRES_USER", "").strip() or "postgres"
POSTGRES_PASSWORD = os.environ.get("SLUICE_POSTGRES_PASSWORD", "")
# In a container the engine sees the server under another address than the user does.
POSTGRES_PUBLIC_PORT = int(_number("SLUICE_POSTGRES_PUBLIC_PORT", POSTGRES_PORT))


def apply_engine_defaults() -> None:
    """Put LocalStack's settings in the environment. Must run before LocalStack is imported."""
    listen = os.environ.setdefault("GATEWAY_LISTEN", "127.0.0.1:4566")
    for name, value in ENGINE_DEFAULTS.items():
        os.environ.setdefault(name, value)
    host, _, port = listen.split(",")[0].rpartition(":")
    if host and os.environ["LOCALSTACK_HOST"] in (host, "127.0.0.1"):
        # Queue URLs carry this host and port; clients must be able to use them as they are.
        os.environ["LOCALSTACK_HOST"] = f"{host if host != '0.0.0.0' else '127.0.0.1'}:{port}"
    root = os.environ.get("FILESYSTEM_ROOT")
    if root:
        # Unpacked code and function scratch space live in the instance's folder, so removing it removes everything.
        scratch = Path(root).resolve() / "tmp"
        # What an engine that was killed left behind: code, scratch space, contents of objects nobody knows any more.
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True, exist_ok=True)
        os.environ["TMPDIR"] = str(scratch)
