"""Metric filters: what they count of new log events.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/API_MetricTransformation.html
"""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sluice_ext.logs.filter_tokens import number_in, number_of
from sluice_ext.logs.filters import InvalidFilter, compile_filter
from sluice_ext.metrics.store import STORE, Metric

LOG = logging.getLogger(__name__)
_LOCK = threading.Lock()
# The last minute in which a metric filter matched or published its default value.
_MINUTES: dict[tuple[str, str, str, str], int] = {}


def publish(backend: Any, group: str, events: Sequence[Mapping[str, Any]]) -> None:
    """Publish what the group's metric filters find in these events: ``message`` and ``timestamp`` (ms)."""
    for one in list(backend.filters.metric_filters):
        if one["logGroupName"] == group and events:
            key = (backend.account_id, backend.region_name, group, one["filterName"])
            try:
                _publish_one(key, one, events)
            except InvalidFilter as error:  # stored by a version that stored anything
                LOG.warning("Metric filter %s counts nothing: %s", one["filterName"], error)


def _publish_one(key: tuple[str, str, str, str], one: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> None:
    wanted = compile_filter(one.get("filterPattern") or "")
    found = [
        (event["timestamp"] / 1000, values) for event in events if (values := wanted(event["message"])) is not None
    ]
    for change in one["metricTransformations"]:
        metric = Metric(key[0], key[1], change["metricNamespace"], change["metricName"])
        unit = change.get("unit")
        for at, values in found:
            for value, dimensions in _data(change, values):
                STORE.add(Metric(*key[:2], metric.namespace, metric.name, dimensions), value, unit, at)
        # "If no matching logs are found in a minute in which logs are ingested, the default value is reported."
        default, minute = change.get("defaultValue"), int(events[-1]["timestamp"]) // 60_000
        with _LOCK:
            quiet = not found and _MINUTES.get(key) != minute
            if found or quiet:
                _MINUTES[key] = minute
        if quiet and default is not None:
            STORE.add(metric, float(default), unit, minute * 60)


def _data(change: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[tuple[float, Any]]:
    """The value and the dimensions of an event, unless the event lacks one of them."""
    text = str(change["metricValue"])
    number = number_in(text)
    if number is None:
        found = values.get(text)
        number = number_in(found) if isinstance(found, str) else number_of(found)
    dimensions = {name: values.get(selector) for name, selector in (change.get("dimensions") or {}).items()}
    if number is not None and all(isinstance(found, (str, int, float)) for found in dimensions.values()):
        yield float(number), tuple(sorted((name, _text(found)) for name, found in dimensions.items()))


def _text(found: Any) -> str:
    return str(found).lower() if isinstance(found, bool) else str(found)
