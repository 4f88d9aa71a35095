"""The engine's time for schedules: moved forwards, put back, and followed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_ext.timeline.clock import Backwards, Clock
from tests.support.thorough import examples

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def every(minutes: int, moment: datetime) -> datetime:
    step = timedelta(minutes=minutes)
    return BEGAN + ((moment - BEGAN) // step + 1) * step


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock whose machine stands still."""
    found = Clock(BEGAN.timestamp)
    yield found
    found.stop()


def test_a_move_runs_each_time_once_and_in_order(clock: Clock) -> None:
    ran: list[tuple[str, int]] = []

    def note(name: str, due: datetime) -> None:
        assert clock.now() == due
        ran.append((name, int((due - BEGAN).total_seconds() // 60)))

    clock.repeat("a", lambda moment: every(10, moment), lambda due: note("a", due))
    clock.repeat("b", lambda moment: every(15, moment), lambda due: note("b", due))
    assert clock.move(BEGAN + timedelta(minutes=30)) == 5
    assert ran == [("a", 10), ("b", 15), ("a", 20), ("b", 30), ("a", 30)]
    assert (clock.now(), clock.moved_seconds) == (BEGAN + timedelta(minutes=30), 1800)
    assert (clock.next("a"), clock.next("b")) == tuple(BEGAN + timedelta(minutes=n) for n in (40, 45))


def test_time_does_not_go_back_but_to_the_machines(clock: Clock) -> None:
    ran: list[datetime] = []
    clock.repeat("a", lambda moment: every(60, moment), ran.append)
    clock.move(BEGAN + timedelta(hours=5))
    with pytest.raises(Backwards):
        clock.move(BEGAN + timedelta(hours=4))
    clock.move(BEGAN + timedelta(hours=5))
    assert len(ran) == 5
    clock.reset()
    assert (clock.now(), clock.next("a")) == (BEGAN, BEGAN + timedelta(hours=1))


def test_what_a_call_adds_and_cancels_counts_in_the_same_move(clock: Clock) -> None:
    ran: list[str] = []

    def first(due: datetime) -> None:
        clock.cancel("doomed")
        clock.once("second", due + timedelta(minutes=1), lambda _due: ran.append("second"))
        clock.once("late", due + timedelta(days=1), lambda _due: ran.append("late"))
        raise RuntimeError("its failure is its own")

    clock.once("first", BEGAN + timedelta(minutes=1), first)
    clock.once("doomed", BEGAN + timedelta(minutes=2), lambda _due: ran.append("doomed"))
    assert clock.move(BEGAN + timedelta(hours=1)) == 2
    assert ran == ["second"]
    assert (clock.next("first"), clock.next("late")) == (None, BEGAN + timedelta(days=1, minutes=1))


def test_a_key_has_one_entry(clock: Clock) -> None:
    ran: list[str] = []
    clock.repeat("a", lambda moment: every(10, moment), lambda _due: ran.append("old"))
    clock.repeat("a", lambda moment: every(30, moment), lambda _due: ran.append("new"))
    clock.move(BEGAN + timedelta(hours=1))
    assert ran == ["new", "new"]
    clock.cancel("a")
    clock.cancel("nosuch")
    assert clock.move(BEGAN + timedelta(days=1)) == 0


def test_without_a_move_the_thread_runs_what_is_due_and_what_a_sleep_missed_once() -> None:
    seconds, ran = [BEGAN.timestamp()], threading.Semaphore(0)
    clock = Clock(lambda: seconds[0])
    dues: list[datetime] = []

    def note(due: datetime) -> None:
        dues.append(due)
        ran.release()

    clock.repeat("a", lambda moment: every(10, moment), note)
    seconds[0] += 3 * 3600 + 30
    clock.once("wake", BEGAN, lambda _due: ran.release())
    assert all(ran.acquire(timeout=20) for _ in range(2))
    clock.stop()
    assert dues == [BEGAN + timedelta(minutes=10)]
    assert clock.next("a") == BEGAN + timedelta(hours=3, minutes=10)


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=5), st.lists(st.integers(0, 300), min_size=1, max_size=6))
def test_many_small_moves_are_one_large(periods: list[int], moves: list[int]) -> None:
    def ran(steps: list[int]) -> list[tuple[int, datetime]]:
        clock, found = Clock(BEGAN.timestamp), []
        for number, minutes in enumerate(periods):
            clock.repeat(
                number, lambda moment, m=minutes: every(m, moment), lambda due, n=number: found.append((n, due))
            )
        for step in steps:
            clock.move(clock.now() + timedelta(minutes=step))
        clock.stop()
        return found

    small, large = ran(moves), ran([sum(moves)])
    assert sorted(small) == sorted(large)
    assert [due for _, due in small] == sorted(due for _, due in small)
