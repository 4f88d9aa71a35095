"""Metric data that becomes old: it is stored by the minute, and says the same of minutes."""

from __future__ import annotations

import time

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
