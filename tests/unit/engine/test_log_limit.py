"""How much of the logs stays in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.logs.limit import EVENT_BYTES, Limit


@dataclass
class Stream:
    events: list[int] = field(default_factory=list)


def test_the_oldest_events_of_all_streams_go_first() -> None:
    limit, one, other = Limit(3 * (EVENT_BYTES + 10)), Stream(), Stream()
    for number, stream in enumerate((one, other, one, other)):
        stream.events.append(number)
        limit.added(stream, 1, 10)
    assert (one.events, other.events) == ([2], [1, 3])


def test_the_newest_batch_stays_however_large_it_is() -> None:
    limit, stream = Limit(10), Stream([1, 2])
    limit.added(stream, 2, 100_000)
    assert stream.events == [1, 2]
    stream.events += [3]
    limit.added(stream, 1, 1)
    assert stream.events == [3]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5), st.integers(0, 2_000)), max_size=40))
def test_what_is_left_is_the_newest_and_fits(batches: list[tuple[int, int, int]]) -> None:
    limit_bytes = 5_000
    limit, streams, written = Limit(limit_bytes), [Stream(), Stream(), Stream()], []
    for number, (place, count, size) in enumerate(batches):
        streams[place].events += [number] * count
        limit.added(streams[place], count, size)
        written.append((number, count, size + count * EVENT_BYTES))
    left = {number for stream in streams for number in stream.events}
    assert left == set(range(len(batches) - len(left), len(batches)))
    assert len(left) <= 1 or sum(size for number, _, size in written if number in left) <= limit_bytes
