"""Answers that are kept: in DynamoDB until they expire, and in the environment's memory for at most a minute of that.

https://docs.aws.amazon.com/lambda/latest/dg/best-practices.html
"""

from __future__ import annotations

import time
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.answers import Result
from api.queries.result_cache import MEMORY_SECONDS, Remembered, ResultCache
from sluice_pipeline.dynamo.table import Table


class Items:
    """A table of answers that counts its reads."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.reads = 0

    def get(self, pk: str, _sk: str) -> dict[str, Any] | None:
        self.reads += 1
        return self.items.get(pk)

    def put_all(self, items: list[dict[str, Any]]) -> None:
        self.items |= {item["pk"]: item for item in items}


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moment = [1_000_000.0]
    monkeypatch.setattr(time, "time", lambda: moment[0])
    return moment


@pytest.mark.parametrize(
    ("ttl", "after", "reads", "found"),
    [
        (300, 0, 1, True),
        (300, MEMORY_SECONDS - 1, 1, True),
        (300, MEMORY_SECONDS, 2, True),  # read again
        (10, 9, 1, True),
        (10, 10, 2, False),  # expired, in memory and in the table
    ],
)
def test_an_answer_that_was_read_is_remembered_until_it_expires_and_for_a_minute_at_most(
    now: list[float], ttl: int, after: float, reads: int, found: bool
) -> None:
    items = Items()
    cache = ResultCache(cast(Table, items), ttl)
    cache.put("key", Result("[1]", 1))
    assert cache.get("key") == Result("[1]", 1, cached=True)
    now[0] += after
    assert cache.get("key") == (Result("[1]", 1, cached=True) if found else None)
    assert items.reads == reads


def test_without_a_time_to_live_nothing_is_kept(now: list[float]) -> None:
    items = Items()
    cache = ResultCache(cast(Table, items), 0)
    cache.put("key", Result("[1]", 1))
    assert now
    assert (cache.get("key"), items.items, items.reads) == (None, {}, 0)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 12), st.integers(0, 9)), max_size=40))
def test_memory_holds_the_newest_answers_within_its_bound(puts: list[tuple[str, int, int]]) -> None:
    remembered, newest = Remembered(20), dict[str, tuple[str, int]]()
    for key, size, until in puts:
        newest.pop(key, None)
        newest[key] = "x" * size, until
        remembered.put(key, Result("x" * size, 1), float(until))
    found = {key: remembered.get(key, 5.0) for key in newest}
    assert sum(len(result.data) for result in found.values() if result) <= 20
    for key, result in found.items():
        data, until = newest[key]
        assert result is None or (result.data, until > 5) == (data, True)
    if newest:
        data, until = newest[last := next(reversed(newest))]
        assert found[last] == (Result(data, 1) if until > 5 else None)  # no answer here is larger than the memory
