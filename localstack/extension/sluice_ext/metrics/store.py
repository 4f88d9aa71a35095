"""Metric data in memory, instead of LocalStack's SQLite file.

LocalStack opens and commits that file for every datum, and its search also finds metrics with further dimensions; on
AWS a metric is exactly its namespace, name and dimensions:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Dimension
"""

import math
import sys
import threading
import time
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    """Statistics of the values that were published for a metric and unit in a time range.

    ``values`` (for percentiles) is None when all of them are the minimum. So are those of nearly every second: a queue
    stays empty, a function is called once. A list for each would be a third of the store.
    """

    count: float = 0
    total: float = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    values: array[float] | list[float] | None = None

    def add(
        self, count: float, total: float, minimum: float, maximum: float, values: Iterable[float] | None = None
    ) -> None:
        """Add samples. ``values``: those that are known; None: all are ``minimum``."""
        if values is not None or self.values is not None or (self.count and self.minimum != minimum):
            if self.values is None:
                self.values = array("d", self.listed())
            if len(self.values) < _MAX_VALUES:
                self.values.extend(Samples(count, minimum=minimum).listed() if values is None else values)
        self.count += count
        self.total += total
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)

    def merge(self, other: "Samples") -> None:
        """Add the samples of another range."""
        self.add(other.count, other.total, other.minimum, other.maximum, other.values)

    def listed(self) -> Sequence[float]:
        """The values, as far as they are known."""
        return [self.minimum] * min(int(self.count), _MAX_VALUES) if self.values is None else self.values

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
        if name.startswith("p") and name[1:].replace(".", "", 1).isdigit() and (known := self.listed()):
            rank = math.ceil(float(name[1:]) / 100 * len(known))
            return sorted(known)[max(0, rank - 1)]
        raise ValueError(f"statistic {name} is not supported")


type _Seconds = dict[int, Samples]
type _Units = dict[str | None, _Seconds]


def _to_minutes(seconds: _Seconds, before: float) -> None:
    """Adds up the data of whole minutes that ended before a time, at the minute's first second."""
    for second in [second for second in seconds if second % 60 and second // 60 * 60 + 60 <= before]:
        seconds.setdefault(second // 60 * 60, Samples()).merge(seconds.pop(second))


def _of_unit(units: _Units, wanted: str | None) -> Iterator[_Seconds]:
    """The data in a unit; None: in each."""
    return (seconds for unit, seconds in units.items() if wanted is None or wanted == (unit or "NULL_VALUE"))


class MetricStore:
    """All metrics by the second. It has the methods of LocalStack's `CloudwatchDatabase`, which it replaces."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._series: dict[Metric, _Units] = defaultdict(dict)
        self._pruned = time.monotonic()

    def add(
        self, metric: Metric, value: float, unit: str | None = None, at: float | None = None, count: int = 1
    ) -> None:
        """Add ``value``, ``count`` times. ``at``: seconds since 1970, None for now."""
        self.add_samples(metric, unit, at, count, value * count, value, value, None)

    def add_samples(
        self,
        metric: Metric,
        unit: str | None,
        at: float | None,
        count: float,
        total: float,
        minimum: float,
        maximum: float,
        values: Iterable[float] | None = (),
    ) -> None:
        """Add a set of samples. ``values``: see `Samples.add`."""
        with self._lock:
            units = self._series[metric]
            seconds = units.get(unit)
            if seconds is None:
                # Each request and log line has a text of its own.
                seconds = units[sys.intern(unit) if unit else unit] = {}
            second = int(time.time() if at is None else at)
            if second not in seconds:
                seconds[second] = Samples()
            seconds[second].add(count, total, minimum, maximum, values)
            if time.monotonic() - self._pruned > _PRUNE_SECONDS:
                self._prune()

    def samples(self, metric: Metric, start: float, end: float, unit: str | None = None) -> Samples | None:
        """All samples of a metric from ``start`` until before ``end``; None when there are none."""
        found = Samples()
        wanted = range(math.ceil(start), math.ceil(end))
        with self._lock:
            for series in _of_unit(self._series.get(metric, {}), unit):
                # Every invocation needs this lock, so an alarm visits only its minute, not all three hours.
                for second in wanted if len(wanted) < len(series) else [at for at in series if at in wanted]:
                    if some := series.get(second):
                        found.merge(some)
        return found if found.count else None

    def dump(self) -> list[tuple[Metric, int, str | None, Samples]]:
        """Everything, for a saved state; there every value is listed."""
        with self._lock:
            return [
                (metric, second, unit, replace(some, values=list(some.listed())))
                for metric, units in self._series.items()
                for unit, seconds in units.items()
                for second, some in seconds.items()
            ]

    def load(self, saved: Iterable[tuple[Metric, int, str | None, Samples]]) -> None:
        """Restore what `dump` returned."""
        with self._lock:
            for metric, second, unit, some in saved:
                equal = len(some.values or ()) == min(some.count, _MAX_VALUES) and some.minimum == some.maximum
                values = None if equal else array("d", some.values or ())
                self._series[metric].setdefault(unit, {})[second] = replace(some, values=values)
            self._prune()

    def _prune(self) -> None:
        self._pruned = time.monotonic()
        oldest = time.time() - RETENTION_SECONDS
        for metric, units in list(self._series.items()):
            for unit, seconds in list(units.items()):
                for second in [second for second in seconds if second < oldest]:
                    del seconds[second]
                if not seconds:
                    del units[unit]
                _to_minutes(seconds, time.time() - BY_SECOND)
            if not units:
                del self._series[metric]

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
            for seconds in _of_unit(self._series.get(metric, {}), stat.get("Unit")):
                for second, some in seconds.items():
                    if begin <= second < end:
                        periods[second // period * period].merge(some)
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
                for metric, units in self._series.items()
                if (metric.account, metric.region, metric.namespace, metric.name) == wanted
                for unit, seconds in units.items()
                if any(begin <= second < end for second in seconds)
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
