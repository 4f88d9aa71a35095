"""A snapshot as one file: a plain tar of its manifest and the contents that this names, read without trust.

manifest.json            first
objects/ab/ab12...       every content, in the order of their SHA-256
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from sluice.console import SluiceError, fail
from sluice.engine.states.files import MANIFEST, NEW, OBJECTS, Content, Damaged, Manifest, States

_MANIFEST_BYTES = 256 << 20
_PIECE = 1 << 20


def export(states: States, name: str, target: Path) -> Manifest:
    """Writes a snapshot into a file, which appears once it is complete. Raises Damaged when the snapshot is."""
    manifest = states.get(name)
    if wrong := states.damage(name, manifest):
        raise Damaged(wrong)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        partial.touch(mode=0o600)  # it has every secret of the stack
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(states.path(name) / MANIFEST, MANIFEST, filter=_plain)
            for one in sorted(manifest.contents, key=lambda content: content.digest):
                tar.add(states.content(one), member_of(one), filter=_plain)
        partial.replace(target)
    except OSError as error:
        fail(f"{target} cannot be written: {error.strerror}", 1)
    finally:
        partial.unlink(missing_ok=True)
    return manifest


def load(states: States, name: str, source: Path) -> Manifest:
    """Reads a snapshot from a file; it exists under its name once everything has been checked.

    Raises Damaged for a file that is cut, altered or no snapshot; what was there before is as it was.
    """
    with states.locked(), _reading(source) as tar:
        member = tar.next()
        if member is None or member.name != MANIFEST or not member.isreg() or member.size > _MANIFEST_BYTES:
            raise Damaged(f"{source} is no exported snapshot: it does not begin with {MANIFEST}")
        text = _content(tar, member)
        manifest = Manifest.parse(text, f"{MANIFEST} in {source}")
        _store_all(states, {member_of(one): one for one in manifest.contents}, tar, source)
        states.write(name, text)
    return manifest


def receive(states: States, missing: Mapping[str, Content], stream: IO[bytes]) -> None:
    """Reads contents by the names of their members from a tar that is a stream. Raises Damaged when one is not whole.
    The caller has locked the states."""
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            _store_all(states, missing, tar, "the engine's answer")
    except tarfile.TarError as error:
        raise Damaged(f"the engine's answer is cut: {error}") from error
    except SluiceError:
        raise
    except OSError as error:
        fail(f"the state cannot be copied to {states.objects}: {error.strerror or error}", 1)


def _store_all(states: States, wanted: Mapping[str, Content], tar: tarfile.TarFile, source: object) -> None:
    missing = dict(wanted)
    while (member := tar.next()) is not None:
        one = missing.pop(member.name, None)
        if one is None or not member.isreg() or member.size != one.size:
            raise Damaged(f"{source} holds {member.name!r:.100}, which does not belong to its snapshot")
        _store(states, one, tar, member)
    if missing:
        raise Damaged(f"{source} is cut: {len(missing)} of {len(wanted)} contents are missing")


@contextlib.contextmanager
def _reading(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        # Not "r": that would unpack compressed files, whose size says nothing.
        with tarfile.open(source, "r:") as tar:
            yield tar
    except tarfile.TarError as error:
        raise Damaged(f"{source} is cut or no exported snapshot: {error}") from error
    except SluiceError:
        raise
    except OSError as error:
        fail(f"{source} cannot be read into {OBJECTS}: {error.strerror or error}", 1)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without what belongs to this machine."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def member_of(one: Content) -> str:
    """A content's name in the tar."""
    return f"{OBJECTS}/{one.digest[:2]}/{one.digest}"


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _store(states: States, one: Content, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    file = tar.extractfile(member)
    assert file is not None
    place = states.objects / f"{NEW}{os.getpid()}-{one.digest}"
    digest = hashlib.sha256()
    try:
        with place.open("wb") as target:
            while piece := file.read(_PIECE):
                digest.update(piece)
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
        if digest.hexdigest() != one.digest:
            raise Damaged(f"{one.what} ({one.digest[:12]}) is altered or cut: its SHA-256 is another")
        states.content(one).parent.mkdir(exist_ok=True)
        place.replace(states.content(one))
    finally:
        place.unlink(missing_ok=True)
