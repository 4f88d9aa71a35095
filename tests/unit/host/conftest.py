"""What the host tool stores between two commands is not stored in this checkout by its tests."""

from pathlib import Path

import pytest

from sluice import paths


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "CACHE_DIR", tmp_path / "cache")
