"""AWS/Lambda metrics of every invocation.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

import re

from sluice_ext.metrics.store import STORE, Metric

_DURATION = re.compile(r"\tDuration: ([\d.]+) ms")


def count_invocation(account: str, region: str, function: str, failed: bool, log: str) -> None:
    """One invocation of ``function`` ended; its duration is in the REPORT line of its log."""
    _add(account, region, function, "Invocations", 1)
    _add(account, region, function, "Errors", int(failed))
    if duration := _DURATION.search(log, max(0, log.rfind("REPORT RequestId:"))):
        _add(account, region, function, "Duration", float(duration[1]), "Milliseconds")


def count_throttle(account: str, region: str, function: str) -> None:
    """One invocation of ``function`` was throttled."""
    _add(account, region, function, "Throttles", 1)


def _add(account: str, region: str, function: str, name: str, value: float, unit: str = "Count") -> None:
    STORE.add(Metric(account, region, "AWS/Lambda", name, (("FunctionName", function),)), value, unit)
