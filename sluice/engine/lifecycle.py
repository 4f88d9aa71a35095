"""The embedded engine: starting, stopping and watching an instance's servers. All commands take its lock."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from sluice.console import SluiceError, fail, note
from sluice.engine import localstack, ports, postgres
from sluice.engine.facts import EngineStatus
from sluice.instance import EngineInfo, Instance
from sluice.processes import ProcessId, family, leftovers, stop, wait_gone, wait_until

DEFAULT_PORT, DEFAULT_POSTGRES_PORT = 4566, 5432
START_SECONDS = 60.0  # generous: a loaded CI machine is slow, and a server that died is noticed at once
LOG_LINES = 15
ATTEMPTS = 3  # another process may take a free port between our look and the server's start


def up(
    instance: Instance,
    *,
    faults: bool = False,
    port: int | None = None,
    postgres_port: int | None = None,
    env: dict[str, str] | None = None,
    report: Callable[[str], None] = note,
) -> EngineInfo:
    """Starts what does not run yet, waits until both servers answer, and returns what runs.

    port, postgres_port: wanted ports; without them the default instance prefers 4566 and 5432 and others take any.
    faults: allow fault control (tests). env: more variables for LocalStack.
    Raises SluiceError (code 1) when a server does not start; its last log lines are reported and nothing is left.
    """
    with instance.lock():
        info = instance.info()
        if info is not None and _answers(info):
            if faults and not info.faults:
                fail("the engine runs without fault control: `sluice down` first", 1)
            pid = info.engine.pid if isinstance(info.engine, ProcessId) else None
            report(f"engine  runs since {info.started_at} at {info.endpoint_url} (pid {pid})")
            return info
        _clear(instance, info, report)
        default = instance == Instance.default()
        wanted = port or (DEFAULT_PORT if default else None)
        wanted_postgres = postgres_port or (DEFAULT_POSTGRES_PORT if default else None)
        for attempt in range(1, ATTEMPTS + 1):
            chosen, chosen_postgres = _choose(wanted, "engine", report), _choose(wanted_postgres, "postgres", report)
            try:
                return _start(instance, chosen, chosen_postgres, faults=faults, extra=env or {}, report=report)
            except _PortTaken:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")


def down(instance: Instance, *, report: Callable[[str], None] = note) -> bool:
    """Stops everything that belongs to the instance. Returns False when nothing ran.

    What LocalStack holds is in its memory and goes with it, Terraform's state of it too; PostgreSQL's data stays.
    """
    if not instance.home.exists():
        return False
    with instance.lock():
        return _clear(instance, instance.info(), report)


def status(instance: Instance) -> EngineStatus:
    """What runs, measured now."""
    info = instance.info()
    if info is None or not info.engine.alive():
        return EngineStatus(running=False, home=str(instance.home))
    assert isinstance(info.engine, ProcessId)
    assert isinstance(info.postgres, ProcessId)
    engine = family(info.engine)
    return EngineStatus(
        running=True,
        healthy=_answers(info),
        home=str(instance.home),
        endpoint_url=info.endpoint_url,
        postgres_port=info.postgres_port,
        engine_pid=info.engine.pid,
        postgres_pid=info.postgres.pid if info.postgres.alive() else None,
        engine_memory=_memory(engine[:1]),
        functions_memory=_memory(engine[1:]),
        postgres_memory=_memory(family(info.postgres), shared_once=True),
        uptime=time.time() - info.engine.started,
        started_at=info.started_at,
        faults=info.faults,
        versions=info.versions,
    )


class _PortTaken(SluiceError):
    """A port was taken between the choice and the start."""


def _answers(info: EngineInfo) -> bool:
    if not (info.engine.alive() and info.postgres.alive()):
        return False
    if localstack.health(info.port) is None:
        return False
    try:
        return postgres.server_version(info.postgres_port, info.postgres_password) is not None
    except SluiceError:
        return False


def _choose(wanted: int | None, what: str, report: Callable[[str], None]) -> int:
    port = ports.choose(wanted)
    if wanted is not None and port != wanted:
        report(f"{what:<7} port {wanted} is taken by another program: using {port}")
    return port


def _start(
    instance: Instance,
    port: int,
    postgres_port: int,
    *,
    faults: bool,
    extra: dict[str, str],
    report: Callable[[str], None],
) -> EngineInfo:
    began = time.monotonic()
    instance.logs_dir.mkdir(parents=True, exist_ok=True)
    for name in ("engine", "postgres"):
        _rotate(instance.logs_dir / f"{name}.log")
    password = postgres.ensure_password(instance)
    started: list[subprocess.Popen[bytes]] = []
    try:
        engine = localstack.start(
            instance, port, faults=faults, postgres_port=postgres_port, password=password, extra=extra
        )
        started.append(engine)
        # LocalStack imports for a second or two: PostgreSQL's first start fits into that time.
        postgres.ensure_data(instance)
        database = postgres.start(instance, postgres_port, localstack.base_environment(instance))
        started.append(database)
        version = _wait(instance, "postgres", database, postgres_port,
                        lambda: postgres.server_version(postgres_port, password))  # fmt: skip
        health = _wait(instance, "engine", engine, port, lambda: localstack.health(port))
    except BaseException as error:
        _abandon(instance, started)
        if isinstance(error, SluiceError) and not isinstance(error, _PortTaken):
            for line in getattr(error, "log", []):
                report(f"  {line}")
        raise
    for process in started:
        _reap_in_background(process)
    info = EngineInfo(
        port=port,
        postgres_port=postgres_port,
        postgres_password=password,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        faults=faults,
        engine=ProcessId.of(engine.pid),
        postgres=ProcessId.of(database.pid),
        versions={**health.get("versions", {}), "postgres": version},
    )
    instance.write_info(info)
    report(
        f"engine  ready at {info.endpoint_url}, PostgreSQL at 127.0.0.1:{postgres_port}"
        f" ({time.monotonic() - began:.1f} s)"
    )
    return info


def _wait[T](
    instance: Instance, name: str, process: subprocess.Popen[bytes], port: int, answer: Callable[[], T | None]
) -> T:
    """Waits for a server's first answer. Raises StartFailed, with its last log lines, when it ends or takes long."""
    answers: list[T] = []

    def ready() -> bool:
        if process.poll() is None:
            answers.extend(found for found in [answer()] if found is not None)
        return bool(answers) or process.returncode is not None

    wait_until(ready, START_SECONDS)
    if answers:
        return answers[0]
    log = instance.logs_dir / f"{name}.log"
    if process.returncode is not None and not ports.is_free(port):
        raise _PortTaken(f"{name} could not listen on port {port}: another program took it")
    ended = process.returncode is not None
    reason = f"ended with code {process.returncode}" if ended else f"did not answer within {START_SECONDS:.0f} s"
    raise StartFailed(f"{name} {reason}; its last log lines are above, all of them in {log}", _tail(log, LOG_LINES))


class StartFailed(SluiceError):
    """A server did not start; `log` holds its last lines."""

    def __init__(self, message: str, log: list[str]) -> None:
        super().__init__(message)
        self.log = log


def _abandon(instance: Instance, started: list[subprocess.Popen[bytes]]) -> None:
    """Stops what a failed start has begun, and forgets it."""
    alive = []
    for process in started:
        if process.poll() is None:
            alive.append(ProcessId.of(process.pid))
    stop(alive, first=signal.SIGINT, seconds=3.0)
    for process in started:
        process.wait()
    _clear(instance, None, lambda _: None)


def _clear(instance: Instance, info: EngineInfo | None, report: Callable[[str], None]) -> bool:
    """Ends every process of the instance, whoever started it, and forgets what went with LocalStack's memory.

    Returns True when something ran.
    """
    servers = (info.engine, info.postgres) if info else ()
    known = [p for p in servers if isinstance(p, ProcessId) and p.alive()]
    everyone = {member for root in known for member in family(root)}
    if known:
        # SIGINT is LocalStack's orderly end and PostgreSQL's "fast shutdown".
        stop(known, first=signal.SIGINT, seconds=10.0)
    strays = leftovers(str(instance.home), str(instance.localstack_dir))
    if strays:
        report(f"engine  ending {len(strays)} process(es) that an earlier engine left behind")
        stop(strays, first=signal.SIGINT, seconds=3.0)
    if wait_gone(everyone | set(strays), 5.0):
        fail("some processes of the engine cannot be stopped: see `sluice status`", 1)
    instance.info_file.unlink(missing_ok=True)
    shutil.rmtree(instance.localstack_dir, ignore_errors=True)
    for state in instance.terraform_dir.glob("*.tfstate*"):
        state.unlink(missing_ok=True)  # it describes resources that are gone with LocalStack's memory
    return bool(known or strays)


def _rotate(log: Path) -> None:
    """Keeps one earlier log."""
    if log.exists():
        log.replace(log.with_suffix(".log.1"))


def _tail(log: Path, lines: int) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def _reap_in_background(process: subprocess.Popen[bytes]) -> None:
    """Collects the server's exit status, whenever, so that a long-lived caller (a test run) keeps no zombie."""
    threading.Thread(target=process.wait, daemon=True, name=f"reap-{process.pid}").start()


def _memory(processes: list[ProcessId], *, shared_once: bool = False) -> int:
    """Resident bytes. shared_once: count shared pages once, for PostgreSQL's processes all map the same buffers."""
    total = 0
    for identity in processes:
        process = identity.process()
        try:
            if process is not None:
                total += process.memory_full_info().uss if shared_once else process.memory_info().rss
        except psutil.Error:
            continue
    return total
