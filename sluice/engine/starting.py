"""The start of an engine, the same for both kinds: choose ports, start, wait until both servers answer, write it down.

A kind says how each step is done on its servers, which are processes (embedded) or containers (docker).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from sluice.console import SluiceError, fail
from sluice.engine import ports, servers
from sluice.engine.containers import ContainerId
from sluice.engine.instance import EngineInfo, Instance
from sluice.engine.states import client
from sluice.polling import poll
from sluice.processes import ProcessId

ATTEMPTS = 3  # another program may take a free port between our look and the server's start
LOG_LINES = 15
POLL_SECONDS = 0.03

type Report = Callable[[str], None]
type Identities = tuple[ProcessId, ProcessId] | tuple[ContainerId, ContainerId]


class Ports(NamedTuple):
    """A port for each server; None where there is no preference."""

    engine: int | None = None
    postgres: int | None = None


@dataclass(frozen=True)
class Chosen:
    """The ports that the servers listen on."""

    engine: int
    postgres: int


class StartFailed(SluiceError):
    """A server did not start; `log` holds its last lines."""

    def __init__(self, message: str, log: list[str]) -> None:
        super().__init__(message)
        self.log = log


class PortTaken(SluiceError):
    """Another program took a port between the choice and the start."""


class Servers(Protocol):
    """One kind of engine, for one instance. `up` calls the methods in the order in which they stand here."""

    kind: str
    engine_name: str
    """What messages call LocalStack's server: `engine` or `localstack`."""
    accepts_foreign: bool
    """Whether a LocalStack without the extension will do."""
    start_seconds: float

    def describe(self, info: EngineInfo) -> str:
        """Which engine runs, in one or two words."""

    def prepare(self, report: Report) -> None:
        """Makes sure that a start can succeed: removes what an earlier start left behind, gets images."""

    def wanted_ports(self, port: int | None, postgres_port: int | None) -> Ports:
        """The ports to prefer, given those that the caller asked for."""

    def kept_ports(self) -> Ports:
        """Ports of servers that run already."""

    def launch(self, chosen: Chosen) -> str:
        """Starts both servers without waiting for them; returns PostgreSQL's password. May raise PortTaken."""

    def exit_code(self, name: str) -> int | None:
        """How a server ended, None while it runs."""

    def failure(self, name: str, port: int, reason: str) -> SluiceError:
        """The error about a server that did not start: StartFailed with its log, or PortTaken."""

    def abandon(self) -> None:
        """Removes what a failed start has begun."""

    def started(self, health: dict[str, Any], report: Report) -> Identities:
        """Both servers' identities, LocalStack first. Called once both answer."""

    def restored(self, chosen: Chosen) -> tuple[str, bool]:
        """When the state was saved that the engine began with (empty without one), and whether on other ports."""

    def other_ports(self, wanted: Ports, report: Report) -> Ports:
        """The ports to prefer after PortTaken."""


def up(
    kind: Servers, instance: Instance, *, faults: bool, port: int | None, postgres_port: int | None, report: Report
) -> EngineInfo:
    """Starts what does not run yet, waits until both servers answer, and returns what runs.

    Raises SluiceError (code 1) when a server does not start; its last log lines are reported and nothing is left.
    """
    with instance.lock():
        info = instance.info()
        if info is not None and info.kind == kind.kind and servers.both_answer(info, foreign=kind.accepts_foreign):
            instance.claim()
            if faults and not info.faults:
                fail("the engine runs without fault control: `sluice down` first", 1)
            for option, asked, own in (
                ("--port", port, info.port),
                ("--postgres-port", postgres_port, info.postgres_port),
            ):
                if asked not in (None, own):
                    fail(f"{option} {asked}: the engine runs already, with port {own}: `sluice down` first", 1)
            with contextlib.suppress(client.StateError):  # a LocalStack without the extension
                client.release(info)  # a command that was killed while it saved may have left it held
            report(f"engine  runs since {info.started_at} at {info.endpoint_url} ({kind.describe(info)})")
            return info
        instance.claim()
        kind.prepare(report)
        wanted = kind.wanted_ports(port, postgres_port)
        for attempt in range(1, ATTEMPTS + 1):
            chosen = _choose(wanted, kind.kept_ports(), report)
            try:
                return _start(kind, instance, chosen, report)
            except PortTaken:
                if attempt == ATTEMPTS:
                    raise
                wanted = kind.other_ports(wanted, report)
        raise AssertionError("unreachable")


def _choose(wanted: Ports, kept: Ports, report: Report) -> Chosen:
    """A free port for each server; one that runs already stays on its own, unless another is wanted."""
    found = []
    for what, preferred, own in zip(("engine", "postgres"), wanted, kept, strict=True):
        chosen = own if own and preferred in (None, own) else ports.choose(preferred)
        if preferred is not None and chosen != preferred:
            report(f"{what:<7} port {preferred} is taken by another program: using {chosen}")
        found.append(chosen)
    return Chosen(*found)


def _start(kind: Servers, instance: Instance, chosen: Chosen, report: Report) -> EngineInfo:
    began = time.monotonic()
    instance.logs_dir.mkdir(parents=True, exist_ok=True)
    try:
        password = kind.launch(chosen)
        version = _first_answer(
            kind, "postgres", chosen.postgres, lambda: servers.postgres_version(chosen.postgres, password)
        )
        health = _first_answer(kind, kind.engine_name, chosen.engine, lambda: _health(kind, chosen.engine))
    except BaseException as error:
        if isinstance(error, StartFailed):
            for line in error.log:
                report(f"  {line}")
        kind.abandon()
        raise
    engine, postgres = kind.started(health, report)
    restored_from, moved = kind.restored(chosen)
    versions = health.get("versions") or {"localstack": str(health.get("version"))}
    info = EngineInfo(
        port=chosen.engine,
        postgres_port=chosen.postgres,
        postgres_password=password,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        faults=bool(health.get("faults")),
        engine=engine,
        postgres=postgres,
        versions={**versions, "postgres": str(version)},
        kind=kind.kind,
        restored_from=restored_from,
        moved=moved,
    )
    instance.write_info(info)
    own = "" if kind.kind == "embedded" else f"{kind.kind}, "
    report(
        f"engine  ready at {info.endpoint_url}, PostgreSQL at 127.0.0.1:{chosen.postgres}"
        f" ({own}{time.monotonic() - began:.1f} s)"
    )
    return info


def _health(kind: Servers, port: int) -> dict[str, Any] | None:
    found = servers.health(port)
    return servers.foreign_health(port) if found is None and kind.accepts_foreign else found


def _first_answer[T](kind: Servers, name: str, port: int, ask: Callable[[], T | None]) -> T:
    """Waits for a server's first answer. Raises what `failure` makes of it when the server ends or takes long."""

    def look() -> tuple[T | None, int | None]:
        code = kind.exit_code(name)
        return (ask() if code is None else None), code

    (answer, code), _ = poll(look, lambda seen: seen != (None, None), seconds=kind.start_seconds, interval=POLL_SECONDS)
    if answer is not None:
        return answer
    ended = f"ended with code {code}" if code is not None else f"did not answer within {kind.start_seconds:.0f} s"
    raise kind.failure(name, port, ended)
