"""The deployed stack that a session of end-to-end tests starts from: a snapshot of an earlier session's.

It is of a stack to which nothing has been sent. Its name covers everything that it was made from, so another content of
any of it deploys from nothing. PERSISTENCE=0 deploys from nothing, too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from sluice.build import Manifest
from sluice.console import SluiceError
from sluice.engine import snapshots
from sluice.engine.instance import Instance
from sluice.engine.states.files import LAST, States
from sluice.options import persists_state
from sluice.paths import CACHE_DIR, ROOT

FOLDER = CACHE_DIR / "e2e"
_NAME = "deployed"
_STORED = 2
"""Snapshots that are stored: of what is worked on, and of what it is compared with."""
MADE_FROM = (
    "infra/**/*.tf",
    "infra/envs/dev.tfvars",
    "localstack/extension/**/*.py",
    "requirements/*.txt",
    "sluice/engine/**/*.py",
    "sluice/terraform/*.py",
)


def digest(artifacts: Mapping[str, str], variables: Mapping[str, Any], kind: str, root: Path = ROOT) -> str:
    """Changes with each artifact (its SHA-256 by its name), variable and file that a deployed stack is made from."""
    made = hashlib.sha256(json.dumps([sorted(artifacts.items()), variables, kind, platform.machine()]).encode())
    for path in _files(root):
        made.update(f"\0{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return made.hexdigest()


def _files(root: Path) -> Iterable[Path]:
    found = {path for pattern in MADE_FROM for path in root.glob(pattern)}
    return sorted(path for path in found if ".terraform" not in path.parts)


def place(built: Manifest, variables: Mapping[str, Any], kind: str) -> Path:
    """Where the snapshot of such a stack is, whether it is there or not."""
    artifacts = {name: artifact.sha256 for name, artifact in built.artifacts.items()}
    return FOLDER / f"{digest(artifacts, variables, kind)[:32]}.tar"


class Turn:
    """One session deploys from nothing and the others wait for its snapshot: two at once take twice as long."""

    def __init__(self, snapshot: Path | None) -> None:
        """Waits while another session makes this snapshot."""
        self._file: IO[bytes] | None = None
        if snapshot is None or not persists_state():
            return
        FOLDER.mkdir(parents=True, exist_ok=True)
        self._file = snapshot.with_suffix(".turn").open("ab")
        fcntl.flock(self._file, fcntl.LOCK_EX)  # ends with its process
        if snapshot.exists():
            self.end()

    def end(self) -> None:
        """Others go on."""
        if self._file:
            self._file.close()
            self._file = None


def offer(instance: Instance, snapshot: Path) -> bool:
    """Makes the instance's next start begin with the snapshot. False when there is none that can be used."""
    if not persists_state() or not snapshot.exists():
        return False
    try:
        snapshots.import_(instance, _NAME, snapshot)
    except SluiceError:  # cut or altered
        snapshot.unlink(missing_ok=True)
        return False
    States(instance.states_dir).copy(_NAME, LAST)
    os.utime(snapshot)  # the ones that were used last are stored
    return True


def store(instance: Instance, snapshot: Path) -> None:
    """Saves what was deployed just now for later sessions."""
    if not persists_state():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    partial = snapshot.with_suffix(f".{os.getpid()}.part")
    snapshots.save(instance, _NAME)
    try:
        snapshots.export(instance, _NAME, partial)
        partial.replace(snapshot)
    finally:
        partial.unlink(missing_ok=True)
        snapshots.rm(instance, _NAME)
    by_age = sorted(FOLDER.glob("*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in by_age[_STORED:]:
        old.unlink(missing_ok=True)
        old.with_suffix(".turn").unlink(missing_ok=True)
