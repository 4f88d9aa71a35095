"""Which idle environments end: those unused for long, and the longest unused when all together are too large.

AWS, too, ends an environment some time after its last invocation and says not when:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Idle[T]:
    """An environment that waits for an event. ``last_used``: clock time of its last end (s); ``memory``: bytes."""

    environment: T
    last_used: float
    memory: int


@dataclass(frozen=True)
class Limits:
    """``seconds``: longest idle time. ``memory``: bytes of all idle ones together; 0 for no limit.

    ``rest``: one that was used within this time (s) does not end for its memory, because the next event is likely.
    """

    seconds: float
    memory: int
    rest: float


def to_end[T](idle: Iterable[Idle[T]], now: float, limits: Limits) -> list[T]:
    """The environments to end, longest unused first."""
    oldest_first = sorted(idle, key=lambda one: one.last_used)
    total = sum(one.memory for one in oldest_first)
    found = []
    for one in oldest_first:
        unused = now - one.last_used
        too_large = bool(limits.memory) and total > limits.memory and unused >= limits.rest
        if unused > limits.seconds or too_large:
            found.append(one.environment)
            total -= one.memory
    return found
