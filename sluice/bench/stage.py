"""An engine and a stack for one measurement: a home of its own, free ports, gone at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from sluice import build, engine, terraform
from sluice.console import fail, note
from sluice.engine import ports, servers
from sluice.engine.containers import ContainerId
from sluice.engine.docker import compose
from sluice.engine.instance import Instance
from sluice.paths import DATASETS_DIR, ENVS_DIR, HOME_VARIABLE, ROOT
from sluice.pipeline.stack import Stack
from sluice.polling import wait_until
from sluice.processes import ProcessId, family

VAR_FILE = ENVS_DIR / "dev.tfvars"
SAMPLE_SECONDS = 0.5
IDLE_SHARE, SETTLE_SECONDS = 0.1, 30.0  # of a processor
_OTHERS = ("AWS_ENDPOINT_URL", "PYTHONDONTWRITEBYTECODE")  # another engine's, and what would compile us each time
_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "ARGS")


@dataclass
class Stage:
    """What runs, where, and the seconds that it took to get there (by step: up, deploy)."""

    name: str
    instance: Instance
    stack: Stack
    seconds: dict[str, float] = field(default_factory=dict)
    functions_below: bool = True
    """Whether functions run below the engine's process; where not, their memory and work are not seen."""

    def root(self) -> ProcessId:
        """The engine's process; functions run below it."""
        info = self.instance.info()
        if info is None:
            fail(f"{self.name} is gone: see {self.instance.logs_dir}", 1)
        if isinstance(info.engine, ContainerId):
            # Below the container's init. The daemon's machine is this one, else nothing could be measured.
            return ProcessId.of(info.engine.pid_of(servers.LOCALSTACK_MODULE))
        return info.engine

    def usage(self) -> Usage:
        return Usage.of(self.root())

    def settle(self, seconds: float = SETTLE_SECONDS) -> bool:
        """Waits until engine and functions are idle; False when they are not within ``seconds``."""
        before = self.usage()

        def idle() -> bool:
            nonlocal before
            now = self.usage()
            spent = now.per(before, 1)
            before = now
            return spent.engine + spent.functions < IDLE_SHARE * SAMPLE_SECONDS * 1000

        time.sleep(SAMPLE_SECONDS)
        return wait_until(idle, seconds, SAMPLE_SECONDS)


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
            if kind == engine.EMBEDDED:
                seconds["down"] = timed(lambda: engine.down(instance, keep=True, report=report))
                seconds["restore"] = timed(lambda: _restored(instance))
            stage.stack = Stack.load(instance)
            yield stage
        finally:
            engine.down(instance, volumes=True, report=lambda _: None)


def deploy(
    stage: Stage, report: Callable[[str], None] = note, *, datasets: Path = DATASETS_DIR, var_file: Path = VAR_FILE
) -> float:
    """Builds what changed and deploys it, as dev.tfvars or another file says; returns the seconds."""
    report(f"bench   deploying to {stage.name}")

    def run() -> None:
        build.build(datasets=datasets)
        terraform.apply(stage.instance, var_file, infra_dir=_infra(stage.instance), report=report)

    return timed(run)


@contextmanager
def core_only(where: Stage) -> Iterator[int]:
    """Detaches the branches from the event bus while a block runs; yields how many there are.

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


def _restored(instance: Instance) -> None:
    """`make up` with the state that was saved, until a call to the deployed stack is answered."""
    environment = {"SLUICE_HOME": str(instance.home), "ENGINE": engine.EMBEDDED}
    run(["make", "--no-print-directory", "-C", str(ROOT), "up"], environment)
    Stack.load(instance).client("s3").list_buckets()


def _make_up(path: Path, kind: str) -> None:
    """`make up`, the command itself, for another home."""
    flags = f"--port {ports.any_free()} --postgres-port {ports.any_free()}"
    run(
        ["make", "--no-print-directory", "-C", str(ROOT), "up", f"ARGS={flags}"],
        {"SLUICE_HOME": str(path), "ENGINE": kind},
    )


def own_environment(instance: Instance) -> dict[str, str]:
    """Of a verb that talks to this instance, whatever ours says."""
    return {k: v for k, v in os.environ.items() if k not in _OTHERS} | {HOME_VARIABLE: str(instance.home)}


def run(command: list[str], more: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Runs a command; raises SluiceError with its last line when it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in _MAKE}
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


def processor_seconds() -> float:
    """Of this process and of all that it started and that has ended: of Terraform, and not of the engine."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@dataclass(frozen=True)
class Usage:
    """Processor seconds so far, of an engine and of the functions below it, those that have ended included."""

    engine: float
    functions: float

    @classmethod
    def of(cls, root: ProcessId) -> Usage:
        own, *below = [_processor(one) for one in family(root)] or [Processor()]
        return cls(own.own, own.ended + sum(one.own + one.ended for one in below))

    def per(self, before: Usage, count: int) -> Usage:
        """Milliseconds for each of ``count`` objects since ``before``."""
        return Usage(
            (self.engine - before.engine) / count * 1000, max(0.0, self.functions - before.functions) / count * 1000
        )


@dataclass(frozen=True)
class Processor:
    """Processor seconds of a process, and of its children that have ended: functions' environments come and go."""

    own: float = 0.0
    ended: float = 0.0


def _processor(identity: ProcessId) -> Processor:
    process = identity.process()
    try:
        times = process.cpu_times() if process else None
    except psutil.Error:
        return Processor()
    if times is None:
        return Processor()
    return Processor(times.user + times.system, times.children_user + times.children_system)


def processor_name() -> str:
    """The model of the processor, as Linux says it."""
    try:
        with Path("/proc/cpuinfo").open() as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return ""


class Watcher(ABC):
    """Watches something in a thread while a block runs; ``_over`` is set when the block ends."""

    def __init__(self, name: str) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name=name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @abstractmethod
    def _watch(self) -> None: ...


class Memory(Watcher):
    """The highest resident memory of an engine. Bytes."""

    def __init__(self, root: ProcessId) -> None:
        super().__init__("bench-memory")
        self._root = root
        self.engine = 0
        self.functions = 0

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
