"""The embedded LocalStack: how it is started and asked whether it is well."""

from __future__ import annotations

import json
import os
import subprocess
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from sluice.console import fail
from sluice.instance import HOST, Instance
from sluice.paths import ENGINE_ENV, RUNTIMES_DIR
from sluice.processes import MARKER

MODULE = "sluice_ext.main"
# What a shell prepared by `sluice env`, or by another emulator, would otherwise tell the engine about itself.
_FOREIGN = ("AWS_", "LOCALSTACK_", "PYTHON", "TF_", "VIRTUAL_ENV", "EDGE_PORT", "S3_HOSTNAME", "SLUICE_", "PYTEST_")

SETTINGS = (
    "SLUICE_MAX_ENVIRONMENTS",
    "SLUICE_SCALE_UP_MS",
    "SLUICE_LAMBDA_INIT_SECONDS",
    "SLUICE_LAMBDA_MEMORY_LIMIT",
    "SLUICE_LAMBDA_PRIVATE_TMP",
    "SLUICE_TTL_SWEEP_SECONDS",
    "SLUICE_IAM",
    "SLUICE_LOG_FLUSH_MS",
    "SLUICE_METRIC_SECONDS",
    "SLUICE_ALARM_SECONDS",
)
"""The engine's settings that whoever starts it may give in the environment, on both engines (docs/engine.md)."""


def base_environment(instance: Instance) -> dict[str, str]:
    """This process's environment without what is meant for clients, and with the mark of the instance."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, (environment.get(name), HOST, "localhost")))
    environment[MARKER] = str(instance.home)
    return environment


def start(
    instance: Instance, port: int, *, faults: bool, postgres_port: int, password: str, extra: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Starts LocalStack in a session of its own; its log is <home>/logs/engine.log. password: PostgreSQL's."""
    python = ENGINE_ENV / "bin/python"
    if not python.exists():
        fail("the engine's environment is missing: run `make setup`", 1)
    environment = base_environment(instance)
    environment.update(
        GATEWAY_LISTEN=f"{HOST}:{port}",
        FILESYSTEM_ROOT=str(instance.localstack_dir),
        SLUICE_LAMBDA_RUNTIMES=str(RUNTIMES_DIR),
        SLUICE_POSTGRES_HOST=HOST,
        SLUICE_POSTGRES_PORT=str(postgres_port),
        SLUICE_POSTGRES_USER="postgres",
        SLUICE_POSTGRES_PASSWORD=password,
        SLUICE_FAULTS="1" if faults else "0",
        PYTHONUNBUFFERED="1",
    )
    environment |= given_settings() | extra
    instance.localstack_dir.mkdir(parents=True, exist_ok=True)
    with (instance.logs_dir / "engine.log").open("ab") as log:
        return subprocess.Popen(
            [str(python), "-m", MODULE],
            cwd=instance.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def given_settings() -> dict[str, str]:
    """Those of `SETTINGS` that this process's environment has."""
    return {name: os.environ[name] for name in SETTINGS if os.environ.get(name)}


def health(port: int) -> dict[str, Any] | None:
    """What the extension says about itself, or None while it does not answer (GET /_sluice/health)."""
    return _ask(port, "/_sluice/health")


def foreign_health(port: int) -> dict[str, Any] | None:
    """What a LocalStack without the extension says about itself, or None (GET /_localstack/health)."""
    return _ask(port, "/_localstack/health")


def _ask(port: int, path: str) -> dict[str, Any] | None:
    # Never through a proxy, whatever the environment says: this is a server on the loopback address.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"http://{HOST}:{port}{path}", timeout=2) as response:
            body = json.loads(response.read())
    except (URLError, OSError, HTTPException, ValueError):
        return None
    return body if isinstance(body, dict) else None
