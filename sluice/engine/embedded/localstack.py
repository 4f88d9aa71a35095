"""The embedded LocalStack: its environment and its start."""

from __future__ import annotations

import os
import subprocess

from sluice.console import fail
from sluice.engine import servers
from sluice.engine.instance import HOST, Instance
from sluice.environment import of_machine
from sluice.paths import CACHE_DIR, ENGINE_ENV, RUNTIMES_DIR, SETUP_DIR
from sluice.processes import MARKER

# LocalStack's own settings that may be given in the shell (docs/engine.md); all others are the extension's to decide.
_LOCALSTACK = ("LAMBDA_RETRY_BASE_DELAY", "LS_LOG")
# Glue's jobs do not run in containers.
_JOBS = ("SLUICE_GLUE_WHEELS", "SLUICE_GLUE_MINUTE", "SLUICE_SPARK_MB")


def base_environment(instance: Instance) -> dict[str, str]:
    """What the machine's programs need of this process's environment, and the mark of the instance."""
    environment = of_machine()
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
        SLUICE_SETUP=str(SETUP_DIR),
        SLUICE_SETUP_HOME=os.environ.get("HOME", ""),
        SLUICE_JAVA_HOME=os.environ.get("JAVA_HOME", ""),
        SLUICE_POSTGRES_HOST=HOST,
        SLUICE_POSTGRES_PORT=str(postgres_port),
        SLUICE_POSTGRES_USER="postgres",
        SLUICE_POSTGRES_PASSWORD=password,
        SLUICE_FAULTS="1" if faults else "0",
        PYTHONUNBUFFERED="1",
        # The user's home may be read-only or unknown, and is not the engine's.
        HOME=str(instance.localstack_dir),
        XDG_CACHE_HOME=str(CACHE_DIR / "engine"),
    )
    environment |= {name: os.environ[name] for name in (*_LOCALSTACK, *_JOBS) if os.environ.get(name)}
    environment |= servers.given_settings() | extra
    instance.localstack_dir.mkdir(parents=True, exist_ok=True)
    with (instance.logs_dir / "engine.log").open("ab") as log:
        return subprocess.Popen(
            [str(python), "-m", servers.LOCALSTACK_MODULE],
            cwd=instance.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
