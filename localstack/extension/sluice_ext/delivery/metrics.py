"""AWS/Lambda metrics of invocations, counted in memory and published on an interval.

LocalStack makes a CloudWatch call (and a thread) for every invocation, which costs more than the invocation.
"""

import logging
import threading
import time
from collections import Counter

from localstack.aws.connect import connect_to

from sluice_ext import settings

LOG = logging.getLogger(__name__)
_counts: Counter[tuple[str, str, str, str]] = Counter()
_lock = threading.Lock()
_thread: threading.Thread | None = None


def count_invocation(account: str, region: str, function: str, failed: bool) -> None:
    """One invocation of ``function`` ended."""
    _add(account, region, function, "Invocations")
    if failed:
        _add(account, region, function, "Errors")


def count_throttle(account: str, region: str, function: str) -> None:
    """One invocation of ``function`` was refused for lack of concurrency."""
    _add(account, region, function, "Throttles")


def _add(account: str, region: str, function: str, metric: str) -> None:
    global _thread
    with _lock:
        _counts[(account, region, function, metric)] += 1
        if _thread is None:
            _thread = threading.Thread(target=_run, name="lambda-metrics", daemon=True)
            _thread.start()


def _run() -> None:
    while True:
        time.sleep(settings.METRIC_FLUSH_SECONDS)
        flush()


def flush() -> None:
    """Publish what was counted since the last time."""
    with _lock:
        counts = dict(_counts)
        _counts.clear()
    for (account, region, function, metric), value in counts.items():
        try:
            client = connect_to(aws_access_key_id=account, region_name=region).cloudwatch
            datum = {
                "MetricName": metric,
                "Dimensions": [{"Name": "FunctionName", "Value": function}],
                "Value": float(value),
                "Unit": "Count",
            }
            client.put_metric_data(Namespace="AWS/Lambda", MetricData=[datum])
        except Exception as error:  # noqa: BLE001 - one metric must not stop the others
            LOG.warning("Cannot publish %s of %s: %s", metric, function, error)
