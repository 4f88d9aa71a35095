"""Metric data that becomes old: it is stored by the minute, and says the same of minutes."""

from __future__ import annotations

import gc
import math
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.metrics.store import BY_SECOND, Metric, MetricStore

METRIC = Metric("000000000000", "us-east-1", "N", "m")


def test_old_data_is_by_the_minute_and_minutes_have_the_same_statistics() -> None:
    store = MetricStore()
    now = time.time()
    minute = (int(now) - BY_SECOND) // 60 * 60 - 120
    given = [(minute + second, float(second)) for second in (0, 1, 30, 59, 60, 119)]
    for at, value in given:
        store.add(METRIC, value, "Count", at)
        store.add(METRIC, -value, None, at)
    recent = [now - 30, now - 20]
    for at in recent:
        store.add(METRIC, 7.0, "Count", at)
    names = ("SampleCount", "Sum", "Minimum", "Maximum", "p50")

    def statistics() -> list[list[float]]:
        found = [store.samples(METRIC, minute + n, minute + n + 60, unit) for n in (0, 60) for unit in ("Count", None)]
        return [[one.statistic(name) for name in names] for one in found if one]

    before = statistics()
    assert len(before) == 4
    store._prune()
    assert statistics() == before
    held = sorted(second for _, second, unit, _ in store.dump() if unit == "Count")
    assert held == [minute, minute + 60, *sorted(int(at) for at in recent)]
    store._prune()
    assert statistics() == before


def _bytes_of(store: MetricStore) -> int:
    """What is stored beside the series' names. Compared, not measured: the interpreter's sizes differ."""
    found, seen = 0, set[int]()
    waiting: list[object] = list(store._series.values())
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        found += sys.getsizeof(one)
        waiting += gc.get_referents(one)
    return found


def test_a_second_of_equal_values_takes_little_memory() -> None:
    """A queue's depth every five seconds, a function's call in each: that is what an engine stores for hours."""
    store = MetricStore()
    begin = int(time.time()) - 600
    for second in range(500):
        store.add(METRIC, 7.0 if second % 2 else 0.0, "".join(["Co", "unt"]), begin + second)
    assert _bytes_of(store) / 500 < 260


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(1, 8)), min_size=1, max_size=12), st.integers(0, 12))
def test_statistics_are_those_of_all_values(given_values: list[tuple[int, int]], cut: int) -> None:
    """Whether the values are equal or not, and added to one second or to two that are added up afterwards."""
    store, at = MetricStore(), int(time.time()) - 30
    expected = sorted(value for value, count in given_values for _ in range(count))
    for number, (value, count) in enumerate(given_values):
        store.add(METRIC, value, "Count", at + (number >= cut), count)
    found = store.samples(METRIC, at, at + 2)
    assert found
    assert found.statistic("SampleCount") == len(expected)
    assert found.statistic("Sum") == sum(expected)
    assert found.statistic("Minimum") == expected[0]
    assert found.statistic("Maximum") == expected[-1]
    assert found.statistic("p50") == expected[math.ceil(len(expected) / 2) - 1]


def test_a_statistic_set_has_no_percentiles() -> None:
    """Nor has one to which values are added whose number is not known.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
    """
    store, at = MetricStore(), int(time.time()) - 30
    store.add_samples(METRIC, "Count", at, 3, 6, 2, 2)
    found = store.samples(METRIC, at, at + 1)
    assert found
    assert found.statistic("Average") == 2
    with pytest.raises(ValueError, match="p50"):
        found.statistic("p50")


def test_what_is_dumped_does_not_change_afterwards() -> None:
    store, at = MetricStore(), int(time.time()) - 30
    for value in (1.0, 2.0):
        store.add(METRIC, value, "Count", at)
    saved = store.dump()
    store.add(METRIC, 9.0, "Count", at)
    other = MetricStore()
    other.load(saved)
    found = other.samples(METRIC, at, at + 1)
    assert found
    assert [found.statistic(name) for name in ("SampleCount", "Maximum", "p100")] == [2, 2, 2]


def test_a_restored_store_is_as_small_as_the_saved_one() -> None:
    store, other = MetricStore(), MetricStore()
    for second in range(300):
        store.add(METRIC, 0.0, "Count", int(time.time()) - 400 + second)
    other.load(store.dump())
    assert _bytes_of(other) < 1.1 * _bytes_of(store)
    assert other.dump() == store.dump()
