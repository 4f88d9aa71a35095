"""The words of an alarm's state.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
"""

import json
from typing import Any

import pytest

from sluice_ext.metrics.reasons import Point, reason, reason_data

ABOVE = {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 1, "Statistic": "Sum"}
BELOW = {"ComparisonOperator": "LessThanOrEqualToThreshold", "Threshold": 2.5, "Statistic": "Sum"}


def points(*values: float | None) -> list[Point]:
    """A minute each, from 2026-11-27 10:00:00."""
    return [Point(1795773600 + 60 * n, value, None if value is None else 1.0) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "alarm", "state", "expected"),
    [
        ((5,), ABOVE, "ALARM", "1 datapoint [5.0 (27/11/26 10:00:00)] was greater than the threshold (1.0)."),
        ((0,), ABOVE, "OK", "1 datapoint [0.0 (27/11/26 10:00:00)] was not greater than the threshold (1.0)."),
        (
            (2, 3),
            ABOVE,
            "ALARM",
            "2 datapoints [3.0 (27/11/26 10:01:00), 2.0 (27/11/26 10:00:00)] were greater than the threshold (1.0).",
        ),
        (
            (2, 3, 1),
            ABOVE | {"DatapointsToAlarm": 2},
            "ALARM",
            "2 out of the last 3 datapoints [3.0 (27/11/26 10:01:00), 2.0 (27/11/26 10:00:00)] were greater than "
            "the threshold (1.0) (minimum 2 datapoints for OK -> ALARM transition).",
        ),
        (
            (3, 3, 2),
            BELOW | {"DatapointsToAlarm": 3},
            "OK",
            "2 out of the last 3 datapoints [3.0 (27/11/26 10:01:00), 3.0 (27/11/26 10:00:00)] were not less than or "
            "equal to the threshold (2.5) (minimum 1 datapoint for ALARM -> OK transition).",
        ),
    ],
)
def test_a_reason_names_the_datapoints_the_newest_first(
    values: tuple[float, ...], alarm: dict[str, Any], state: str, expected: str
) -> None:
    assert reason(points(*values), alarm, state) == f"Threshold Crossed: {expected}"


def test_the_data_has_the_values_the_oldest_first_and_each_period() -> None:
    found = json.loads(reason_data(points(None, 2, 3), ABOVE | {"Unit": "Count"}, 60))
    del found["queryDate"]
    assert found == {
        "version": "1.0",
        "startDate": "2026-11-27T10:01:00.000+0000",
        "unit": "Count",
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [2, 3],
        "threshold": 1,
        "evaluatedDatapoints": [
            {"timestamp": "2026-11-27T10:02:00.000+0000", "sampleCount": 1.0, "value": 3},
            {"timestamp": "2026-11-27T10:01:00.000+0000", "sampleCount": 1.0, "value": 2},
            {"timestamp": "2026-11-27T10:00:00.000+0000"},
        ],
    }
