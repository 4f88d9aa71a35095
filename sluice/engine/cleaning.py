"""Removing everything that was made in the checkout."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sluice.console import fail, human_bytes  # noqa: F401 - loaded now: the environment goes away below
from sluice.engine import down
from sluice.engine.instance import Instance
from sluice.paths import AWS_DIR, ROOT, SLUICE_DIR

CACHES = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".terraform"})
FILES = frozenset({"localstack_providers_override.tf", "backend_override.tf", ".terraform.lock.hcl"})


def clean(*, force: bool = False) -> list[Path]:
    """Stops the instance, then removes caches and .sluice/. Returns what was removed.

    Raises SluiceError when the state of a real account's resources would be lost; `force` does it all the same.
    """
    kept = list(resources_in_accounts())
    if kept and not force:
        fail(
            f"{kept[0]} still describes resources in an AWS account:"
            " the next `make plan TARGET=aws` brings it to the bucket; or --force",
            1,
        )
    down(Instance.default(), volumes=True)
    removed = list(made_beside_the_code(ROOT))
    home = Instance.default().home
    removed += [path for path in (home, SLUICE_DIR) if path.exists()]
    for path in removed:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return removed


def resources_in_accounts(folder: Path = AWS_DIR) -> Iterator[Path]:
    """State files of real accounts that are not empty."""
    for state in sorted([*folder.glob("*/terraform.tfstate"), *folder.glob("*/infra/stack/errored.tfstate")]):
        try:
            if json.loads(state.read_text()).get("resources"):
                yield state
        except (OSError, ValueError):
            yield state  # unreadable is no proof of emptiness


def made_beside_the_code(root: Path) -> Iterator[Path]:
    """Caches and generated files outside .sluice/."""
    for folder, folders, files in os.walk(root):
        made = [name for name in folders if name in CACHES or name.endswith(".egg-info")]
        for name in made:
            yield Path(folder) / name
        yield from (Path(folder) / name for name in files if name in FILES)
        folders[:] = [n for n in folders if n not in made and n not in (".git", ".sluice")]
