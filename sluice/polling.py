"""Polling with a deadline: the one loop for everything that the host tool waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Clock:
    """Where time comes from. Tests replace it; both values are in seconds."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


SYSTEM = Clock(lambda: time.monotonic(), lambda seconds: time.sleep(seconds))

_PART_OF_THE_WAIT = 20
_LONGEST_INTERVAL = 1.0  # seconds


class Polled[T](NamedTuple):
    """What the last look returned, and whether it was what the caller waited for."""

    value: T
    done: bool


def poll[T](
    look: Callable[[], T],
    done: Callable[[T], object] = bool,
    *,
    seconds: float | None,
    interval: float = 0.25,
    clock: Clock = SYSTEM,
) -> Polled[T]:
    """Calls ``look`` every ``interval`` seconds until ``done`` accepts its result, or ``seconds`` have passed.

    It looks at least once, and checks the deadline after each look. Without ``seconds`` it goes on until it is done.
    An error of ``look`` ends the poll. After a long wait it looks less often (`pause`).
    """
    began = clock.now()
    end = None if seconds is None else began + seconds
    while True:
        value = look()
        if done(value):
            return Polled(value, True)
        if end is not None and clock.now() > end:
            return Polled(value, False)
        clock.sleep(pause(clock.now() - began, interval))


def pause(waited: float, interval: float) -> float:
    """Seconds until the next look, after ``waited`` seconds: a twentieth of them, at least ``interval``, at most one.

    Each look takes processor time from what it waits for; this way an answer is late by 5 % at most.
    """
    return max(interval, min(waited / _PART_OF_THE_WAIT, _LONGEST_INTERVAL))


def wait_until(condition: Callable[[], object], seconds: float, interval: float = 0.02, clock: Clock = SYSTEM) -> bool:
    """Polls until the condition holds. Returns False when the time is over."""
    return poll(condition, seconds=seconds, interval=interval, clock=clock).done


def every(interval: float, clock: Clock = SYSTEM) -> Iterator[int]:
    """Numbers from 0 on, ``interval`` seconds apart, for a loop that the user interrupts."""
    number = 0
    while True:
        yield number
        number += 1
        clock.sleep(interval)
