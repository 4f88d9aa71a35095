"""Records, at the end of a session of whole suites, the artifacts that they passed with (sluice/build/tested.py)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluice.build import source, tested
from sluice.paths import BUILD_DIR, ROOT
from tests.support import session as sessions

_STARTED = pytest.StashKey[str]()


def begin(config: pytest.Config) -> None:
    """Remembers what the source is, so that a change while the suites run is seen."""
    if suites_of(config):
        config.stash[_STARTED] = source.tree()


def end(config: pytest.Config, session: pytest.Session, status: int, folder: Path = BUILD_DIR) -> int:
    """Records the suites when nothing failed; returns for how many artifacts."""
    started = config.stash.get(_STARTED, "")
    if status != pytest.ExitCode.OK or not session.testscollected:
        return 0
    return tested.record(suites_of(config), started, folder) if started else 0


def suites_of(config: pytest.Config) -> list[str]:
    """The suites that run whole: named by their folders, and nothing chosen from them. None in a worker of xdist."""
    option = config.option
    chosen = option.keyword or option.markexpr or getattr(option, "lf", False) or getattr(option, "deselect", None)
    if sessions.ACCOUNT:  # which is asked a part
        return []
    if "PYTEST_XDIST_WORKER" in os.environ or chosen or option.collectonly or option.maxfail or not config.args:
        return []
    folders = {str(ROOT / "tests" / suite): suite for suite in tested.SUITES}
    named = [folders.get(str((config.invocation_params.dir / word).resolve()), "") for word in config.args]
    return sorted(named) if all(named) else []
