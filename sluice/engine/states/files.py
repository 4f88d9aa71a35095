"""The files of saved states as the engine writes them (docs/state.md#files), read and removed by the host.

<home>/states/objects/ab/ab12...     contents by their SHA-256, shared by all states
<home>/states/<name>/manifest.json   one state
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sluice.console import SluiceError, fail

MANIFEST = "manifest.json"
OBJECTS = "objects"
LAST = "last"
"""The state that `sluice down` and the automatic save write, and `sluice up` restores."""
BEFORE_LOAD = "before-load"
"""What the engine held before `sluice snapshot load`."""
NEW = ".new-"
"""What a name begins with until its file is complete; the engine's saves remove what a killed process left."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PIECE = 1 << 20


class Damaged(SluiceError):
    """A state is cut or altered."""


@dataclass(frozen=True)
class Content:
    """A file of a state: what it is, its SHA-256, its bytes."""

    what: str
    digest: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What one state consists of. `checksum` is that of the manifest itself."""

    values: dict[str, Any]
    checksum: str

    @property
    def saved_at(self) -> str:
        """UTC, to the second, as people read it."""
        return str(self.values.get("saved_at", "?")).split(".")[0].replace("T", " ") + " UTC"

    @property
    def attached(self) -> dict[str, Content]:
        """Files of the host's by their names."""
        return {name: Content(name, part["sha256"], part["size"]) for name, part in self.values["attached"].items()}

    @property
    def contents(self) -> list[Content]:
        """Everything that the state consists of, each once."""
        named = [Content(name, part["sha256"], part["size"]) for name, part in self.values["parts"].items()]
        objects = [Content("an S3 object", digest, size) for digest, size in self.values["objects"]]
        return list({one.digest: one for one in [*named, *self.attached.values(), *objects]}.values())

    @property
    def size(self) -> int:
        """Bytes of all contents."""
        return sum(one.size for one in self.contents)

    @classmethod
    def parse(cls, text: str | bytes, where: object) -> Manifest:
        """Raises Damaged when it is not what the engine writes."""
        try:
            values = json.loads(text)
            checksum = values.pop("checksum")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Damaged(f"{where} is cut or no manifest") from None
        # The sum is of this very form (sluice_ext.state.files).
        if checksum != hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest():
            raise Damaged(f"{where} is altered: its sum is another")
        found = cls(values, checksum)
        try:
            wrong = [c for c in found.contents if not _DIGEST.fullmatch(c.digest) or not 0 <= int(c.size) < 1 << 60]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Damaged(f"{where} is no manifest of a state") from None
        if wrong:
            raise Damaged(f"{where} names {wrong[0].digest!r:.80}, which is no content")
        return found


class States:
    """The saved states in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = folder / OBJECTS

    def path(self, name: str) -> Path:
        """The folder of a state."""
        return self.folder / name

    def content(self, one: Content) -> Path:
        return self.objects / one.digest[:2] / one.digest

    def names(self) -> list[str]:
        """All states, sorted by name."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{MANIFEST}") if path.parent != self.objects)

    def read(self, name: str) -> Manifest | None:
        """A state's manifest, or None without one. Raises Damaged."""
        place = self.path(name) / MANIFEST
        try:
            return Manifest.parse(place.read_bytes(), place)
        except FileNotFoundError:
            return None

    def get(self, name: str) -> Manifest:
        """A state's manifest. Raises SluiceError when there is none."""
        found = self.read(name) if name in self.names() else None
        return found or self.missing(name)

    def missing(self, name: str) -> NoReturn:
        """Says which states there are instead of this one."""
        fail(f"there is no snapshot {name!r}: there are {', '.join(self.names()) or 'none'}", 1)

    def verify(self, one: Content) -> str:
        """What is wrong with a content; empty when nothing is."""
        place = self.content(one)
        try:
            if place.stat().st_size != one.size:
                return f"has {place.stat().st_size} bytes instead of {one.size}"
            with place.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        return "" if found == one.digest else "is altered: its SHA-256 is another"

    def damage(self, name: str, manifest: Manifest) -> str:
        """The first content that is wrong, with the reason; empty when the state is whole."""
        for one in manifest.contents:
            if wrong := self.verify(one):
                return f"the state {name!r} is damaged: {one.what} ({one.digest[:12]}) {wrong}"
        return ""

    def has(self, one: Content) -> bool:
        """Whether a complete content is there."""
        try:
            return self.content(one).stat().st_size == one.size
        except FileNotFoundError:
            return False

    def add(self, source: Path) -> None:
        """Stores a file as a content: a copy of it. What no state names goes with `remove_unused`."""
        with source.open("rb") as file:
            one = Content(source.name, hashlib.file_digest(file, "sha256").hexdigest(), source.stat().st_size)
        if self.has(one):
            return
        self.content(one).parent.mkdir(parents=True, exist_ok=True)
        place = self.objects / f"{NEW}{os.getpid()}-{one.digest}"
        shutil.copyfile(source, place)
        with place.open("rb") as file:
            os.fsync(file.fileno())
        place.replace(self.content(one))

    def attached(self, manifest: Manifest, name: str) -> Path | None:
        """The file that was attached under this name, after a check; None without one. Raises Damaged."""
        one = manifest.attached.get(name)
        if one is None:
            return None
        if wrong := self.verify(one):
            raise Damaged(f"a saved state is damaged: {name} ({one.digest[:12]}) {wrong}")
        return self.content(one)

    def write(self, name: str, text: bytes) -> None:
        """Makes `name` the state whose manifest this is; replaces an earlier one at once."""
        folder = self.path(name)
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / f"{NEW}{os.getpid()}"
        with place.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        place.replace(folder / MANIFEST)

    def copy(self, source: str, target: str) -> None:
        """Makes `target` the same state as `source`."""
        self.write(target, (self.path(source) / MANIFEST).read_bytes())

    def remove(self, name: str) -> None:
        """Removes a state: its manifest first, then what no other state needs. Raises StatesInUse."""
        with self.locked():
            (self.path(name) / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(self.path(name), ignore_errors=True)
            self.remove_unused()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Excludes the engine's saves and restores, with their own lock. Raises SluiceError when one is under way."""
        self.objects.mkdir(parents=True, exist_ok=True)
        with (self.objects / ".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fail(f"another process saves or loads a state in {self.folder}: try again when it has ended", 1)
            yield

    def remove_unused(self) -> None:
        """Removes contents that no state names. The caller has locked the states."""
        try:
            used = {one.digest for name in self.names() for one in self.get(name).contents}
        except SluiceError:
            return  # a manifest that cannot be read: it is not known what that one needs
        for place in self.objects.glob("*/*"):
            if place.name not in used:
                place.unlink(missing_ok=True)
        for place in self.objects.glob(f"{NEW}*"):
            place.unlink(missing_ok=True)


def check_name(name: str) -> str:
    """A name that a user may give to a snapshot. Raises SluiceError (code 2)."""
    if not _NAME.fullmatch(name):
        fail(f"{name!r} is no name for a snapshot: use up to 64 letters, digits, dots, dashes and underscores")
    if name in (OBJECTS, LAST, BEFORE_LOAD):
        fail(f"the name {name!r} is taken by Sluice itself: use another")
    return name


def pieces(place: Path) -> Iterator[bytes]:
    """A file's content in pieces."""
    with place.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
