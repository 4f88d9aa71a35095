"""FilterLogEvents over moto's log groups.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

from collections.abc import Mapping
from typing import Any, Final

from sluice_ext.logs.filters import compile_filter

_MAX_EVENTS: Final = 10_000
_MAX_STREAMS: Final = 100


class InvalidSearch(ValueError):
    """The request contradicts itself; says how."""


def search(group: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """A page of the matching events, oldest first: events, searchedLogStreams and, if more follow, nextToken."""
    limit = request.get("limit", _MAX_EVENTS)
    if limit < 1:
        raise _violated(limit, "limit", "have value greater than or equal to 1")
    if limit > _MAX_EVENTS:
        raise _violated(limit, "limit", f"have value less than or equal to {_MAX_EVENTS}")
    first = _offset(request.get("nextToken"))
    wanted = compile_filter(request.get("filterPattern") or "")
    start, end = request.get("startTime"), request.get("endTime")
    streams = _streams(group, request)
    found = [
        (event.timestamp, event.event_id, name, event)
        for name, stream in streams
        for event in list(stream.events)
        if (start is None or event.timestamp >= start) and (end is None or event.timestamp <= end)
        # AWS shows a line without the line feed that ends it.
        if wanted(event.message.removesuffix("\n")) is not None
    ]
    found.sort(key=lambda one: one[:2])
    page = found[first : first + limit]
    answer: dict[str, Any] = {
        "events": [{**event.to_filter_dict(), "logStreamName": name} for _, _, name, event in page],
        "searchedLogStreams": [{"logStreamName": name, "searchedCompletely": True} for name, _ in streams],
    }
    if first + limit < len(found):
        answer["nextToken"] = f"{first + limit}"
    return answer


def _violated(value: object, where: str, rule: str) -> InvalidSearch:
    """A limit of AWS's that the request breaks, in AWS's words."""
    problem = f"Value '{value}' at '{where}' failed to satisfy constraint: Member must {rule}"
    return InvalidSearch(f"1 validation error detected: {problem}")


def _offset(token: str | None) -> int:
    if not token:
        return 0
    if not token.isdigit():
        raise InvalidSearch("The specified nextToken is invalid.")
    return int(token)


def _streams(group: Any, request: Mapping[str, Any]) -> list[tuple[str, Any]]:
    names, prefix = request.get("logStreamNames"), request.get("logStreamNamePrefix")
    if names and prefix:
        raise InvalidSearch("logStreamNames and logStreamNamePrefix are mutually exclusive")
    if len(names or ()) > _MAX_STREAMS:
        shown = f"[{', '.join(names or ())}]"
        raise _violated(shown, "logStreamNames", f"have length less than or equal to {_MAX_STREAMS}")
    return [
        (name, stream)
        for name, stream in list(group.streams.items())
        if (not names or name in names) and (not prefix or name.startswith(prefix))
    ]
