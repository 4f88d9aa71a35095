"""The filters of an event source mapping.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html and, for the body of a message,
https://docs.aws.amazon.com/lambda/latest/dg/with-sqs-filtering.html: a body that is JSON is filtered as JSON, any other
as text; a filter of the other kind drops the message.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sluice_ext import patterns
from sluice_ext.patterns.compiling import canonical


def of(criteria: Mapping[str, Any] | None) -> list[Any]:
    """The compiled filters; no filter wants everything. Raises InvalidPattern."""
    filters = (criteria or {}).get("Filters") or []
    return [patterns.compile_pattern(one.get("Pattern") or "", patterns.MAPPING) for one in filters]


def matches_event(event_pattern: Mapping[str, Any], event: Any) -> bool:
    """For LocalStack's pollers of other sources, which have read the pattern already."""
    return patterns.matches(patterns.compile_pattern(canonical(event_pattern), patterns.MAPPING), event)


def wants(filters: Sequence[Any], event: Mapping[str, Any]) -> bool:
    """Whether one of the filters matches the message; the function gets it as it was sent."""
    try:
        body = patterns.loads(event["body"])
    except (ValueError, RecursionError):
        body = event["body"]
    read = {**event, "body": body}
    return any(patterns.matches(one, read) for one in filters)
