"""Zips whose bytes depend on their contents only: sorted names, one time, one mode, no owner, no .pyc.

Terraform compares hashes: a zip that changes without its contents changing is a plan that is never empty.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
_REGULAR_FILE = 0o100000
_UNIX = 3

Members = Mapping[str, Path | bytes]
"""What a zip holds: the name in it, and a file or its contents."""

IGNORED_FOLDERS = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
IGNORED_SUFFIXES = frozenset({".pyc", ".pyo"})


def tree(folder: Path, prefix: str = "", suffixes: Iterable[str] | None = None) -> dict[str, Path]:
    """Files below a folder as members, caches left out; only those with one of the suffixes where any are given."""
    wanted = None if suffixes is None else frozenset(suffixes)
    members: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not path.is_file() or path.suffix in IGNORED_SUFFIXES or IGNORED_FOLDERS.intersection(relative.parts):
            continue
        if wanted is None or path.suffix in wanted:
            members[prefix + relative.as_posix()] = path
    return members


def write_zip(target: Path, members: Members) -> int:
    """Writes the zip (never half of one) and returns the unzipped size in bytes."""
    partial = target.with_suffix(".part")
    total = 0
    with zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(members):
            data = contents(members[name])
            total += len(data)
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = _UNIX
            # Lambda's user is not the owner of what it unpacks: everything must be readable, libraries executable.
            entry.external_attr = (_REGULAR_FILE | (0o755 if ".so" in Path(name).suffixes else 0o644)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data, compresslevel=6)
    partial.replace(target)
    return total


def contents(member: Path | bytes) -> bytes:
    return member if isinstance(member, bytes) else member.read_bytes()


def digest_of(members: Members, *extra: str) -> str:
    """SHA-256 over names and contents, and over whatever else decides the result."""
    digest = hashlib.sha256("\0".join(extra).encode())
    for name in sorted(members):
        data = contents(members[name])
        digest.update(f"\0{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
