"""The start of an engine, on servers that a test controls: ports, first answers, engine.json and reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sluice.console import SluiceError
from sluice.engine import ports, servers, starting
from sluice.engine.instance import EngineInfo, Instance
from sluice.engine.starting import Chosen, Ports, PortTaken, Report, StartFailed
from sluice.processes import ProcessId

HEALTH = {"versions": {"localstack": "4"}, "faults": True}


class FakeServers:
    """Servers of no kind; `calls` are the steps in their order."""

    kind = "embedded"
    engine_name = "engine"
    accepts_foreign = False

    def __init__(self, taken: int = 0, ended: Mapping[str, int] | None = None, kept: Ports | None = None) -> None:
        self.start_seconds = 0.05
        self.taken, self.ended, self.kept = taken, dict(ended or {}), kept or Ports()
        self.calls: list[Any] = []

    def describe(self, info: EngineInfo) -> str:
        return "fake"

    def prepare(self, report: Report) -> None:
        self.calls.append("prepare")

    def wanted_ports(self, port: int | None, postgres_port: int | None) -> Ports:
        return Ports(port, postgres_port)

    def kept_ports(self) -> Ports:
        return self.kept

    def launch(self, chosen: Chosen) -> str:
        self.calls.append(chosen)
        if self.taken:
            self.taken -= 1
            raise PortTaken("taken")
        return "secret"

    def exit_code(self, name: str) -> int | None:
        return self.ended.get(name)

    def failure(self, name: str, port: int, reason: str) -> SluiceError:
        return StartFailed(f"{name} {reason}", ["last line"])

    def abandon(self) -> None:
        self.calls.append("abandon")

    def started(self, health: dict[str, Any], report: Report) -> tuple[ProcessId, ProcessId]:
        own = ProcessId.of(os.getpid())
        return own, own

    def restored(self, chosen: Chosen) -> tuple[str, bool]:
        return "", False

    def other_ports(self, wanted: Ports, report: Report) -> Ports:
        return Ports()


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path / "home")


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both servers answer at once; a preferred port is free."""
    monkeypatch.setattr(servers, "health", lambda _: HEALTH)
    monkeypatch.setattr(servers, "foreign_health", lambda _: {"version": "3"})
    monkeypatch.setattr(servers, "postgres_version", lambda *_: "18")
    monkeypatch.setattr(ports, "choose", lambda preferred: preferred or 7000)


def up(kind: FakeServers, instance: Instance, report: Callable[[str], None] = print, **more: Any) -> EngineInfo:
    given: dict[str, Any] = {"faults": False, "port": 4000, "postgres_port": 5000} | more
    return starting.up(kind, instance, report=report, **given)


def test_a_start_writes_down_what_runs_and_a_second_one_finds_it(instance: Instance) -> None:
    kind, said = FakeServers(), list[str]()
    info = up(kind, instance, said.append)
    assert kind.calls == ["prepare", Chosen(4000, 5000)]
    assert (info.port, info.postgres_port, info.postgres_password, info.faults) == (4000, 5000, "secret", True)
    assert info.versions == {"localstack": "4", "postgres": "18"}
    assert instance.info() == info
    assert said[-1].startswith("engine  ready at http://127.0.0.1:4000, PostgreSQL at 127.0.0.1:5000 (0.")
    again = FakeServers()
    assert up(again, instance, said.append) == info
    assert again.calls == []
    assert said[-1] == f"engine  runs since {info.started_at} at http://127.0.0.1:4000 (fake)"


def test_fault_control_cannot_be_added_to_an_engine_that_runs(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "health", lambda _: HEALTH | {"faults": False})
    up(FakeServers(), instance)
    with pytest.raises(SluiceError, match="without fault control"):
        up(FakeServers(), instance, faults=True)


def test_a_port_that_was_taken_meanwhile_is_left_for_another(instance: Instance) -> None:
    kind = FakeServers(taken=2)
    assert up(kind, instance).port == 7000
    assert kind.calls == [
        "prepare", Chosen(4000, 5000), "abandon", Chosen(7000, 7000), "abandon", Chosen(7000, 7000),
    ]  # fmt: skip
    with pytest.raises(PortTaken):
        up(FakeServers(taken=3), Instance(instance.home / "other"))


def test_a_server_that_runs_stays_on_its_port_unless_another_is_wanted(instance: Instance) -> None:
    kind = FakeServers(kept=Ports(4100, 5100))
    assert up(kind, instance, port=None).port == 4100
    assert kind.calls[-1] == Chosen(4100, 5000)


def test_a_port_that_another_program_has_is_named(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "choose", lambda _: 7000)
    said: list[str] = []
    up(FakeServers(), instance, said.append)
    assert said[0] == "engine  port 4000 is taken by another program: using 7000"


@pytest.mark.parametrize("server", ["engine", "postgres"])
def test_a_server_that_ended_is_reported_with_its_log_and_nothing_is_left(instance: Instance, server: str) -> None:
    kind, said = FakeServers(ended={server: 3}), list[str]()
    with pytest.raises(StartFailed, match=f"^{server} ended with code 3$"):
        up(kind, instance, said.append)
    assert said == ["  last line"]
    assert kind.calls[-1] == "abandon"
    assert instance.info() is None


def test_a_server_that_does_not_answer_in_time_is_a_failed_start(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "health", lambda _: None)
    with pytest.raises(StartFailed, match="engine did not answer within 0 s"):
        up(FakeServers(), instance)


def test_a_localstack_without_the_extension_will_do_only_where_a_kind_accepts_it(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "health", lambda _: None)
    kind = FakeServers()
    kind.accepts_foreign = True
    assert up(kind, instance).versions == {"localstack": "3", "postgres": "18"}
