"""Whatever the file and the chunk size, each line belongs to exactly one chunk."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_pipeline.objects import chunks
from sluice_pipeline.objects.chunks import read_owned, split
from sluice_pipeline.objects.failures import Failure, ObjectFailed

lines = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=30)


def read_all(data: bytes, chunk_bytes: int) -> list[tuple[int, bytes]]:
    def read(start: int, end: int) -> bytes:
        assert 0 <= start <= end <= len(data), "a read outside of the object"
        return data[start:end]

    return [read_owned(read, chunk, len(data)) for chunk in split(len(data), chunk_bytes)]


@given(size=st.integers(0, 10_000), chunk_bytes=st.integers(1, 3_000))
def test_ranges_cover_the_object_without_gap_or_overlap(size: int, chunk_bytes: int) -> None:
    parts = split(size, chunk_bytes)
    assert parts[0].start == 0
    assert parts[-1].end == size
    assert all(left.end == right.start for left, right in pairwise(parts))
    assert all(part.end - part.start <= chunk_bytes for part in parts)
    assert [part.index for part in parts] == list(range(parts[0].count))


@given(lines=lines, last_newline=st.booleans(), chunk_bytes=st.integers(1, 200), ahead=st.integers(1, 64))
def test_each_line_belongs_to_exactly_one_chunk(
    lines: list[bytes], last_newline: bool, chunk_bytes: int, ahead: int
) -> None:
    data = b"\n".join(lines) + (b"\n" if last_newline and lines else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "READ_AHEAD", ahead)
        owned = read_all(data, chunk_bytes)
    assert b"".join(part for _, part in owned) == data
    for begin, part in owned:
        if part:
            assert data[begin : begin + len(part)] == part
            assert begin == 0 or data[begin - 1 : begin] == b"\n"


def test_a_line_longer_than_several_chunks_belongs_to_the_chunk_it_begins_in() -> None:
    data = b"a\n" + b"x" * 100 + b"\nb\n"
    owned = read_all(data, 10)
    assert [part for _, part in owned if part] == [b"a\n" + b"x" * 100 + b"\n", b"b\n"]


def test_a_line_without_end_fails_the_object_instead_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(chunks, "READ_AHEAD", 10)
    with pytest.raises(ObjectFailed) as failed:
        read_all(b"x" * 100_000, 1000)
    assert failed.value.code == Failure.LINE_TOO_LONG
