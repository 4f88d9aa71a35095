"""Map states, inline and distributed.

https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""

from typing import Any

import botocore.exceptions
import pytest

from tests.contract.workflows.conftest import Runner
from tests.support.engine_harness import eventually

FAIL_ODD = {
    "StartAt": "Odd",
    "States": {
        "Odd": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.odd", "BooleanEquals": True, "Next": "No"}],
            "Default": "Yes",
        },
        "Yes": {"Type": "Pass", "End": True},
        "No": {"Type": "Fail", "Error": "Odd"},
    },
}
DISTRIBUTED = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
PERCENT = "ToleratedFailurePercentage"


def items(number: int, odd: int) -> list[dict[str, Any]]:
    return [{"n": n, "odd": n < odd} for n in range(number)]


def running(run: Runner, arn: str) -> int:
    number: int = run.client.describe_map_run(mapRunArn=arn)["executionCounts"]["running"]
    return number


def mapped(**fields: Any) -> dict[str, Any]:
    return {"Each": {"Type": "Map", "ItemProcessor": FAIL_ODD | DISTRIBUTED, "End": True} | fields}


@pytest.mark.parametrize(
    ("odd", "fields", "succeeds"),
    [
        (0, {}, True),
        (1, {}, False),
        (4, {PERCENT: 50}, True),
        (4, {PERCENT: 50.0}, True),
        (5, {PERCENT: 50}, True),
        (6, {PERCENT: 50}, False),
        (6, {PERCENT: 59.9}, False),
        (6, {PERCENT: 60}, True),
        (1, {PERCENT: 0}, False),
        (10, {PERCENT: 100}, True),
        (2, {"ToleratedFailureCount": 2}, True),
        (3, {"ToleratedFailureCount": 2}, False),
        (1, {"ToleratedFailureCount": 0, PERCENT: 50}, False),
        (3, {"ToleratedFailureCount": 9, PERCENT: 20}, False),
    ],
)
def test_a_map_run_fails_when_more_children_fail_than_it_tolerates(
    run: Runner, odd: int, fields: dict[str, Any], succeeds: bool
) -> None:
    ended = run(mapped(**fields), items(10, odd))
    if succeeds:
        assert (ended.status, ended.cause) == ("SUCCEEDED", "")
        assert ended.output[odd:] == items(10, odd)[odd:]
        return
    assert (ended.status, ended.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert ended.cause == "The specified tolerated failure threshold was exceeded"
    assert "MapRunFailed" in ended.types
    assert "MapRunSucceeded" not in ended.types
    (found,) = run.client.list_map_runs(executionArn=ended.arn)["mapRuns"]
    described = run.client.describe_map_run(mapRunArn=found["mapRunArn"])
    assert described["status"] == "FAILED"
    eventually(lambda: running(run, found["mapRunArn"]) == 0, 10, "no child runs")


def test_the_error_of_a_map_run_is_caught(run: Runner) -> None:
    caught = [{"ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "Next": "Caught"}]
    states = mapped(Catch=caught) | {"Caught": {"Type": "Pass", "Result": "caught", "End": True}}
    assert run(states, items(3, 1)).output == "caught"


def test_a_percentage_over_100_is_refused(run: Runner) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidDefinition"):
        run.machine(mapped(**{PERCENT: 101}))


@pytest.mark.parametrize("concurrency", [1, 0])
@pytest.mark.parametrize("config", [{}, DISTRIBUTED], ids=["inline", "distributed"])
def test_a_map_works_through_thousands_of_items(run: Runner, config: dict[str, Any], concurrency: int) -> None:
    processor = {"StartAt": "In", "States": {"In": {"Type": "Pass", "End": True}}}
    states = {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "MaxConcurrency": concurrency,
            "ItemProcessor": processor | config,
            "End": True,
        }
    }
    values = list(range(2_500))
    ended = run.ended(run.start(run.machine(states), {"items": values}), 60)
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    assert ended.output == values
    # Each iteration of an inline Map has four events; a distributed one has none in the parent.
    assert len(ended.events) == (10_000 if not config else 2) + 6
