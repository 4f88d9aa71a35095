"""The engine's time for schedules, and what is due in it.

It is the machine's time until it is moved; it is moved forwards only. What came due in between then runs, each time
once and in order, before the move ends. Without a move, what a sleeping machine missed runs once.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

LOG = logging.getLogger(__name__)
_THREADS: Final = 16
# A timer of the system may be set to at most this; then the thread looks again (s).
_LONGEST_WAIT: Final = 3600.0

After = Callable[[datetime], datetime | None]
Call = Callable[[datetime], None]


class Backwards(ValueError):
    """Time does not go back, except to the machine's."""


@dataclass(order=True)
class _Entry:
    due: datetime
    number: int
    key: Hashable = field(compare=False)
    after: After = field(compare=False)
    call: Call = field(compare=False)
    gone: bool = field(compare=False, default=False)


class Clock:
    """Thread-safe. ``machine`` tells the machine's time in seconds."""

    def __init__(self, machine: Callable[[], float] = time.time) -> None:
        self._machine = machine
        self._moved = 0.0
        self._at: datetime | None = None  # during a move: how far it is
        self._changed = threading.Condition()
        self._moving = threading.Lock()
        self._heap: list[_Entry] = []
        self._entries: dict[Hashable, _Entry] = {}
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._stopped = False

    def now(self) -> datetime:
        """The present, in UTC."""
        return self._at or datetime.fromtimestamp(self._machine() + self._moved, UTC)

    @property
    def moved_seconds(self) -> float:
        """How far it is ahead of the machine's time."""
        return self._moved

    # -- entries -------------------------------------------------------------------------------------------------------

    def repeat(self, key: Hashable, after: After, call: Call, since: datetime | None = None) -> datetime | None:
        """Call ``call(due)`` each time that ``after`` gives, from ``since`` (now) on, instead of its former entry.

        Returns the first of these times.
        """
        with self._changed:
            self._remove(key)
            first = after(since or self.now())
            if first is not None:
                self._push(key, first, after, call)
            return first

    def once(self, key: Hashable, due: datetime, call: Call) -> None:
        """Call ``call(due)`` at that time, or at once when it has passed."""
        with self._changed:
            self._remove(key)
            self._push(key, due, lambda _moment: None, call)

    def cancel(self, key: Hashable) -> None:
        """What has this key does not come any more."""
        with self._changed:
            self._remove(key)

    def next(self, key: Hashable) -> datetime | None:
        """When what has this key is due."""
        with self._changed:
            found = self._entries.get(key)
            return found.due if found else None

    def _push(self, key: Hashable, due: datetime, after: After, call: Call) -> None:
        entry = self._entries[key] = _Entry(due, next(self._numbers), key, after, call)
        heapq.heappush(self._heap, entry)
        self._start()
        self._changed.notify_all()

    def _remove(self, key: Hashable) -> None:
        if entry := self._entries.pop(key, None):
            entry.gone = True

    def _due(self, until: datetime, catch_up: bool) -> _Entry | None:
        """Take what is due first, and put it back with its next time; ``catch_up`` leaves out what was missed."""
        while self._heap and (self._heap[0].gone or self._heap[0].due <= until):
            entry = heapq.heappop(self._heap)
            if entry.gone:
                continue
            del self._entries[entry.key]
            following = entry.after(max(entry.due, until) if catch_up else entry.due)
            if following is not None:
                self._push(entry.key, following, entry.after, entry.call)
            return entry
        return None

    # -- time ----------------------------------------------------------------------------------------------------------

    def move(self, to: datetime) -> int:
        """Move the time forwards, and run what comes due on the way. Returns how many calls that were.

        Raises Backwards.
        """
        with self._moving:
            with self._changed:
                if to < self.now():
                    raise Backwards(f"{to.isoformat()} has passed: it is {self.now().isoformat()}")
                self._at = self.now()
            count = 0
            try:
                while entry := self._next_of_move(to):
                    _run(entry)
                    count += 1
            finally:
                with self._changed:
                    self._moved += (to - datetime.fromtimestamp(self._machine() + self._moved, UTC)).total_seconds()
                    self._at = None
                    self._changed.notify_all()
            return count

    def _next_of_move(self, to: datetime) -> _Entry | None:
        with self._changed:
            entry = self._due(to, catch_up=False)
            if entry:
                self._at = max(self._at or entry.due, entry.due)
            return entry

    def reset(self) -> None:
        """Go back to the machine's time. What repeats goes on with its next time after that."""
        with self._moving, self._changed:
            self._moved = 0.0
            for entry in [one for one in self._heap if not one.gone]:
                following = entry.after(self.now())
                if following is not None:
                    self._remove(entry.key)
                    self._push(entry.key, following, entry.after, entry.call)
            self._changed.notify_all()

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._loop, name="schedules", daemon=True)
            self._thread.start()

    def _loop(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                entry = None if self._at else self._due(self.now(), catch_up=True)
                if entry is None:
                    self._changed.wait(self._wait())
                    continue
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(_THREADS, "schedule")
                try:
                    self._pool.submit(_run, entry)
                except RuntimeError:  # the engine stops
                    return

    def _wait(self) -> float | None:
        if self._at or not self._heap:
            return _LONGEST_WAIT
        return min(max((self._heap[0].due - self.now()) / timedelta(seconds=1), 0.001), _LONGEST_WAIT)

    def stop(self) -> None:
        """End the thread; what runs is not waited for."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
        if self._thread:
            self._thread.join(5)


def _run(entry: _Entry) -> None:
    try:
        entry.call(entry.due)
    except Exception:
        LOG.exception("What was due at %s failed", entry.due)


CLOCK = Clock()
