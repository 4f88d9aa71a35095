"""Pauses the work of the engine, so that its state can be copied as it was at one moment.

Every piece of work that changes state runs inside `Gate.work`. There are two kinds:

- sources begin something new: a call from outside, a batch of a mapping, an asynchronous event, a schedule, a state of
  an execution. They wait as soon as a pause begins.
- the rest follows from a source: a function's own calls, calls between services, notifications. It goes on until
  nothing runs any more or the time for this is over; then it waits, too.

A thread that only waits (for a function's answer, for messages) is not in the way: see `Gate.aside`.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

_OPEN, _DRAINING, _PAUSED = range(3)


class Busy(RuntimeError):
    """Calls did not end in time, so there is no consistent moment. The message names them."""


class Gate:
    """Counts running work and makes new work wait during a pause. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._phase = _OPEN
        self._number = 0
        self._running: dict[int, str] = {}  # work that changes state now
        self._aside: dict[int, str] = {}  # work that waits for a function, and running functions themselves
        self._promised: dict[int, str] = {}  # work that another thread begins soon
        self._local = threading.local()

    @contextlib.contextmanager
    def work(self, label: str, source: bool = False) -> Iterator[None]:
        """Run work; waits during a pause. Work inside of other work of the same thread belongs to that."""
        if getattr(self._local, "inside", False):
            yield
            return
        number = self._begin(label, source)
        self._local.inside, self._local.number, self._local.label = True, number, label
        try:
            yield
        finally:
            self._local.inside = False
            self._end(self._running, number)

    @contextlib.contextmanager
    def aside(self, label: str = "") -> Iterator[None]:
        """Wait for something inside of work. The thread changes nothing meanwhile, and goes on after a pause only.

        With a ``label`` (a function runs), a pause gives it time to end; without one it is not waited for.
        """
        inside = getattr(self._local, "inside", False)
        # Kept here: what is begun meanwhile, a call to another service, is work of its own.
        work = (self._local.number, self._local.label) if inside else None
        with self._changed:
            self._number += 1
            number = self._number
            if label:
                self._aside[number] = label
            if work:
                self._running.pop(work[0], None)
            self._notify()
        self._local.inside = False
        try:
            yield
        finally:
            with self._changed:
                if work:
                    # The rest of a call that has begun may run while others are drained.
                    while self._phase == _PAUSED:
                        self._changed.wait()
                    self._local.number, self._local.label = work
                    self._running[work[0]] = work[1]
                self._aside.pop(number, None)
                self._notify()
            self._local.inside = inside

    def follow_up(self, label: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """``call`` for another thread: a pause waits until it has run."""
        with self._changed:
            self._number += 1
            number = self._number
            self._promised[number] = label

        def run(*args: Any, **kwargs: Any) -> Any:
            with self.work(label):
                self._end(self._promised, number)
                return call(*args, **kwargs)

        return run

    @contextlib.contextmanager
    def exempt(self) -> Iterator[None]:
        """For the thread that copies the state: its own calls do not wait."""
        before = getattr(self._local, "inside", False)
        self._local.inside = True
        try:
            yield
        finally:
            self._local.inside = before

    def pause(self, drain_seconds: float, end_seconds: float, force: bool = False) -> dict[str, Any]:
        """Let running work end, then stop the rest. Returns what still waited for a function, and how long it took.

        Raises:
            Busy: calls still ran after both times (unless ``force``), or another pause did not end in that time.
        """
        began = time.monotonic()
        with self._changed:
            # An engine that has just restored its state answers a moment before its own pause ends.
            self._wait(lambda: self._phase == _OPEN, began + drain_seconds + end_seconds)
            if self._phase != _OPEN:
                raise Busy("the engine is paused already")
            self._phase = _DRAINING
            self._wait(lambda: not (self._running or self._aside or self._promised), began + drain_seconds)
            self._phase = _PAUSED
            self._wait(lambda: not self._running, time.monotonic() + end_seconds)
            if self._running and not force:
                names = ", ".join(sorted(set(self._running.values())))
                self._phase = _OPEN
                self._changed.notify_all()
                raise Busy(f"still running after {time.monotonic() - began:.0f} s: {names}")
            waiting = [*self._aside.values(), *self._promised.values(), *self._running.values()]
        return {"seconds": round(time.monotonic() - began, 3), "interrupted": sorted(waiting)}

    def resume(self) -> bool:
        """End the pause; False when there was none."""
        with self._changed:
            was = self._phase != _OPEN
            self._phase = _OPEN
            self._changed.notify_all()
        return was

    @property
    def paused(self) -> bool:
        return self._phase == _PAUSED

    def _begin(self, label: str, source: bool) -> int:
        with self._changed:
            while self._phase == _PAUSED or (source and self._phase == _DRAINING):
                self._changed.wait()
            self._number += 1
            self._running[self._number] = label
            return self._number

    def _end(self, where: dict[int, str], number: int) -> None:
        with self._changed:
            where.pop(number, None)
            self._notify()

    def _notify(self) -> None:
        if self._phase != _OPEN:
            self._changed.notify_all()

    def _wait(self, done: Callable[[], bool], deadline: float) -> None:
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)


GATE = Gate()
