"""Execution environments are handed out in the order in which they were asked for, and give way one at a time."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine_harness import PYTHON


def outcome(scenario: str, environments: int) -> Any:
    if not Path(PYTHON).exists():
        pytest.skip(f"no engine environment at {PYTHON}; run `make setup` or set SLUICE_ENGINE_PYTHON")
    command = [PYTHON, str(Path(__file__).with_name("pool_worker.py")), scenario]
    settings = os.environ | {"SLUICE_MAX_ENVIRONMENTS": str(environments), "SLUICE_SCALE_UP_MS": "0"}
    done = subprocess.run(command, env=settings, capture_output=True, timeout=60, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_who_waits_for_an_environment_longest_gets_it_first() -> None:
    assert outcome("order", 1) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0]


def test_one_environment_gives_way_to_a_function_that_has_none() -> None:
    assert outcome("room", 4) == 1


def test_idle_environments_end_by_age_and_when_they_hold_too_much_and_busy_ones_never() -> None:
    # Of 800 MB 512 are allowed: a ends at once, c (24 s idle) as soon as it has been idle for 30 s.
    assert outcome("idle", 8) == [
        ["a", "b", "c", "d", "e"],
        ["b", "c", "d", "e"],
        ["b", "c", "d", "e"],
        ["b", "d", "e"],
        ["b", "d", "e"],
        ["e"],
        [],
    ]
