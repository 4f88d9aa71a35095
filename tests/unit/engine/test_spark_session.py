"""The compiled file system of Spark jobs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from sluice_ext.glue.jobs.spark import session


def test_two_engines_that_compile_it_at_once_have_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "bin/python"
    (tmp_path / "lib/python3.11/site-packages/pyspark/jars").mkdir(parents=True)
    compiled: list[Path] = []

    def compiles(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        del options
        building = Path(command[command.index("-d") + 1])
        for folder in (building, building.with_name(building.name.partition(".")[0])):  # the other engine's
            folder.mkdir(exist_ok=True)
            (folder / "S3FileSystem.class").write_text("class")
        compiled.append(building)
        return subprocess.CompletedProcess(command, 0, "")

    monkeypatch.setattr(session.subprocess, "run", compiles)
    found = session.file_system(python, "/java")
    assert [path.name for path in found.iterdir()] == ["S3FileSystem.class"]
    assert [path.name for path in found.parent.iterdir()] == [found.name]
    assert session.file_system(python, "/java") == found
    assert len(compiled) == 1
