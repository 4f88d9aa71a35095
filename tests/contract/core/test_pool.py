"""Execution environments are handed out in the order in which they were asked for, and give way one at a time."""

from pathlib import Path
from typing import Any

from tests.support.engine_harness import in_engine


def outcome(scenario: str, environments: int) -> Any:
    settings = {"SLUICE_MAX_ENVIRONMENTS": str(environments), "SLUICE_SCALE_UP_MS": "0"}
    return in_engine(Path(__file__).with_name("pool_worker.py"), scenario, seconds=60, **settings)


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
