"""What was saved in lambdas/ and datasets/, found by the files' times, and whether it can be built.

Polling: no library for watching is among the dependencies, and looking at some 250 files takes a few milliseconds.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_IGNORED_FOLDERS = frozenset({"__pycache__"})
_SETTINGS = "function.toml"
_REQUIREMENTS = "requirements"

type Snapshot = Mapping[str, tuple[int, int, int]]
"""For each file's path: modification time (ns), size, inode."""


def snapshot(folders: Iterable[Path]) -> Snapshot:
    """The files below the folders, without hidden ones, caches and what editors store beside a file."""
    found: dict[str, tuple[int, int, int]] = {}
    pending = [os.fspath(folder) for folder in folders]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name.endswith(("~", ".swp", ".tmp", ".pyc")):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in _IGNORED_FOLDERS:
                            pending.append(entry.path)
                    elif entry.is_file():
                        stat = entry.stat()
                        found[entry.path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            continue  # deleted while it was read: the next look shows it
    return found


def difference(before: Snapshot, after: Snapshot) -> set[Path]:
    """Files that are new, gone, or others than they were."""
    return {Path(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


@dataclass(frozen=True)
class Touched:
    """What a change touches. needs_deploy: files that only a whole deployment puts into service."""

    code: bool
    datasets: bool
    needs_deploy: tuple[Path, ...]


def touched(changed: Iterable[Path], lambdas: Path, datasets: Path) -> Touched:
    """Which parts of the stack these files are of."""
    paths = sorted(changed)
    code = [path for path in paths if path.is_relative_to(lambdas)]
    deploy = [
        path for path in code if path.name == _SETTINGS or path.relative_to(lambdas).parts[0] == _REQUIREMENTS
    ]  # fmt: skip
    return Touched(len(code) > len(deploy), any(path.is_relative_to(datasets) for path in paths), tuple(deploy))


@dataclass
class Syntax:
    """Modules that are not Python, each with the reason in one line."""

    broken: dict[Path, str] = field(default_factory=dict)

    def check(self, changed: Iterable[Path]) -> None:
        """Looks at these files again; one that is gone is no longer broken."""
        for path in changed:
            self.broken.pop(path, None)
            if path.suffix == ".py" and (reason := _error_of(path)):
                self.broken[path] = reason


def _error_of(path: Path) -> str:
    try:
        ast.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        return ""
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}" if error.lineno else error.msg
    except (ValueError, OSError) as error:
        return str(error)
    return ""
