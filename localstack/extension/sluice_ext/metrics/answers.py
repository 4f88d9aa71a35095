"""The answer of GetMetricData: labels, order and pages.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

_MOST: Final = 100_800


class InvalidToken(ValueError):
    """The NextToken is none of ours."""


def answer(request: Mapping[str, Any], series: Mapping[str, Mapping[int, float]]) -> dict[str, Any]:
    """A page of at most ``MaxDatapoints`` values in all. Raises InvalidToken."""
    listed = [query for query in request["MetricDataQueries"] if query.get("ReturnData") is not False]
    newest_first = request.get("ScanBy") != "TimestampAscending"
    skipped, left = _offset(request.get("NextToken")), int(request.get("MaxDatapoints") or _MOST)
    following = skipped + left
    results, total = [], 0
    for query, label in zip(listed, labels(listed), strict=True):
        points = sorted(series[query["Id"]].items(), reverse=newest_first)
        total += len(points)
        page = points[skipped : skipped + left]
        complete = skipped + left >= len(points)
        skipped, left = max(0, skipped - len(points)), left - len(page)
        results.append(
            {
                "Id": query["Id"],
                "Label": label,
                "StatusCode": "Complete" if complete else "PartialData",
                "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in page],
                "Values": [value for _, value in page],
            }
        )
    found: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
    if following < total:
        found["NextToken"] = base64.b64encode(str(following).encode()).decode()
    return found


def labels(listed: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the results are called: by default the metric, with statistic and period where these differ."""
    stats = [query["MetricStat"] for query in listed if query.get("MetricStat")]
    differing = [name for name in ("Stat", "Period") if len({stat[name] for stat in stats}) > 1]
    return [
        query.get("Label")
        or (
            " ".join([stat["Metric"]["MetricName"], *(str(stat[name]) for name in differing)])
            if (stat := query.get("MetricStat"))
            else query["Id"]
        )
        for query in listed
    ]


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.b64decode(token, validate=True))
    except ValueError:
        raise InvalidToken("The value for parameter NextToken is not valid") from None
