"""The files of saved states: contents by their SHA-256, and one manifest for each saved state.

    <objects>/<2 digits>/<sha256>    contents: parts of the state, and S3's objects; saved states share them
    <folder>/manifest.json           names the contents of one state, with their sums; the state exists when this does

A content is written under a temporary name and renamed when it is complete; the manifest is renamed last. A process
that is killed in between leaves the state as it was before, and files that the next save removes.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
_PIECE = 1 << 20
_TEMPORARY = ".new-"
_LOCK = ".lock"
LOG = logging.getLogger(__name__)


class InUse(RuntimeError):
    """Another process uses the folder."""


class Objects:
    """Contents by their SHA-256 in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._new: list[Path] = []

    @contextlib.contextmanager
    def locked(self, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
        """Lock the folder against other processes. Raises InUse when another one saves into it or loads from it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("a") as file:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InUse(f"another process saves or loads a state in {self.folder.parent}") from None
            yield

    def path(self, digest: str) -> Path:
        """Where a content is, or would be."""
        return self.folder / digest[:2] / digest

    def has(self, digest: str, size: int) -> bool:
        """Whether a complete content is there."""
        try:
            return self.path(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def add(self, pieces: Iterable[bytes]) -> tuple[str, int]:
        """Store a content. Returns its SHA-256 and its size."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / f"{_TEMPORARY}{os.getpid()}-{os.urandom(8).hex()}"
        digest, size = hashlib.sha256(), 0
        try:
            with place.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                    size += len(piece)
        except BaseException:
            place.unlink(missing_ok=True)  # a full disk
            raise
        name = digest.hexdigest()
        self._keep(place, name, size)
        return name, size

    def add_file(self, source: Path, digest: str | None = None) -> tuple[str, int]:
        """Store a file's content, as a hard link where its SHA-256 is known and the file system allows it."""
        if digest is None:
            with source.open("rb") as file:
                return self.add(iter(lambda: file.read(_PIECE), b""))
        size = source.stat().st_size
        if not self.has(digest, size):
            self.folder.mkdir(parents=True, exist_ok=True)
            place = self.folder / f"{_TEMPORARY}{os.getpid()}-{os.urandom(8).hex()}"
            link(source, place)
            self._keep(place, digest, size)
        return digest, size

    def sync(self) -> None:
        """Until everything that was added is on the disk."""
        folders = {path.parent for path in self._new} | {self.folder}
        with ThreadPoolExecutor(8) as pool:  # the file system joins what is asked for at once
            list(pool.map(_sync, [*self._new, *(folder for folder in folders if folder.exists())]))
        self._new.clear()

    def verify(self, digest: str, size: int) -> str:
        """What is wrong with a content; empty when nothing is."""
        path = self.path(digest)
        try:
            if path.stat().st_size != size:
                return f"has {path.stat().st_size} bytes instead of {size}"
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        return "" if found == digest else "is altered: its SHA-256 is another"

    def remove_unused(self, used: set[str]) -> int:
        """Remove contents that no state names, and what a killed process left. Returns how many bytes."""
        removed = 0
        for path in self._all():
            if path.name not in used:
                removed += path.stat().st_size
                path.unlink()
        return removed

    def _all(self) -> Iterator[Path]:
        for entry in list(self.folder.iterdir()) if self.folder.exists() else []:
            if entry.is_dir():
                yield from list(entry.iterdir())
            elif entry.name.startswith(_TEMPORARY):
                yield entry

    def _keep(self, place: Path, digest: str, size: int) -> None:
        if self.has(digest, size):
            place.unlink()
            return
        target = self.path(digest)
        target.parent.mkdir(exist_ok=True)
        place.rename(target)
        self._new.append(target)


def link(source: Path, target: Path) -> None:
    """A hard link, or a copy where there cannot be one."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def commit(objects: Objects, folder: Path, manifest: dict[str, Any]) -> None:
    """Make the state of ``folder`` the one that the manifest describes; its contents have been added."""
    objects.sync()
    write_manifest(folder, manifest)
    try:
        used = used_contents(objects.folder)
    except (ValueError, OSError) as error:
        LOG.warning("Contents that no state needs stay: %s", error)
        return
    objects.remove_unused(used)


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest with its own sum; replaces an earlier one at once."""
    folder.mkdir(parents=True, exist_ok=True)
    body = manifest | {"checksum": _sum(manifest)}
    place = folder / f"{_TEMPORARY}{os.getpid()}"
    with place.open("w") as file:
        json.dump(body, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    place.rename(folder / MANIFEST)
    _sync(folder)
    _sync(folder.parent)
    for old in folder.glob(f"{_TEMPORARY}*"):
        old.unlink(missing_ok=True)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest. Raises FileNotFoundError without one, and ValueError for one that is cut or altered."""
    text = (folder / MANIFEST).read_text()
    try:
        manifest = json.loads(text)
        checksum = manifest.pop("checksum")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{folder / MANIFEST} is cut or no manifest") from None
    if checksum != _sum(manifest):
        raise ValueError(f"{folder / MANIFEST} is altered: its sum is another")
    return dict(manifest)


def named_contents(manifest: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """(what it is, SHA-256, size) of every content that a manifest names."""
    for name, part in [*manifest["parts"].items(), *manifest["attached"].items()]:
        yield name, part["sha256"], part["size"]
    for digest, size in manifest["objects"]:
        yield "an S3 object", digest, size


def used_contents(objects: Path) -> set[str]:
    """SHA-256 of everything that the saved states beside this folder of contents name.

    Raises ValueError when a manifest cannot be read, as it is not known then what that one names.
    """
    beside = [*objects.parent.glob(MANIFEST), *objects.parent.glob(f"*/{MANIFEST}")]
    return {digest for path in beside for _, digest, _ in named_contents(read_manifest(path.parent))}


def _sum(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
