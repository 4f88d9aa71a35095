"""Metric data in memory, instead of LocalStack's SQLite file.

LocalStack opens and commits that file for every datum, and its search also finds metrics with further dimensions; on
AWS a metric is exactly its namespace, name and dimensions:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Dimension
"""

import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

RETENTION_SECONDS = 3 * 3600  # as long as AWS stores data by the second
BY_SECOND = 15 * 60  # older data is stored by the minute, which is the resolution that AWS has without being asked
_MAX_VALUES = 200  # for each second, for percentiles
_PRUNE_SECONDS = 300
_STATISTIC_VALUES = ("SampleCount", "Sum", "Minimum", "Maximum")
Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Metric:
    """The identity of a metric."""

    account: str
    region: str
    namespace: str
    name: str
    dimensions: Dimensions = ()


@dataclass(slots=True)
class Samples:
    """Statistics of the values that were published for a metric and unit in a time range."""

    count: float = 0
    total: float = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    values: list[float] = field(default_factory=list)

    def add(self, count: float, total: float, minimum: float, maximum: float, values: Iterable[float] = ()) -> None:
        """Add samples."""
        self.count += count
        self.total += total
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)
        if len(self.values) < _MAX_VALUES:
            self.values += values

    def statistic(self, name: str) -> float:
        """Value of a statistic. Raises ValueError if it is not supported."""
        simple = {
            "SampleCount": self.count,
            "Sum": self.total,
            "Average": self.total / self.count if self.count else 0.0,
            "Minimum": self.minimum,
            "Maximum": self.maximum,
        }
        if name in simple:
            return simple[name]
        if name.startswith("p") and name[1:].replace(".", "", 1).isdigit() and self.values:
            rank = math.ceil(float(name[1:]) / 100 * len(self.values))
            return sorted(self.values)[max(0, rank - 1)]
        raise ValueError(f"statistic {name} is not supported")


def _to_minutes(seconds: dict[int, dict[str | None, Samples]], before: float) -> None:
    """Adds up the data of whole minutes that ended before a time, at the minute's first second."""
    for second in [second for second in seconds if second % 60 and second // 60 * 60 + 60 <= before]:
        minute = seconds.setdefault(second // 60 * 60, {})
        for unit, some in seconds.pop(second).items():
            minute.setdefault(unit, Samples()).add(some.count, some.total, some.minimum, some.maximum, some.values)


class MetricStore:
    """All metrics by the second. It has the methods of LocalStack's `CloudwatchDatabase`, which it replaces."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._series: dict[Metric, dict[int, dict[str | None, Samples]]] = defaultdict(lambda: defaultdict(dict))
        self._pruned = time.monotonic()

    def add(
        self, metric: Metric, value: float, unit: str | None = None, at: float | None = None, count: int = 1
    ) -> None:
        """Add ``value``, ``count`` times. ``at``: seconds since 1970, None for now."""
        self.add_samples(metric, unit, at, count, value * count, value, value, [value] * min(count, _MAX_VALUES))

    def add_samples(
        self,
        metric: Metric,
        unit: str | None,
        at: float | None,
        count: float,
        total: float,
        minimum: float,
        maximum: float,
        values: Iterable[float] = (),
    ) -> None:
        """Add a set of samples."""
        with self._lock:
            units = self._series[metric][int(time.time() if at is None else at)]
            if unit not in units:
                units[unit] = Samples()
            units[unit].add(count, total, minimum, maximum, values)
            if time.monotonic() - self._pruned > _PRUNE_SECONDS:
                self._prune()

    def samples(self, metric: Metric, start: float, end: float, unit: str | None = None) -> Samples | None:
        """All samples of a metric from ``start`` until before ``end``; None when there are none."""
        found = Samples()
        wanted = range(math.ceil(start), math.ceil(end))
        with self._lock:
            series = self._series.get(metric, {})
            # Every invocation needs this lock, so an alarm visits only its minute, not all three hours.
            for second in wanted if len(wanted) < len(series) else [at for at in series if at in wanted]:
                for name, some in series.get(second, {}).items():
                    if unit is None or unit == (name or "NULL_VALUE"):
                        found.add(some.count, some.total, some.minimum, some.maximum, some.values)
        return found if found.count else None

    def dump(self) -> list[tuple[Metric, int, str | None, Samples]]:
        """Everything, for a saved state."""
        with self._lock:
            return [
                (metric, second, unit, Samples(some.count, some.total, some.minimum, some.maximum, list(some.values)))
                for metric, seconds in self._series.items()
                for second, units in seconds.items()
                for unit, some in units.items()
            ]

    def load(self, saved: Iterable[tuple[Metric, int, str | None, Samples]]) -> None:
        """Restore what `dump` returned."""
        with self._lock:
            for metric, second, unit, some in saved:
                self._series[metric][second][unit] = some
            self._prune()

    def _prune(self) -> None:
        self._pruned = time.monotonic()
        oldest = time.time() - RETENTION_SECONDS
        for metric, seconds in list(self._series.items()):
            for second in [second for second in seconds if second < oldest]:
                del seconds[second]
            if not seconds:
                del self._series[metric]
            _to_minutes(seconds, time.time() - BY_SECOND)

    # The interface of LocalStack's CloudwatchDatabase

    def add_metric_data(self, account_id: str, region: str, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        """Store the data of a PutMetricData call."""
        for datum in metric_data:
            metric = Metric(account_id, region, namespace, datum["MetricName"], dimensions_of(datum.get("Dimensions")))
            unit, at = datum.get("Unit"), _seconds(datum.get("Timestamp"))
            if datum.get("Value") is not None:
                self.add(metric, float(datum["Value"]), unit, at)
            values = datum.get("Values") or []
            for value, count in zip(values, datum.get("Counts") or [1] * len(values), strict=True):
                self.add(metric, float(value), unit, at, int(count))
            if found := datum.get("StatisticValues"):
                count, total, minimum, maximum = (float(found[name]) for name in _STATISTIC_VALUES)
                self.add_samples(metric, unit, at, count, total, minimum, maximum)

    def get_metric_data_stat(
        self,
        account_id: str,
        region: str,
        query: Mapping[str, Any],
        start_time: datetime,
        end_time: datetime,
        scan_by: str | None,
    ) -> dict[str, list[float]]:
        """The statistic of every period that has data; a period begins at a multiple of its length."""
        stat = query["MetricStat"]
        metric, period = metric_of(account_id, region, stat["Metric"]), int(stat["Period"])
        periods: dict[int, Samples] = defaultdict(Samples)
        begin, end = int(start_time.timestamp()) // period * period, end_time.timestamp()
        with self._lock:
            for second, units in self._series.get(metric, {}).items():
                if begin <= second < end:
                    for unit, some in units.items():
                        if stat.get("Unit") in (None, unit or "NULL_VALUE"):
                            at = second // period * period
                            periods[at].add(some.count, some.total, some.minimum, some.maximum, some.values)
        times = sorted(periods, reverse=scan_by in (None, "TimestampDescending"))
        return {"timestamps": list(times), "values": [periods[at].statistic(stat["Stat"]) for at in times]}

    def get_units_for_metric_data_stat(
        self, account_id: str, region: str, start_time: datetime, end_time: datetime, metric_name: str, namespace: str
    ) -> list[str]:
        """The units that a metric was published in."""
        begin, end = start_time.timestamp(), end_time.timestamp()
        wanted = (account_id, region, namespace, metric_name)
        with self._lock:
            found = {
                unit or "NULL_VALUE"
                for metric, seconds in self._series.items()
                if (metric.account, metric.region, metric.namespace, metric.name) == wanted
                for second, units in seconds.items()
                if begin <= second < end
                for unit in units
            }
        return sorted(found) or ["NULL_VALUE"]

    def list_metrics(
        self, account_id: str, region: str, namespace: str, metric_name: str, dimensions: list[dict[str, str]]
    ) -> dict[str, Any]:
        """Metrics that have all of the given dimensions (a filter without a value takes any)."""
        with self._lock:
            known = list(self._series)
        found = [
            {
                "metric_name": metric.name,
                "namespace": metric.namespace,
                "dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
            }
            for metric in known
            if (metric.account, metric.region) == (account_id, region)
            and namespace in (None, metric.namespace)
            and metric_name in (None, metric.name)
            and all(
                any(name == d["Name"] and d.get("Value") in (None, value) for name, value in metric.dimensions)
                for d in dimensions
            )
        ]
        return {"metrics": found}

    def get_all_metric_data(self) -> list[dict[str, Any]]:
        """For LocalStack's own diagnosis route, which is not supported."""
        return []

    def clear_tables(self) -> None:
        """Remove all data."""
        with self._lock:
            self._series.clear()


def metric_of(account: str, region: str, metric: Mapping[str, Any]) -> Metric:
    """The metric that the ``Metric`` of a request names."""
    name, namespace = metric["MetricName"], metric.get("Namespace") or ""
    return Metric(account, region, namespace, name, dimensions_of(metric.get("Dimensions")))


def dimensions_of(listed: Iterable[Mapping[str, str]] | None) -> Dimensions:
    """The dimensions of a request, sorted by name."""
    return tuple(sorted((entry["Name"], entry["Value"]) for entry in listed or ()))


def _seconds(at: Any) -> float | None:
    if at is None:
        return None
    return at.timestamp() if isinstance(at, datetime) else float(at)


STORE = MetricStore()
