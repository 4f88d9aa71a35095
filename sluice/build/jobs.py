"""Glue jobs: every script ``jobs/<branch>/<job>.py`` is one. Nothing lists them.

A job is two files: the script, which Glue starts, and a zip with the shared package and those modules of lambdas/ that
the script imports, which Glue puts on its path (``--extra-py-files``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sluice.build.functions import Sources
from sluice.paths import JOBS_DIR


@dataclass(frozen=True)
class Job:
    """``branch`` and ``name`` are those of its folder and file."""

    branch: str
    name: str
    script: Path

    @property
    def artifact(self) -> str:
        """Name of its zip: ``job-lake-compact``."""
        return f"job-{self.branch}-{self.name}"

    @property
    def script_artifact(self) -> str:
        """Name of its script."""
        return f"script-{self.branch}-{self.name}"

    def library(self, sources: Sources) -> Mapping[str, Path]:
        """What its zip holds. Raises SluiceError (code 1) as Sources.library_of."""
        return sources.library_of(self.script, f"jobs/{self.branch}/{self.script.name}")


def find_jobs(folder: Path = JOBS_DIR) -> list[Job]:
    """All jobs, by branch and name; a module whose name begins with an underscore is none."""
    scripts = sorted(path for path in folder.glob("*/*.py") if not path.name.startswith("_"))
    return [Job(path.parent.name, path.stem, path) for path in scripts]
