"""The values of metric data queries (metrics, and expressions over them) in a time range."""

from collections.abc import Mapping, Sequence
from typing import Any

from sluice_ext.metrics.expressions import Expression, UnsupportedExpression, Value
from sluice_ext.metrics.store import STORE, metric_of


class Queries:
    """``MetricDataQueries`` of a request or of an alarm, checked once.

    Raises:
        UnsupportedExpression: an expression is not valid, or names a query that does not exist.
    """

    def __init__(self, account: str, region: str, queries: Sequence[Mapping[str, Any]]) -> None:
        self._account, self._region = account, region
        self._stats = {query["Id"]: query["MetricStat"] for query in queries if query.get("MetricStat")}
        self._expressions = {q["Id"]: Expression(q["Expression"]) for q in queries if not q.get("MetricStat")}
        known = self._stats.keys() | self._expressions.keys()
        for expression in self._expressions.values():
            if unknown := expression.names - known:
                raise UnsupportedExpression(
                    f"{expression.text!r} names {', '.join(sorted(unknown))}, not among the ids"
                )

    def values(self, start: float, end: float) -> dict[str, Value]:
        """The value of each query, by its id, from ``start`` until before ``end``."""
        values: dict[str, Value] = {}
        for name, stat in self._stats.items():
            metric = metric_of(self._account, self._region, stat["Metric"])
            samples = STORE.samples(metric, start, end, stat.get("Unit"))
            values[name] = samples.statistic(stat["Stat"]) if samples else None
        waiting = dict(self._expressions)
        while waiting:
            ready = [name for name, expression in waiting.items() if expression.names <= values.keys()]
            if not ready:
                raise UnsupportedExpression(f"expressions refer to each other: {', '.join(waiting)}")
            for name in ready:
                values[name] = waiting.pop(name).value(values)
        return values
