"""A peer as an engine to measure: started on a free port, the core deployed to it, all of it gone at the end."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sluice.bench import stage
from sluice.bench.peers import environment
from sluice.bench.peers.peer import Peer
from sluice.bench.stage import Stage
from sluice.console import SluiceError, fail, note
from sluice.engine import ports
from sluice.engine.instance import HOST, EngineInfo, Instance
from sluice.environment import of_machine
from sluice.paths import STACK_DIR
from sluice.pipeline.stack import Stack
from sluice.polling import wait_until
from sluice.processes import ProcessId, leftovers, stop
from sluice.terraform import varfile

START_SECONDS = 60.0
LOG = "engine.log"


@contextmanager
def engine(peer: Peer, report: Callable[[str], None] = note) -> Iterator[Stage]:
    """The peer, with nothing deployed (see ``deploy``); it, its functions and its folder are gone at the end."""
    programs = environment.install(peer, report)
    with stage.home() as path:
        instance, port = Instance(path), ports.any_free()
        report(f"bench   starting {peer.title}")
        began = time.monotonic()
        try:
            with _process(peer, programs, path, port) as process:
                _wait_until_up(peer, process, instance, port)
                seconds = {"up": time.monotonic() - began}
                place = Stack(instance.endpoint_url, "us-east-1")
                yield Stage(peer.title, instance, place, seconds, functions_below=peer.functions_below)
        finally:
            peer.clean(path)


def deploy(found: Stage, report: Callable[[str], None] = note) -> str | None:
    """Deploys the core of the project's own Terraform; returns the reason when the peer cannot take it."""
    var_file = found.instance.home / "core.tfvars"
    var_file.write_text(varfile.core_alone(stage.VAR_FILE.read_text(encoding="utf-8"), STACK_DIR))
    try:
        found.seconds["deploy"] = stage.deploy(found, report, var_file=var_file)
    except SluiceError as error:
        return str(error)
    found.stack = Stack.load(found.instance)
    return None


@contextmanager
def _process(peer: Peer, programs: Path, home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The running peer. It gets the machine's variables and its own, and none of the shell's for other emulators."""
    variables = of_machine() | peer.settings(home, port)
    instance = Instance(home)
    instance.logs_dir.mkdir()
    program, *arguments = peer.command(port)
    with (instance.logs_dir / LOG).open("wb") as log:
        process = subprocess.Popen(
            [str(programs / program), *arguments], cwd=home, env=variables, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        stop([ProcessId.of(process.pid)] if process.poll() is None else [], seconds=peer.stop_seconds)
        process.wait()
        stop(leftovers(str(home), str(home)), seconds=0.0)  # of a peer that ended by itself


def _wait_until_up(peer: Peer, process: subprocess.Popen[bytes], instance: Instance, port: int) -> None:
    """Writes down for Terraform and clients where it is, as for an engine of our own, once it answers."""
    up = wait_until(lambda: process.poll() is not None or _answers(port, peer.health), START_SECONDS)
    if not up or process.poll() is not None:
        lines = (instance.logs_dir / LOG).read_text(errors="replace").strip().splitlines() or ["no output"]
        fail(f"{peer.title} did not start: {lines[-1]}", 1)
    own = ProcessId.of(process.pid)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    instance.write_info(EngineInfo(port, 0, "", now, faults=False, engine=own, postgres=own, kind=peer.name))


def _answers(port: int, path: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{HOST}:{port}{path}", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
