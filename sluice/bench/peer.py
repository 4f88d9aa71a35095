"""The peer: MiniStack, another free emulator, in an environment of its own, with the same Terraform and functions.

It runs functions as Python processes that share its own environment (LAMBDA_EXECUTOR=local), so boto3 is installed
beside it; layers it unpacks itself. https://github.com/ministackorg/ministack
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sluice.bench import stage
from sluice.bench.stage import Stage
from sluice.console import SluiceError, fail, note
from sluice.engine import ports
from sluice.engine.instance import HOST, EngineInfo, Instance
from sluice.paths import ROOT, SLUICE_DIR
from sluice.pipeline.stack import Stack
from sluice.polling import wait_until
from sluice.processes import ProcessId, stop
from sluice.setup import machine

NAME, VERSION = "ministack", "1.5.33"
REQUIREMENTS = (f"{NAME}=={VERSION}", "boto3==1.43.106")  # the botocore that this MiniStack pins
PEER_ENV = SLUICE_DIR / "peer"
START_SECONDS = 60.0


@contextmanager
def engine(report: Callable[[str], None] = note) -> Iterator[Stage]:
    """MiniStack on a free port; all of it is gone at the end.

    Nothing is deployed yet: see ``deploy``.
    """
    command = _install(report)
    with stage.home() as path:
        instance = Instance(path)
        began = time.monotonic()
        process = _start(command, path, ports.any_free(), instance)
        try:
            seconds = {"up": time.monotonic() - began}
            found = Stage(f"{NAME} {VERSION}", instance, Stack(instance.endpoint_url, "us-east-1"), seconds)
            yield found
        finally:
            stop([ProcessId.of(process.pid)] if process.poll() is None else [], seconds=5.0)
            process.wait()


def installed() -> bool:
    """Whether the peer's environment is there, in the version that is asked for."""
    stamp = PEER_ENV / ".stamp"
    return (PEER_ENV / "bin" / NAME).exists() and stamp.exists() and stamp.read_text() == "\n".join(REQUIREMENTS)


def deploy(found: Stage, report: Callable[[str], None] = note) -> str | None:
    """Deploys the project's own Terraform; returns the reason when the peer cannot take it."""
    try:
        found.seconds["deploy"] = stage.deploy(found, report)
    except SluiceError as error:
        return str(error)
    found.stack = Stack.load(found.instance)
    return None


def _install(report: Callable[[str], None]) -> Path:
    """The peer's command; makes its environment where that is still to do."""
    command = PEER_ENV / "bin" / NAME
    if installed():
        return command
    report(f"bench   installing {', '.join(REQUIREMENTS)}")
    log = SLUICE_DIR / "setup.log"
    try:
        uv = machine.find_uv(ROOT, sys.executable, log)
        environment = machine.uv_environment(sys.executable)
        machine.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(PEER_ENV)], environment, log)
        python = str(PEER_ENV / "bin/python")
        machine.run([uv, "pip", "install", "-q", "--python", python, *REQUIREMENTS], environment, log)
    except (machine.SetupError, subprocess.SubprocessError) as error:
        fail(f"{NAME} could not be installed: {error}", 1)
    (PEER_ENV / ".stamp").write_text("\n".join(REQUIREMENTS))
    return command


def _start(command: Path, home: Path, port: int, instance: Instance) -> subprocess.Popen[bytes]:
    """Starts it and writes down for Terraform and clients where it is, as for an engine of our own."""
    foreign = ("AWS_", "LOCALSTACK_", "PYTHON", "S3_", "GATEWAY_", "EDGE_PORT", "LAMBDA_", "MINISTACK_", "SERVICES")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    for folder in ("tmp", "s3", "state"):
        (home / folder).mkdir()
    instance.logs_dir.mkdir()
    environment.update(
        BIND_HOST=HOST,
        GATEWAY_PORT=str(port),
        MINISTACK_HOST=HOST,
        TMPDIR=str(home / "tmp"),
        S3_DATA_DIR=str(home / "s3"),
        STATE_DIR=str(home / "state"),
        SFTP_ENABLED="0",
        LOG_LEVEL="WARNING",  # its default writes a line for every call
    )
    with (instance.logs_dir / "engine.log").open("wb") as log:
        process = subprocess.Popen(
            [str(command)], cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    if (
        not wait_until(lambda: process.poll() is not None or _answers(port), START_SECONDS)
        or process.poll() is not None
    ):
        process.kill()
        process.wait()
        lines = (instance.logs_dir / "engine.log").read_text(errors="replace").strip().splitlines() or ["no output"]
        fail(f"{NAME} did not start: {lines[-1]}", 1)
    own = ProcessId.of(process.pid)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    instance.write_info(EngineInfo(port, 0, "", now, faults=False, engine=own, postgres=own, kind=NAME))
    return process


def _answers(port: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{HOST}:{port}/_ministack/health", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
