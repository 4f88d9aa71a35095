"""A second checkout with its own tool, engine and state, which borrows what set-up made in the one under test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sluice.engine.instance import EngineInfo, Instance
from sluice.paths import ROOT, SLUICE_DIR

MADE = ("host", "engine", "runtimes", "bin")
"""What set-up made in the checkout under test, and the others borrow."""


@dataclass(frozen=True)
class Checkout:
    root: Path

    @property
    def instance(self) -> Instance:
        return Instance(self.root / ".sluice" / "state")

    def sluice(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """The checkout's own tool, typed in the checkout, in a shell that has these variables."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.run(
            [sys.executable, "-m", "sluice.cli", *words],
            cwd=self.root, env=kept | {"ENGINE": "embedded", "PYTHONPATH": str(self.root)} | variables,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip

    def up(self) -> EngineInfo:
        done = self.sluice("up")
        assert done.returncode == 0, done.stderr
        info = self.instance.info()
        assert info
        return info


def copy_of(root: Path, *also: str) -> Checkout:
    """A copy of the checkout under test; ``also``: more folders of .sluice that it borrows."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (
            name.startswith(("sluice/", "lambdas/", "infra/", "datasets/", "localstack/", "docker-compose.yml"))
            and (ROOT / name).is_file()
        ):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    (root / ".sluice").mkdir()
    for name in (*MADE, *also):
        (root / ".sluice" / name).symlink_to(SLUICE_DIR / name)
    return Checkout(root)
