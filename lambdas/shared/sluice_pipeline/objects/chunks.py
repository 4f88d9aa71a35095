"""Cutting an object into byte ranges so that each line belongs to exactly one of them.

A chunk owns the lines that *begin* in its range [start, end). So its reader looks one byte back (a line begins at
``start`` only when a newline stands right before it) and reads past ``end`` to the end of its last line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sluice_pipeline.objects.failures import Failure, ObjectFailed

READ_AHEAD: Final = 64 * 1024  # bytes past the end that a first read takes along: most last lines end within them
MAX_LINE_BYTES: Final = 64 * 1024 * 1024
NEWLINE: Final = b"\n"

ReadRange = Callable[[int, int], bytes]
"""``read(start, end)``: the object's bytes [start, end)."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines that begin in bytes [start, end) of the object; ``index`` of ``count`` chunks."""

    index: int
    start: int
    end: int
    count: int


def split(size: int, chunk_bytes: int) -> list[Chunk]:
    """Cuts ``size`` bytes into equal ranges of at most ``chunk_bytes``; an empty object is one empty chunk."""
    count = max(1, -(-size // chunk_bytes))
    edges = [size * i // count for i in range(count + 1)]
    return [Chunk(i, edges[i], edges[i + 1], count) for i in range(count)]


def read_owned(read: ReadRange, chunk: Chunk, size: int) -> tuple[int, bytes]:
    """The bytes of the lines that begin in the chunk, and the offset in the object at which they begin.

    Raises:
        ObjectFailed: the chunk's last line is longer than MAX_LINE_BYTES.
    """
    look_back = 1 if chunk.start else 0
    begin = chunk.start - look_back
    limit = min(size, chunk.end + READ_AHEAD)
    data = read(begin, limit)
    first = _first_line(data, look_back)
    if first is None or begin + first >= chunk.end:
        return chunk.end, b""  # no line begins here: one long line of an earlier chunk runs through or ends here
    # the last line is the one that holds byte end-1; it ends at the first newline from there on
    stop = data.find(NEWLINE, chunk.end - 1 - begin)
    parts = [data]
    while stop < 0 and limit < size:
        if limit - chunk.end > MAX_LINE_BYTES:
            raise ObjectFailed(Failure.LINE_TOO_LONG, f"no newline in {MAX_LINE_BYTES} bytes after byte {chunk.end}")
        more = read(limit, min(size, limit * 2 - chunk.end))
        found = more.find(NEWLINE)
        if found >= 0:
            stop = limit - begin + found
        parts.append(more)
        limit += len(more)
    whole = b"".join(parts) if len(parts) > 1 else data
    return begin + first, whole[first : stop + 1] if stop >= 0 else whole[first:]


def _first_line(data: bytes, look_back: int) -> int | None:
    """Where in ``data`` the first line begins; None when a line of an earlier chunk covers all of it."""
    if not look_back:
        return 0
    newline = data.find(NEWLINE)
    return None if newline < 0 else newline + 1
