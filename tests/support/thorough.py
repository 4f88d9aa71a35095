"""The tier of `make everything`: tests that vary what a cheaper test of `make test` shows.

``@pytest.mark.thorough("tests/unit/x/test_y.py::test_z", why="a reason")`` names one or more tests of `make test` that
hold the same rule. They run with THOROUGH=1, when one is named on the command line (``file::test``), and by
``-m thorough``.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

import pytest

MARKER: Final = "thorough"
EVERYTHING: Final = os.environ.get("THOROUGH") == "1"
NAME: Final = re.compile(r"tests/[\w/]+\.py::test_\w+")
_LEFT_OUT: Final = pytest.StashKey[list[pytest.Item]]()
_COUNTED: Final = pytest.StashKey[int]()


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Takes the thorough tests out of what was collected; a marker that names no other test, or no reason, ends all."""
    found = [item for item in items if (mark := item.get_closest_marker(MARKER)) and _checked(item, mark)]
    if EVERYTHING or _asked_for(config):
        return
    config.stash[_LEFT_OUT] = found
    if found:
        config.hook.pytest_deselected(items=found)
        gone = set(found)
        items[:] = [item for item in items if item not in gone]
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:  # of a worker of xdist: what the process that reports does not collect itself
        output[MARKER] = len(found)


def left_out(config: pytest.Config) -> list[pytest.Item]:
    """What `leave_out` took away in this process."""
    return config.stash.get(_LEFT_OUT, [])


def count(config: pytest.Config, worker_output: dict[str, Any]) -> None:
    """A worker's number: each collects everything."""
    config.stash[_COUNTED] = max(config.stash.get(_COUNTED, 0), int(worker_output.get(MARKER, 0)))


def line(config: pytest.Config) -> str:
    """What the summary says of it; '' when nothing was left out."""
    number = config.stash.get(_COUNTED, 0) or len(left_out(config))
    return f"{number} thorough tests were left out: `make everything` runs them" if number else ""


def complaint(mark: pytest.Mark) -> str:
    """What a marker lacks; '' when it names tests and says why."""
    if not mark.args or not all(isinstance(name, str) and NAME.fullmatch(name) for name in mark.args):
        return 'it names no test of `make test` that holds the same rule, as in "tests/unit/x/test_y.py::test_z"'
    if set(mark.kwargs) != {"why"} or not str(mark.kwargs["why"]).strip():
        return "it says no reason: why=..."
    return ""


def _checked(item: pytest.Item, mark: pytest.Mark) -> bool:
    if lacks := complaint(mark):
        raise pytest.UsageError(f"{item.nodeid}: its marker `{MARKER}` is incomplete: {lacks}")
    return True


def _asked_for(config: pytest.Config) -> bool:
    return MARKER in config.option.markexpr or any("::" in word for word in config.args)
