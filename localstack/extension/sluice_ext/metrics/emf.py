"""Embedded metric format: metrics in the log lines of functions.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from sluice_ext.metrics.store import STORE, Metric

LOG = logging.getLogger(__name__)
Datum = tuple[Metric, float, str | None, float]


def publish(account: str, region: str, lines: Iterable[str]) -> None:
    """Publish every metric in these log lines. As on AWS, a line without a valid embedded metric is only a log line."""
    for line in lines:
        if '"_aws"' in line:
            for metric, value, unit, at in data(account, region, line):
                STORE.add(metric, value, unit, at)


def data(account: str, region: str, line: str) -> Iterator[Datum]:
    """The data of one line: metric, value, unit, and time (seconds since 1970)."""
    try:
        root = json.loads(line)
        head = root["_aws"]
        at = float(head["Timestamp"]) / 1000
        directives = list(head["CloudWatchMetrics"])
        for directive in directives:
            yield from _directive(account, region, root, directive, at)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        LOG.warning("Not an embedded metric (%r): %.300s", error, line)


def _directive(
    account: str, region: str, root: dict[str, Any], directive: dict[str, Any], at: float
) -> Iterator[Datum]:
    for names in directive.get("Dimensions") or [[]]:
        dimensions = tuple(sorted((name, str(root[name])) for name in names))
        for definition in directive["Metrics"]:
            name = definition["Name"]
            found = root.get(name)
            for value in found if isinstance(found, list) else [found]:
                if isinstance(value, int | float) and not isinstance(value, bool):
                    metric = Metric(account, region, directive["Namespace"], name, dimensions)
                    yield metric, float(value), definition.get("Unit"), at
