"""What both kinds of engine know about the two servers: LocalStack's settings, and how each server is asked."""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection, HTTPException
from typing import Any

from sluice.console import SluiceError, fail
from sluice.engine.instance import HOST, EngineInfo
from sluice.environment import without_libpq

LOCALSTACK_MODULE = "sluice_ext.main"
"""The module that LocalStack's process runs."""

SETTINGS = (
    "SLUICE_MAX_ENVIRONMENTS",
    "SLUICE_SCALE_UP_MS",
    "SLUICE_IDLE_SECONDS",
    "SLUICE_IDLE_MB",
    "SLUICE_TRIM_SECONDS",
    "SLUICE_LAMBDA_INIT_SECONDS",
    "SLUICE_LAMBDA_UPDATE_SECONDS",
    "SLUICE_LAMBDA_MEMORY_LIMIT",
    "SLUICE_LAMBDA_FORK",
    "SLUICE_LAMBDA_PRIVATE_TMP",
    "SLUICE_TTL_SWEEP_SECONDS",
    "SLUICE_IAM",
    "SLUICE_SPARK_MB",
    "SLUICE_SPARK_OPTIMIZE",
    "SLUICE_S3_MEMORY_MB",
    "SLUICE_LOG_MB",
    "SLUICE_LOG_FLUSH_MS",
    "SLUICE_METRIC_SECONDS",
    "SLUICE_ALARM_SECONDS",
)
"""The engine's settings that the caller may give in the environment, on both engines (docs/engine.md)."""


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
    # And without urllib, whose openers load the system's certificates first.
    connection = HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = json.loads(response.read()) if response.status == 200 else None
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return body if isinstance(body, dict) else None


def postgres_version(port: int, password: str) -> str | None:
    """The version of a PostgreSQL that accepts the password, or None while it does not answer.

    Raises SluiceError when it answers and refuses the password.
    """
    import psycopg

    try:
        with (
            without_libpq(),
            psycopg.connect(
                host=HOST, port=port, user="postgres", password=password, dbname="postgres", connect_timeout=2
            ) as connection,
        ):
            row = connection.execute("SHOW server_version").fetchone()
    except psycopg.Error as error:
        if "password authentication failed" in str(error):
            fail(f"PostgreSQL at {HOST}:{port} refuses the instance's password", 1)
        return None
    return str(row[0]) if row else None


def both_answer(info: EngineInfo, *, foreign: bool = False) -> bool:
    """True when both servers of engine.json run and answer. foreign: a LocalStack without the extension counts too."""
    if not (info.engine.alive() and info.postgres.alive()):
        return False
    if health(info.port) is None and not (foreign and foreign_health(info.port)):
        return False
    try:
        return postgres_version(info.postgres_port, info.postgres_password) is not None
    except SluiceError:
        return False
