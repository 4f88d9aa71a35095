"""What an engine retains from `sluice down` to `sluice up`: its state, and PostgreSQL's data with it.

PostgreSQL's data stays where it is. When it was shut down with the saved state, it is used as it is; else (the engine
was killed, or a snapshot was loaded) it is replaced by the dump that is attached to the state.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sluice.console import fail, human_bytes
from sluice.engine.instance import EngineInfo, Instance
from sluice.engine.starting import Chosen, Ports, Report
from sluice.engine.states import client, hostfiles, saving
from sluice.engine.states.files import LAST, Damaged, Manifest, States
from sluice.environment import of_machine
from sluice.paths import ROOT

REFUSED_STATUS = 3
"""The engine's exit status when it cannot restore its state (docs/state.md)."""
_REFUSED = "sluice: cannot restore the saved state: "
BEGIN_EMPTY = "`PERSISTENCE=0 sluice up` begins empty"


SAVER = "sluice.engine.saver"
SAVE_MINUTES = "SLUICE_SAVE_MINUTES"


class Database(Protocol):
    """PostgreSQL's data of one instance, while no server uses it."""

    def belongs(self, checksum: str) -> bool:
        """Whether it is of the same moment as the saved state with this checksum."""

    def restore(self, source: Path) -> None:
        """Replaces it by what a dump holds. Raises SluiceError when that cannot be; nothing has changed then."""

    def undo(self) -> None:
        """Takes back a restore that was not finished."""

    def finish(self) -> None:
        """Makes a restore final; the server may run."""


@dataclass
class Restore:
    """One start from the saved state. `begin` prepares it, `end` makes it final; `Database.undo` takes it back."""

    instance: Instance
    kind: str
    database: Database
    states: States
    manifest: Manifest
    crashed: bool

    @classmethod
    def begin(
        cls, instance: Instance, kind: str, database: Database, report: Report, *, crashed: bool
    ) -> Restore | None:
        """Makes PostgreSQL's data that of the saved state; None when there is no state. crashed: an engine ended that
        had not been stopped.

        Raises SluiceError when the state is damaged; nothing has changed then.
        """
        database.undo()
        states = States(instance.states_dir)
        try:
            manifest = states.read(LAST)
            if manifest is None:
                return None
            found = cls(instance, kind, database, states, manifest, crashed)
            found.again(report)
        except Damaged as error:
            fail(f"the saved state cannot be restored: {error}; {found_others(states)}{BEGIN_EMPTY}", 1)
        return found

    def again(self, report: Report) -> None:
        """Makes PostgreSQL's data that of the state, unless it is: also after a start that failed."""
        if self.database.belongs(self.manifest.checksum):
            return
        dump = self.states.attached(self.manifest, hostfiles.POSTGRES)
        if dump is None:
            raise Damaged("PostgreSQL's data is not in it")
        report(f"engine  PostgreSQL's data goes back to {self.manifest.saved_at} ({human_bytes(dump.stat().st_size)})")
        self.database.restore(dump)

    def launching(self, chosen: Chosen) -> None:
        """Puts Terraform's state back."""
        now = hostfiles.Addresses(chosen.engine, chosen.postgres, self.kind)
        hostfiles.put_back(self.instance, self.states, self.manifest, now)

    def ports(self) -> Ports:
        """Those of the engine that saved the state: queue URLs and settings of functions name them."""
        before = hostfiles.addresses(self.states, self.manifest)
        return Ports(before.port, before.postgres_port)

    def moved(self, chosen: Chosen) -> bool:
        """Whether the state names other ports than those of this start, or is of the other kind of engine."""
        now = hostfiles.Addresses(chosen.engine, chosen.postgres, self.kind)
        return hostfiles.addresses(self.states, self.manifest) != now

    def refused(self, log: list[str]) -> str:
        """What the engine said when it refused the state."""
        said = [line.removeprefix(_REFUSED) for line in log if line.startswith(_REFUSED)]
        why = said[-1] if said else "see the engine's log"
        return f"the state saved at {self.manifest.saved_at} cannot be restored: {why}; {BEGIN_EMPTY}"

    def end(self, report: Report) -> None:
        """The engine runs: what was replaced is removed."""
        self.database.finish()
        if self.crashed:
            report("engine  ended without `sluice down`: what came after the saved state is lost")
        report(f"engine  restored the state of {self.manifest.saved_at}")


def found_others(states: States) -> str:
    """Which snapshots there are, as the first half of an advice."""
    others = [name for name in states.names() if name != LAST]
    return f"`sluice snapshot load NAME` takes another ({', '.join(others)}), " if others else ""


def save(instance: Instance, info: EngineInfo, reach: saving.Reach, report: Report) -> str | None:
    """Saves before a stop; the engine stays paused. Returns the state's checksum, or None when there is nothing to
    save, because the engine ended by itself or hangs.

    Raises SluiceError when saving fails: the engine runs on then.
    """
    if not info.engine.alive():
        report(f"engine  ended by itself, so nothing can be saved; {last_of(instance)}")
        return None
    try:
        saved = saving.save(instance, info, LAST, reach, stay_held=True)
    except client.StateError as error:
        if error.status == 0:
            report(f"engine  hangs, so nothing can be saved ({error}); {last_of(instance)}")
            return None
        fail(f"the state was not saved, and the engine runs on: {error}; `sluice down --discard` stops it all the same")
    report(f"engine  saved in {saved.seconds} s ({human_bytes(saved.manifest.size)})")
    for one in saved.left_out:
        report(f"engine  not saved: {one}")
    return saved.manifest.checksum


def last_of(instance: Instance) -> str:
    """Which state the next `sluice up` restores."""
    try:
        manifest = States(instance.states_dir).read(LAST)
    except Damaged as error:
        return str(error)
    return f"the last state is of {manifest.saved_at}" if manifest else "there is no earlier state"


def discard(instance: Instance) -> bool:
    """Removes the saved state. Returns whether there was one."""
    states = States(instance.states_dir)
    existed = states.path(LAST).exists()
    if existed:
        states.remove(LAST)
    return existed


def save_minutes() -> float:
    """How often to save; 0 for never, the default. Raises SluiceError (code 2) for what is no such number."""
    given = os.environ.get(SAVE_MINUTES) or "0"
    try:
        found = float(given)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1 << 20:
        fail(f"{SAVE_MINUTES}={given} is no number of minutes")
    return found


def start_saver(instance: Instance, identity: list[str], every: float) -> None:
    """Starts the automatic save (`sluice.engine.saver`) in a session of its own. identity: the engine's, as words."""
    with (instance.logs_dir / "saver.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", SAVER, str(instance.home), repr(every), *identity],
            cwd=ROOT,
            env=of_machine() | {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
