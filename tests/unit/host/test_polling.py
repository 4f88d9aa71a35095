"""Polling: when it looks, when it stops, and what it returns, on a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import pytest

from sluice.polling import Clock, Polled, every, poll, wait_until


@dataclass
class FakeClock:
    """Time passes only in `sleep`, or when a look moves it."""

    time: float = 100.0
    naps: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.time += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self.sleep)


@pytest.fixture
def fake() -> FakeClock:
    return FakeClock()


def counting() -> Callable[[], int]:
    numbers = iter(range(1, 1_000))
    return lambda: next(numbers)


def test_a_first_look_that_is_accepted_does_not_sleep(fake: FakeClock) -> None:
    assert poll(lambda: "ready", seconds=10, clock=fake.clock) == Polled("ready", True)
    assert fake.naps == []


def test_it_looks_at_the_interval_until_the_result_is_accepted(fake: FakeClock) -> None:
    assert poll(counting(), lambda n: n == 4, seconds=10, interval=0.5, clock=fake.clock) == Polled(4, True)
    assert fake.naps == [0.5] * 3


def test_after_the_deadline_the_last_look_is_returned_as_not_done(fake: FakeClock) -> None:
    assert poll(counting(), lambda _: False, seconds=2, interval=1, clock=fake.clock) == Polled(4, False)
    assert fake.time == 103


def test_a_deadline_of_zero_seconds_still_looks_once(fake: FakeClock) -> None:
    def slow() -> str:
        fake.time += 1
        return ""

    assert poll(slow, seconds=0, clock=fake.clock) == Polled("", False)
    assert fake.naps == []


def test_a_look_that_began_before_the_deadline_counts_after_it(fake: FakeClock) -> None:
    def slow() -> int:
        fake.time += 60
        return 1

    assert poll(slow, seconds=5, clock=fake.clock) == Polled(1, True)


def test_without_a_deadline_it_goes_on_until_it_is_done(fake: FakeClock) -> None:
    assert poll(counting(), lambda n: n == 500, seconds=None, interval=60, clock=fake.clock).value == 500
    assert fake.time == 100 + 499 * 60


def test_an_error_of_a_look_ends_the_poll(fake: FakeClock) -> None:
    def failing() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        poll(failing, seconds=10, clock=fake.clock)


def test_waiting_for_a_condition_says_whether_it_held(fake: FakeClock) -> None:
    number = counting()
    assert wait_until(lambda: number() == 3, 1, 0.1, fake.clock)
    assert not wait_until(lambda: False, 1, 0.1, fake.clock)


def test_a_loop_without_an_end_sleeps_between_its_rounds(fake: FakeClock) -> None:
    assert list(islice(every(2.0, fake.clock), 3)) == [0, 1, 2]
    assert fake.naps == [2.0, 2.0]
