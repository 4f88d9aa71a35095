"""The definition of every workflow: valid Amazon States Language, and no task without a way out."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from statelint.config import Config
from statelint.linter import Linter
from statelint.problem import ProblemType

Resources = dict[str, dict[str, Any]]
WORKFLOWS = tuple(
    f"module.{name}.aws_sfn_state_machine.this"
    for name in (
        "replay[0].module.workflow",
        "checkins[0].module.workflow",
        "api[0].module.jobs",
        "quality[0].module.workflow",
        'lake[0].module.compaction["job"]',
        "taxi[0].module.workflow",
    )
)


# Its error is how the execution ends.
ENDINGS = ("Failed",)


def definition(resources: Resources, address: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(resources[address]["values"]["definition"])
    return found


def states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every state, those inside a map too."""
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def test_every_workflow_is_checked(mocked_resources: Resources) -> None:
    assert {a for a, r in mocked_resources.items() if r["type"] == "aws_sfn_state_machine"} == set(WORKFLOWS)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_the_linter_finds_nothing(mocked_resources: Resources, workflow: str) -> None:
    # JSON has one kind of number: a back-off rate of 2 is as good as 2.0
    lax = Config({ProblemType.FLOAT})
    assert Linter.validate(definition(mocked_resources, workflow), lax) == []


@pytest.mark.parametrize(
    ("workflow", "deadline", "tries"),
    [
        (WORKFLOWS[0], 21_600, 2),  # the last look and the reconciliation
        (WORKFLOWS[1], 3600, 18),  # the last look, the test and the load, each with all its tries
    ],
)
def test_the_whole_ends_after_the_wait_and_what_follows_it(
    mocked_resources: Resources, workflow: str, deadline: int, tries: int
) -> None:
    """Otherwise the run would end without its notice."""
    assert definition(mocked_resources, workflow)["TimeoutSeconds"] >= deadline + tries * 310


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_task_is_retried_with_back_off_timed_and_caught(mocked_resources: Resources, workflow: str) -> None:
    machine = definition(mocked_resources, workflow)
    caught_inside = {
        name
        for _, state in states(machine)
        if state["Type"] == "Map" and "Catch" in state
        for name, _ in states(state["ItemProcessor"])
    }
    tasks = {name: state for name, state in states(machine) if state["Type"] == "Task"}
    assert tasks
    for name, task in tasks.items():
        everything = task["Retry"][-1]
        assert everything["ErrorEquals"] == ["States.ALL"], name
        assert everything["BackoffRate"] > 1, name
        # A run of a Glue job takes minutes, so it is repeated once.
        assert everything["MaxAttempts"] >= (1 if "glue:startJobRun" in task["Resource"] else 3), name
        assert task["TimeoutSeconds"] > 0, name
        assert name in caught_inside or name in ENDINGS or task["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name


def test_a_redrive_of_the_taxi_workflow_goes_on_at_the_state_that_failed(mocked_resources: Resources) -> None:
    """Every task's failure names its state, and the last state sends a redriven execution there."""
    machine = definition(mocked_resources, WORKFLOWS[5])
    tasks = {name for name, state in states(machine) if state["Type"] == "Task"} - {
        *ENDINGS,
        "NotifySuccess",
        "NotifyFailure",
    }
    assert tasks == {"IngestRaw", "LookForMonth", "TransformTrips", "LoadRedshift", "Verify"}
    for task in tasks:
        [caught] = machine["States"][task]["Catch"]
        assert machine["States"][caught["Next"]] == {
            "Type": "Pass", "Result": task, "ResultPath": "$.state", "Next": "DescribeFailure"}  # fmt: skip
    resumed = {(choice["StringEquals"], choice["Next"]) for choice in machine["States"]["Resume"]["Choices"]}
    assert resumed == {(task, task) for task in tasks}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_map_is_bounded(mocked_resources: Resources, workflow: str) -> None:
    maps = [state for _, state in states(definition(mocked_resources, workflow)) if state["Type"] == "Map"]
    assert maps or "replay" not in workflow
    assert all(1 <= state["MaxConcurrency"] <= 40 for state in maps)
