"""The words and the data of an alarm's state, as AWS's examples have them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html (thresholds)
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions-Lambda.html (unknown datapoints)
"""

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ALARM, OK, NO_DATA = "ALARM", "OK", "INSUFFICIENT_DATA"
COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
_TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching", "ignore": "Ignore"}


@dataclass(frozen=True, slots=True)
class Point:
    """A period: its start (s since 1970), its value (None: no data), and how many samples it has (None: not known)."""

    start: float
    value: float | None
    samples: float | None = None


def reason(points: Sequence[Point], alarm: Mapping[str, Any], state: str) -> str:
    """Why the periods (oldest first) give this state."""
    present = [point for point in points if point.value is not None]
    if state == NO_DATA:
        return f"Insufficient Data: {_counted(len(points))} unknown."
    if not present:
        periods = "1 period" if len(points) == 1 else f"{len(points)} periods"
        treated = _TREATED[alarm["TreatMissingData"]]
        missing = _counted(len(points), "missing datapoint")
        return f"Threshold Crossed: no datapoints were received for {periods} and {missing} treated as [{treated}]."
    breaches, words = COMPARISONS[alarm["ComparisonOperator"]]
    found = [one for one in present if breaches(one.value or 0.0, alarm["Threshold"]) == (state == ALARM)]
    values = ", ".join(f"{float(one.value or 0)} ({_time(one.start, '%d/%m/%y %H:%M:%S')})" for one in reversed(found))
    verb = ("was" if len(found) == 1 else "were") + ("" if state == ALARM else " not")
    rest = f"[{values}] {verb} {words} the threshold ({float(alarm['Threshold'])})"
    if not (wanted := alarm.get("DatapointsToAlarm")):
        return f"Threshold Crossed: {len(found)} datapoint{'' if len(found) == 1 else 's'} {rest}."
    fewest = wanted if state == ALARM else len(points) - wanted + 1
    change = "OK -> ALARM" if state == ALARM else "ALARM -> OK"
    return (
        f"Threshold Crossed: {len(found)} out of the last {len(present)} datapoints {rest} "
        f"(minimum {fewest} datapoint{'' if fewest == 1 else 's'} for {change} transition)."
    )


def with_start(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data with the first datapoint's time as startDate, where LocalStack puts the time of the query."""
    if "evaluatedDatapoints" not in data:
        return data
    known = [one["timestamp"] for one in data["evaluatedDatapoints"] if "value" in one]
    return _known({**data, "startDate": min(known, default=None)})


def reason_data(points: Sequence[Point], alarm: Mapping[str, Any], period: int) -> str:
    """StateReasonData: a JSON document."""
    present = [point for point in points if point.value is not None]
    found = {
        "version": "1.0",
        "queryDate": _stamp(datetime.now(UTC).timestamp()),
        "unit": alarm.get("Unit"),
        "statistic": alarm.get("Statistic") or alarm.get("ExtendedStatistic"),
        "period": period,
        "recentDatapoints": [point.value for point in present],
        "threshold": alarm["Threshold"],
        "evaluatedDatapoints": [
            _known({"timestamp": _stamp(one.start), "sampleCount": one.samples, "value": one.value})
            for one in reversed(points)
        ],
    }
    return json.dumps(with_start(_known(found)))


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _counted(count: int, what: str = "datapoint") -> str:
    return f"1 {what} was" if count == 1 else f"{count} {what}s were"


def _time(at: float, form: str) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(form)


def _stamp(at: float) -> str:
    return _time(at, "%Y-%m-%dT%H:%M:%S.000+0000")
