"""The source that artifacts are made from: which commit, and whether anything was changed since."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sluice.build import archive
from sluice.paths import DATASETS_DIR, JOBS_DIR, LAMBDAS_DIR, ROOT

FOLDERS = (LAMBDAS_DIR, JOBS_DIR, DATASETS_DIR)


@dataclass(frozen=True)
class Source:
    """`commit`: empty outside of a git checkout. `dirty`: the folders differ from it. `tree`: hash of their files,
    empty when not all artifacts are of one state of them."""

    commit: str = ""
    dirty: bool = True
    tree: str = ""


def now(folders: Sequence[Path] = FOLDERS, root: Path = ROOT) -> Source:
    """The source as it is on disk."""
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", *map(str, folders)) if commit is not None else None
    return Source((commit or "").strip(), changed != "", tree(folders))


def tree(folders: Sequence[Path] = FOLDERS) -> str:
    """SHA-256 (hex) over the names and contents of all files in the folders, caches left out."""
    members: dict[str, Path] = {}
    for folder in folders:
        members |= archive.tree(folder, f"{folder.name}/")
    return archive.digest_of(members)


def revision(root: Path = ROOT, *, digits: int = 40, untracked: bool = False) -> str:
    """The commit that is checked out, by its first digits, with a + when files differ from it; empty outside of git.

    untracked: a file that git does not know is a difference, too.
    """
    head = _git(root, "rev-parse", f"--short={digits}", "HEAD")
    changed = _git(root, "status", "--porcelain", f"--untracked-files={'normal' if untracked else 'no'}")
    if head is None or changed is None:
        return ""
    return head.strip() + "+" * bool(changed.strip())


def _git(root: Path, *words: str) -> str | None:
    """What git answers; None where there is no git, or no checkout that git may read."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
