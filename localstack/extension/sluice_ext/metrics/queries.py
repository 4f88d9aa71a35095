"""The values of metric data queries (metrics, and expressions over them) in a time range."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sluice_ext.metrics.expressions import Expression, UnsupportedExpression, Value
from sluice_ext.metrics.store import STORE, metric_of

_MINUTE = 60


class Queries:
    """``MetricDataQueries`` of a request or of an alarm, checked once.

    Raises:
        UnsupportedExpression: an expression is not valid, names a query that does not exist or itself, or uses metrics
            of several periods.
    """

    def __init__(self, account: str, region: str, queries: Sequence[Mapping[str, Any]]) -> None:
        self._account, self._region = account, region
        self._stats = {query["Id"]: query["MetricStat"] for query in queries if query.get("MetricStat")}
        expressions = {q["Id"]: Expression(q["Expression"]) for q in queries if not q.get("MetricStat")}
        self._expressions = _in_order(expressions, set(self._stats))
        self._periods = {name: int(stat["Period"]) for name, stat in self._stats.items() if stat.get("Period")}
        asked = {query["Id"]: query.get("Period") for query in queries}
        for name, expression in self._expressions:
            found = {self._periods[used] for used in expression.names if used in self._periods}
            if len(found) > 1:
                raise UnsupportedExpression(f"{expression.text!r} uses metrics of several periods: {sorted(found)}")
            self._periods[name] = int(next(iter(found), asked[name] or _MINUTE))

    def values(self, start: float, end: float) -> dict[str, Value]:
        """The value of each query, by its id, from ``start`` until before ``end``."""
        values: dict[str, Value] = {}
        for name, stat in self._stats.items():
            metric = metric_of(self._account, self._region, stat["Metric"])
            samples = STORE.samples(metric, start, end, stat.get("Unit"))
            values[name] = samples.statistic(stat["Stat"]) if samples else None
        for name, expression in self._expressions:
            values[name] = expression.value(values)
        return values

    def series(self, start: float, end: float) -> dict[str, dict[int, float]]:
        """For each query its values by the beginnings of its own periods (seconds since 1970), oldest first.

        The first period is the one in which ``start`` is; periods begin at multiples of their length.
        """
        found: dict[str, dict[int, float]] = {}
        first, last = (datetime.fromtimestamp(at, UTC) for at in (start, end))
        for name, stat in self._stats.items():
            answer = STORE.get_metric_data_stat(
                self._account, self._region, {"MetricStat": stat}, first, last, "TimestampAscending"
            )
            found[name] = dict(zip((int(at) for at in answer["timestamps"]), answer["values"], strict=True))
        for name, expression in self._expressions:
            period, used = self._periods[name], {one: found[one] for one in expression.names}
            times = range(int(start) // period * period, int(-(-end // 1)), period)
            values = ((at, expression.value({one: series.get(at) for one, series in used.items()})) for at in times)
            found[name] = {at: value for at, value in values if value is not None}
        return found


def _in_order(expressions: dict[str, Expression], known: set[str]) -> list[tuple[str, Expression]]:
    """The expressions, each after those that it names."""
    for expression in expressions.values():
        if unknown := expression.names - known - expressions.keys():
            raise UnsupportedExpression(f"{expression.text!r} names {', '.join(sorted(unknown))}, not among the ids")
    ordered: list[tuple[str, Expression]] = []
    waiting, ready = dict(expressions), set(known)
    while waiting:
        following = [name for name, expression in waiting.items() if expression.names <= ready]
        if not following:
            raise UnsupportedExpression(f"expressions refer to each other: {', '.join(waiting)}")
        ordered += [(name, waiting.pop(name)) for name in following]
        ready.update(following)
    return ordered
