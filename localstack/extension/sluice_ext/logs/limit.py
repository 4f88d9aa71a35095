"""How much of the functions' logs is in memory: the newest lines. AWS stores them as long as the retention says."""

from collections import deque
from typing import Any, Protocol

EVENT_BYTES = 250
"""What an event takes beside its text: the object, its id and times."""


class Stream(Protocol):
    """A log stream of moto; its events are in the order in which they came."""

    events: list[Any]


class Limit:
    """Removes the oldest events of all streams when all together take more than so many bytes. Not thread-safe."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._total = 0
        self._batches: deque[tuple[Stream, int, int]] = deque()

    def added(self, stream: Stream, events: int, text_bytes: int) -> None:
        """So many events were appended to a stream. The newest batch stays, however large."""
        size = text_bytes + events * EVENT_BYTES
        self._batches.append((stream, events, size))
        self._total += size
        while self._total > self._most and len(self._batches) > 1:
            oldest, count, freed = self._batches.popleft()
            del oldest.events[:count]
            self._total -= freed
