"""Which worker a test runs in."""

from __future__ import annotations

from sluice.paths import ROOT
from tests.support.groups import FIRST_HALF, GROUPS, OWN_ENGINES, group_of

FILES = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "tests").rglob("test_*.py"))]


def test_every_test_has_a_group_and_every_group_has_tests() -> None:
    assert {group_of(f"{file}::test_x") for file in FILES} == set(GROUPS)


def test_what_is_listed_is_there() -> None:
    for listed in (*FIRST_HALF, *OWN_ENGINES):
        assert any(file.startswith(listed) for file in FILES), listed


def test_a_test_of_both_halves_is_in_the_half_that_it_names() -> None:
    assert group_of("tests/e2e/afterwards/test_afterwards.py::test_x[first]") == "first"
    assert group_of("tests/e2e/afterwards/test_afterwards.py::test_x[second]") == "second"
