"""Invocations that a function waits for while it holds its own environment.

They may exceed the limit on environments: on AWS each function scales by itself, so a function that invokes another
never waits for its own end: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator

# How many times the limit there may be environments, with those of nested invocations.
FACTOR = 8
# All environments are busy, none has ended an invocation and none has worked for this long (s): they wait for others.
STUCK_SECONDS = 1.0
# Processor time of all of them together in that time that still counts as waiting (s).
_IDLE_CPU = 0.1

_thread = threading.local()


@contextlib.contextmanager
def invoked_by_function() -> Iterator[None]:
    """The calling thread makes an invocation for a function that waits for it."""
    before, _thread.inside = inside(), True
    try:
        yield
    finally:
        _thread.inside = before


def inside() -> bool:
    """Whether the calling thread invokes for a function."""
    return bool(getattr(_thread, "inside", False))


class Progress:
    """Whether busy environments get on. A function may wait for another unseen: by an API, a function URL, a queue."""

    def __init__(self) -> None:
        self.made()

    def made(self) -> None:
        """An invocation has ended."""
        self._since, self._cpu = time.monotonic(), -1.0

    def stuck(self, cpu_seconds: Iterable[float]) -> bool:
        """Whether none has ended and none has worked for long. ``cpu_seconds``: processor time of each one so far."""
        now = time.monotonic()
        if self._cpu >= 0 and now - self._since < STUCK_SECONDS:
            return False
        total = sum(cpu_seconds)
        idle = self._cpu >= 0 and 0 <= total - self._cpu < _IDLE_CPU
        self._since, self._cpu = now, total
        return idle
