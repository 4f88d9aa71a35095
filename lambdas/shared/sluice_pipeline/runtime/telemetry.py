"""Metrics as log lines, traces when tracing is on, and one correlation id for logs and traces.

Settings are Powertools' own: POWERTOOLS_SERVICE_NAME, POWERTOOLS_METRICS_NAMESPACE, POWERTOOLS_TRACE_DISABLED.
https://docs.powertools.aws.dev/lambda/python/latest/core/metrics/
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

TRACING: Final = os.environ.get("POWERTOOLS_TRACE_DISABLED", "true").lower() in ("false", "0")
_UNITS: Final = {"Seconds": MetricUnit.Seconds, "Latency": MetricUnit.Milliseconds}
_tracer: Any = None
if TRACING:  # the X-Ray SDK alone costs a tenth of a second of a cold start
    from aws_lambda_powertools import Tracer

    _tracer = Tracer(patch_modules=["botocore"])


def measure(dataset: str = "", **values: float) -> None:
    """Publishes metrics of this service, and again of this service and dataset when one is given.

    Names that end in Seconds are times, in Latency times in milliseconds, all others counts.
    """
    metrics = EphemeralMetrics()
    for name, value in values.items():
        unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), MetricUnit.Count)
        metrics.add_metric(name=name, unit=unit, value=value)
    if dataset:
        metrics.add_dimensions(service=os.environ["POWERTOOLS_SERVICE_NAME"], dataset=dataset)
    metrics.flush_metrics()


def correlate(logger: Logger, object_id: str) -> None:
    """Everything logged or traced from here on is about this object."""
    logger.append_keys(correlation_id=object_id)
    if TRACING:
        _tracer.put_annotation("object_id", object_id)


def traced[**P, R](handler: Callable[P, R]) -> Callable[P, R]:
    """The handler with an X-Ray subsegment of its own, and of every AWS call in it; itself when tracing is off."""
    if not TRACING:
        return handler
    wrapped: Callable[P, R] = _tracer.capture_lambda_handler(handler)
    return wrapped


@contextmanager
def failure_logged(logger: Logger) -> Iterator[None]:
    """Logs why the block fails, in one line, and fails.

    For functions that a deployment invokes: `sluice deploy` shows the line as soon as it is there, and Terraform would
    say it at the end of everything.
    """
    try:
        yield
    except Exception as error:
        logger.error("%s (%s)", " ".join(str(error).split()), type(error).__name__)
        raise
