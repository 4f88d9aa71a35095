"""Saves the state of a running engine, with PostgreSQL's data and Terraform's state of the same moment."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sluice.console import fail
from sluice.engine.instance import EngineInfo, Instance
from sluice.engine.states import client, hostfiles
from sluice.engine.states.files import Manifest, States

_ATTACHED = ".attached-"

type Dump = Callable[[EngineInfo, Path], None]
"""Writes everything that PostgreSQL holds into a file, as SQL."""


class Reach(Protocol):
    """How the host and one engine reach each other's files. Paths are those of the engine's machine."""

    @property
    def objects(self) -> str:
        """Where the engine stores contents."""

    @property
    def hold_seconds(self) -> float:
        """How long the engine waits for a save to be complete."""

    def folder(self, name: str) -> str:
        """Where the engine saves the state that the host gets under this name."""

    def dump(self, info: EngineInfo, target: Path) -> None:
        """Writes everything that PostgreSQL holds into a file of the host's, as SQL."""

    def offer(self, files: Mapping[str, Path]) -> dict[str, str]:
        """Makes the host's files readable for the engine. Returns their paths there."""

    def fetch(self, name: str) -> None:
        """Gets what the engine has saved; an earlier state of the name is replaced once everything is here."""

    def check(self, info: EngineInfo, name: str) -> None:
        """Asks the engine that runs whether it would load a state. Raises StateError when it would not."""


@dataclass(frozen=True)
class OnHost:
    """An engine that reads and writes the host's own files."""

    states: States
    dump_all: Dump
    hold_seconds: float = client.HOLD_SECONDS

    @property
    def objects(self) -> str:
        return client.path(self.states.objects)

    def folder(self, name: str) -> str:
        return client.path(self.states.path(name))

    def dump(self, info: EngineInfo, target: Path) -> None:
        self.dump_all(info, target)

    def offer(self, files: Mapping[str, Path]) -> dict[str, str]:
        return {name: client.path(path) for name, path in files.items()}

    def fetch(self, name: str) -> None:
        """It is there."""

    def check(self, info: EngineInfo, name: str) -> None:
        client.check(info, self.folder(name))


@dataclass(frozen=True)
class Saved:
    """A state that was saved. `paused_seconds`: how long calls waited."""

    manifest: Manifest
    paused_seconds: float
    seconds: float
    interrupted: tuple[str, ...]
    left_out: tuple[str, ...]


def save(instance: Instance, info: EngineInfo, name: str, reach: Reach, *, stay_held: bool = False) -> Saved:
    """Saves under this name; replaces an earlier state of the name once everything is complete. The caller holds the
    instance's lock. stay_held: the engine stays paused, so that nothing happens between this and its end.

    Raises SluiceError (nothing has changed then, and the engine goes on): a deployment runs, a call does not end, the
    disk is full, PostgreSQL does not answer; with status 0 (`client.StateError`) the engine does not answer.
    """
    states, began = States(instance.states_dir), time.monotonic()
    states.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in states.folder.glob(f"{_ATTACHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    with hostfiles.no_deployment(instance), tempfile.TemporaryDirectory(dir=states.folder, prefix=_ATTACHED) as made:
        client.release(info)  # a command that was killed may have left it held: we have the lock
        held = client.hold(info, reach.objects, reach.hold_seconds)
        paused, done = time.monotonic() - float(held["seconds"]), False
        try:
            attached = hostfiles.collect(instance, info, Path(made)) | {hostfiles.POSTGRES: Path(made) / "postgres.sql"}
            reach.dump(info, attached[hostfiles.POSTGRES])
            answer = client.save(info, reach.folder(name), reach.offer(attached))
            if stay_held:  # nothing may be lost if it cannot be got
                reach.fetch(name)
                if not client.is_held(info):
                    fail(f"the save took longer than the engine waits ({reach.hold_seconds:.0f} s)", 1)
            done = True
        finally:
            if not (done and stay_held):
                client.release(info)
        waited = time.monotonic() - paused
        if not stay_held:
            reach.fetch(name)
    return Saved(
        states.get(name),
        round(waited, 2),
        round(time.monotonic() - began, 2),
        tuple(answer["interrupted"]),
        tuple(f"{service}: {why}" for service, why in answer["left_out"].items()),
    )
