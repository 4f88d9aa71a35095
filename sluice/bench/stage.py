"""An engine and a stack for one measurement: a home of its own, free ports, gone at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from sluice import build, engine, terraform
from sluice.console import fail, note
from sluice.containers import ContainerId
from sluice.engine import compose, localstack, ports
from sluice.instance import Instance
from sluice.paths import ENVS_DIR, ROOT
from sluice.processes import ProcessId, family
from sluice.stack import Stack

VAR_FILE = ENVS_DIR / "dev.tfvars"
SAMPLE_SECONDS = 0.5
_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")  # of a make that called us


@dataclass
class Stage:
    """What runs, where, and the seconds that it took to get there (by step: up, deploy)."""

    name: str
    instance: Instance
    stack: Stack
    seconds: dict[str, float] = field(default_factory=dict)

    def root(self) -> ProcessId:
        """The engine's process; functions run below it."""
        info = self.instance.info()
        if info is None:
            fail(f"{self.name} is gone: see {self.instance.logs_dir}", 1)
        if isinstance(info.engine, ContainerId):
            # Below the container's init. The daemon's machine is this one, else nothing could be measured.
            return ProcessId.of(info.engine.pid_of(localstack.MODULE))
        return info.engine

    def usage(self) -> Usage:
        return Usage.of(self.root())


@contextmanager
def home() -> Iterator[Path]:
    """A folder that is gone at the end. Not below .sluice: a stage must work beside `make clean`."""
    path = Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def own_engine(report: Callable[[str], None] = note, kind: str | None = None) -> Iterator[Stage]:
    """LocalStack with Sluice's extension, and dev.tfvars deployed to it as it is. kind: without one $ENGINE decides."""
    with home() as path:
        instance = Instance(path)
        try:
            kind = kind or engine.choose(instance, report)
            if kind == engine.DOCKER:
                compose.prepare(instance, report)  # the image is built once, and not part of a start
            report(f"bench   starting an engine of its own ({kind})")
            seconds = {"up": timed(lambda: _make_up(path, kind))}
            stage = Stage("sluice", instance, Stack(instance.endpoint_url, "us-east-1"), seconds)
            seconds["deploy"] = deploy(stage, report)
            stage.stack = Stack.load(instance)
            yield stage
        finally:
            engine.down(instance, volumes=True, report=lambda _: None)


def deploy(stage: Stage, report: Callable[[str], None] = note) -> float:
    """Builds what changed and deploys dev.tfvars; returns the seconds."""
    report(f"bench   deploying to {stage.name}")

    def run() -> None:
        build.build()
        terraform.apply(stage.instance, VAR_FILE, infra_dir=_infra(stage.instance), report=report)

    return timed(run)


@contextmanager
def core_only(where: Stage) -> Iterator[int]:
    """The branches hear nothing of what is committed meanwhile; yields how many there are.

    Their rules on the event bus are disabled, so ingest and transform have the machine for themselves.
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DisableRule.html
    """
    events, bus = where.stack.client("events"), where.stack["event_bus_name"]
    rules = [rule["Name"] for rule in events.list_rules(EventBusName=bus)["Rules"] if rule["State"] == "ENABLED"]
    for rule in rules:
        events.disable_rule(Name=rule, EventBusName=bus)
    try:
        yield len(rules)
    finally:
        for rule in rules:
            events.enable_rule(Name=rule, EventBusName=bus)


def _infra(instance: Instance) -> Path:
    """The stage's own copy of infra/, made once: tflocal writes a file beside the code."""
    copy = instance.home / "infra"
    return copy if copy.exists() else terraform.settings.copy_infra(copy)


def _make_up(path: Path, kind: str) -> None:
    """`make up`, the command itself, for another home."""
    flags = f"--port {ports.any_free()} --postgres-port {ports.any_free()}"
    run(
        ["make", "--no-print-directory", "-C", str(ROOT), "up", f"ARGS={flags}"],
        {"SLUICE_HOME": str(path), "ENGINE": kind},
    )


def run(command: list[str], more: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Runs a command; raises SluiceError with its last line when it fails."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    done = subprocess.run(
        command, env=environment | dict(more or {}), cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        fail(f"{' '.join(command[:4])} failed: {lines[-1]}", 1)


def timed(work: Callable[[], object]) -> float:
    """Seconds that some work takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


@dataclass(frozen=True)
class Usage:
    """Processor seconds so far, of an engine and of the functions below it."""

    engine: float
    functions: float

    @classmethod
    def of(cls, root: ProcessId) -> Usage:
        own, *below = [_processor(one) for one in family(root)] or [0.0]
        return cls(own, sum(below))

    def per(self, before: Usage, count: int) -> Usage:
        """Milliseconds for each of ``count`` objects since ``before``."""
        return Usage(
            (self.engine - before.engine) / count * 1000, max(0.0, self.functions - before.functions) / count * 1000
        )


def _processor(identity: ProcessId) -> float:
    process = identity.process()
    try:
        times = process.cpu_times() if process else None
    except psutil.Error:
        return 0.0
    return float(times.user + times.system) if times else 0.0


class Memory:
    """Watches an engine's resident memory while a block runs. Bytes."""

    def __init__(self, root: ProcessId) -> None:
        self._root = root
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="bench-memory")
        self.engine = 0
        self.functions = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            own, functions = memory(self._root)
            self.engine, self.functions = max(self.engine, own), max(self.functions, functions)
            if self._over.wait(SAMPLE_SECONDS):
                return


def memory(root: ProcessId) -> tuple[int, int]:
    """Resident bytes now: of the engine, and of all functions."""
    sizes = []
    for identity in family(root):
        process = identity.process()
        try:
            sizes.append(int(process.memory_info().rss) if process else 0)
        except psutil.Error:
            sizes.append(0)
    return (sizes[0], sum(sizes[1:])) if sizes else (0, 0)
