"""The embedded engine: both servers as processes of this machine, started, stopped and measured."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from sluice.console import SluiceError, fail, note
from sluice.engine import keeping, ports, servers
from sluice.engine.embedded import dumps, localstack, postgres
from sluice.engine.facts import EngineStatus
from sluice.engine.instance import EngineInfo, Instance
from sluice.engine.starting import LOG_LINES, Chosen, Ports, PortTaken, Report, StartFailed
from sluice.engine.states import client, saving
from sluice.engine.states.files import LAST, States
from sluice.processes import ProcessId, family, leftovers, stop, wait_gone

KIND = "embedded"
DEFAULT_PORTS = Ports(4566, 5432)
START_SECONDS = 60.0  # generous: a loaded CI machine is slow, and a server that died is noticed at once


class EmbeddedServers:
    """The servers of one instance as processes (see `sluice.engine.starting.Servers`)."""

    kind = KIND
    engine_name = "engine"
    accepts_foreign = False

    def __init__(self, instance: Instance, *, faults: bool, env: Mapping[str, str], empty: bool = False) -> None:
        self.start_seconds = START_SECONDS
        self._instance = instance
        self._empty = empty
        self._save_minutes = keeping.save_minutes()
        self._restore: keeping.Restore | None = None
        self._faults = faults
        self._env = dict(env)
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def describe(self, info: EngineInfo) -> str:
        return f"pid {info.engine.pid if isinstance(info.engine, ProcessId) else None}"

    def prepare(self, report: Report) -> None:
        before = self._instance.info()
        _clear(self._instance, before, report)
        if self._empty:
            if discard(self._instance, postgres=True):
                report("engine  begins empty; the saved state was removed")
        else:
            data = dumps.Data(self._instance)
            self._restore = keeping.Restore.begin(self._instance, KIND, data, report, crashed=before is not None)

    def wanted_ports(self, port: int | None, postgres_port: int | None) -> Ports:
        """Those asked for, else those of the saved state or the last start, else the default instance's usual ones."""
        default = DEFAULT_PORTS if self._instance.is_default else Ports()
        last = self._instance.last_ports()
        default = Ports(last.get("engine", default.engine), last.get("postgres", default.postgres))
        if self._restore is not None:
            default = self._restore.ports()
        return Ports(port or default.engine, postgres_port or default.postgres)

    def kept_ports(self) -> Ports:
        return Ports()

    def launch(self, chosen: Chosen) -> str:
        for name in ("engine", "postgres"):
            _rotate(self._instance.logs_dir / f"{name}.log")
        password = postgres.ensure_password(self._instance)
        settings = dict(self._env)
        if self._restore is not None:
            self._restore.launching(chosen)
            settings["SLUICE_STATE"] = client.path(States(self._instance.states_dir).path(LAST))
        self._started = {}
        self._started["engine"] = localstack.start(
            self._instance,
            chosen.engine,
            faults=self._faults,
            postgres_port=chosen.postgres,
            password=password,
            extra=settings,
        )
        # LocalStack imports for a second or two: PostgreSQL's first start fits into that time.
        postgres.ensure_data(self._instance)
        dumps.Data(self._instance).unmark()
        environment = localstack.base_environment(self._instance)
        self._started["postgres"] = postgres.start(self._instance, chosen.postgres, environment)
        return password

    def exit_code(self, name: str) -> int | None:
        return self._started[name].poll()

    def failure(self, name: str, port: int, reason: str) -> SluiceError:
        if self._started[name].poll() is not None and not ports.is_free(port):
            return PortTaken(f"{name} could not listen on port {port}: another program took it")
        log = self._instance.logs_dir / f"{name}.log"
        if self._restore is not None and name == "engine" and self._started[name].poll() == keeping.REFUSED_STATUS:
            return SluiceError(self._restore.refused(_tail(log, LOG_LINES)))
        message = f"{name} {reason}; its last log lines are above, all of them in {log}"
        return StartFailed(message, _tail(log, LOG_LINES))

    def abandon(self) -> None:
        alive = [ProcessId.of(process.pid) for process in self._started.values() if process.poll() is None]
        stop(alive, first=signal.SIGINT, seconds=3.0)
        for process in self._started.values():
            process.wait()
        _clear(self._instance, None, lambda _: None)
        dumps.Data(self._instance).undo()

    def started(self, health: Mapping[str, Any], report: Report) -> tuple[ProcessId, ProcessId]:
        del health
        if self._restore is not None:
            self._restore.end(report)
        for process in self._started.values():
            _reap_in_background(process)
        engine = ProcessId.of(self._started["engine"].pid)
        if self._save_minutes:
            keeping.start_saver(self._instance, [str(engine.pid), repr(engine.started)], self._save_minutes)
        return engine, ProcessId.of(self._started["postgres"].pid)

    def restored(self, chosen: Chosen) -> tuple[str, bool]:
        return (self._restore.manifest.saved_at, self._restore.moved(chosen)) if self._restore else ("", False)

    def other_ports(self, wanted: Ports, report: Report) -> Ports:
        if self._restore is not None:
            self._restore.again(report)
        return wanted  # the port that was taken is seen as such by the next look


def down(instance: Instance, *, keep: bool = False, empty: bool = False, report: Callable[[str], None] = note) -> bool:
    """Stops everything that belongs to the instance. Returns False when nothing ran.

    keep: saves the state first; the next `up` restores it. Without it what LocalStack holds goes, and an earlier state;
    PostgreSQL's data stays unless `empty`. Raises SluiceError when the state cannot be saved: the engine runs on.
    """
    if not instance.home.exists():
        return False
    with instance.lock():
        info = instance.info()
        checksum = None
        if keep and info is not None and info.kind == KIND:
            reach = saving.OnHost(States(instance.states_dir), dumps.dump)
            checksum = keeping.save(instance, info, reach, report)
        if checksum is not None and info is not None and isinstance(info.engine, ProcessId):
            # It is paused and has nothing left to do; its orderly end would wait for what is paused.
            stop([info.engine], first=signal.SIGKILL)
        stopped = _clear(instance, info, report) or checksum is not None
        if checksum is not None:
            dumps.Data(instance).mark(checksum)
        elif not keep:
            discard(instance, postgres=empty)
        return stopped


def discard(instance: Instance, *, postgres: bool) -> bool:
    """Removes the saved state, and PostgreSQL's data when that is wanted. Returns whether there was a state."""
    dumps.Data(instance).undo()
    dumps.Data(instance).unmark()
    existed = keeping.discard(instance)
    if postgres:
        shutil.rmtree(instance.postgres_dir, ignore_errors=True)
    return existed


def stop_servers(instance: Instance, report: Callable[[str], None]) -> None:
    """Stops everything that belongs to the instance and leaves its saved state as it is. The caller holds the lock."""
    _clear(instance, instance.info(), report)


def status(instance: Instance, info: EngineInfo | None) -> EngineStatus:
    """What runs, measured now."""
    if info is None or not info.engine.alive():
        return EngineStatus(running=False, home=str(instance.home))
    assert isinstance(info.engine, ProcessId)
    assert isinstance(info.postgres, ProcessId)
    engine = family(info.engine)
    return EngineStatus(
        running=True,
        healthy=servers.both_answer(info),
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


def _clear(instance: Instance, info: EngineInfo | None, report: Callable[[str], None]) -> bool:
    """Ends every process of the instance, whichever command started it, and removes what described LocalStack's memory.

    Returns True when something ran.
    """
    known = [p for p in ((info.engine, info.postgres) if info else ()) if isinstance(p, ProcessId) and p.alive()]
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
    instance.forget_terraform_state()
    return bool(known or strays)


def _rotate(log: Path) -> None:
    """Renames the log, so that one earlier log is left."""
    if log.exists():
        log.replace(log.with_suffix(".log.1"))


def _tail(log: Path, lines: int) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def _reap_in_background(process: subprocess.Popen[bytes]) -> None:
    """Collects the server's exit status, whenever, so that a long-lived caller (a test run) has no zombie."""
    threading.Thread(target=process.wait, daemon=True, name=f"reap-{process.pid}").start()


def _memory(processes: list[ProcessId], *, shared_once: bool = False) -> int:
    """Resident bytes. shared_once: count shared pages once, because PostgreSQL's processes all map the same buffers."""
    total = 0
    for identity in processes:
        process = identity.process()
        try:
            if process is not None:
                total += process.memory_full_info().uss if shared_once else process.memory_info().rss
        except psutil.Error:
            continue
    return total
