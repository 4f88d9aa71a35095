"""Which idle environments end. The clock is a number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.executor.idle import Idle, Limits, to_end

LIMITS = Limits(seconds=300, memory=500, rest=30)


def test_one_unused_for_long_ends() -> None:
    idle = [Idle("old", 0, 1), Idle("just in time", 100, 1), Idle("new", 399, 1)]
    assert to_end(idle, 400, LIMITS) == ["old"]


def test_the_longest_unused_ends_first_until_the_rest_is_small_enough() -> None:
    idle = [Idle("c", 30, 200), Idle("a", 10, 200), Idle("b", 20, 200), Idle("d", 40, 200)]
    assert to_end(idle, 100, LIMITS) == ["a", "b"]


def test_one_that_was_used_just_now_does_not_end_for_its_memory() -> None:
    assert to_end([Idle("a", 90, 900), Idle("b", 60, 900)], 100, LIMITS) == ["b"]


def test_without_a_limit_only_age_counts() -> None:
    assert to_end([Idle("a", 0, 10**12)], 100, Limits(300, 0, 30)) == []


def test_a_limit_that_is_met_exactly_ends_none() -> None:
    assert to_end([Idle("a", 0, 250), Idle("b", 0, 250)], 100, LIMITS) == []


environments = st.lists(
    st.tuples(st.floats(0, 1000), st.integers(0, 400)).map(lambda pair: Idle(object(), *pair)), max_size=20
)


@given(environments)
def test_no_younger_one_ends_before_an_older_one_and_what_is_left_is_small_enough(idle: list[Idle[object]]) -> None:
    ended = to_end(idle, 1000, LIMITS)
    left = [one for one in idle if one.environment not in ended]
    gone = [one for one in idle if one.environment in ended]
    assert len(gone) == len(ended) == len(set(map(id, ended)))
    assert all(old.last_used <= young.last_used for old in gone for young in left)
    assert all(1000 - one.last_used <= LIMITS.seconds for one in left)
    at_rest = [one for one in left if 1000 - one.last_used >= LIMITS.rest]
    assert not at_rest or sum(one.memory for one in left) <= LIMITS.memory
