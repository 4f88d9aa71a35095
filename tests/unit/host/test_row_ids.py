"""Ids of rows chunk by chunk, against all of them at once."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.pipeline.row_ids import RowIds

OBJECT = "0" * 32
IDS = st.one_of(
    st.integers(0, 30).map(lambda number: f"{OBJECT}-{number}"),
    st.sampled_from([f"{OBJECT}-", f"{OBJECT}-x", f"{OBJECT}-007", "1" * 32 + "-3", ""]),
)
CHUNKS = st.lists(st.lists(st.lists(IDS, max_size=5), max_size=3), max_size=4)
"""Chunks of files of rows."""


def found(chunks: list[list[list[str]]]) -> RowIds:
    ids = RowIds(OBJECT)
    for files in chunks:
        ids.add(pa.array(file, pa.string()) for file in files)
    return ids


@given(CHUNKS)
def test_where_it_is_certain_nothing_is_doubled_across_chunks(chunks: list[list[list[str]]]) -> None:
    whole = [[name for files in chunks for file in files for name in file]]
    counts = Counter(whole[0])
    by_chunk = found(chunks)
    together = found([whole])
    doubled = len(whole[0]) - len(counts)
    foreign = sum(not name.startswith(f"{OBJECT}-") for name in whole[0])
    assert (together._doubled, together._foreign) == (doubled, foreign)
    assert bool(list(together.problems())) == bool(doubled or foreign)
    if by_chunk.certain:
        assert (by_chunk._doubled, by_chunk._foreign) == (doubled, foreign)
        assert not doubled or counts[by_chunk._first] > 1


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.randoms())
def test_chunks_of_ranges_one_after_the_other_are_certain_in_any_order(sizes: list[int], rng: object) -> None:
    """As transform writes them: a row's offset is in its chunk's range."""
    chunks, start = [], 0
    for size in sizes:
        chunks.append([[f"{OBJECT}-{number}" for number in range(start, start + size)]])
        start += size
    rng.shuffle(chunks)  # type: ignore[attr-defined]
    assert found(chunks).certain
    assert not list(found(chunks).problems())


@pytest.mark.parametrize("second", [[f"{OBJECT}-5"], [f"{OBJECT}-9", f"{OBJECT}-3"], ["other"], [f"{OBJECT}-x"]])
def test_chunks_that_may_have_a_row_in_common_are_not_certain(second: list[str]) -> None:
    assert not found([[[f"{OBJECT}-0", f"{OBJECT}-5"]], [second]]).certain
