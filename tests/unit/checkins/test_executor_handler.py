"""checkin-executor: a day in; executions of its files, the log of the day, and the notice that there are none out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from sluice_pipeline.dynamo.values import typed
from tests.support.handlers import Context, loaded, notices

DAY = "2026-03-01"
PREFIX = f"bronze/checkins/dt={DAY}/"


class ExecutionAlreadyExists(Exception):
    pass


class Function:
    """The handler over a bucket with two files of the day and an empty folder, and a log without items."""

    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self._module = module
        self.s3, self.dynamodb, self.workflows, self.sns = (
            clients[name] for name in ("s3", "dynamodb", "stepfunctions", "sns")
        )
        self.files = [{"Key": f"{PREFIX}{name}", "ETag": '"e"'} for name in ("", "a.csv", "b.csv")]
        self.s3.get_paginator.return_value.paginate.side_effect = lambda **_: [{"Contents": self.files}, {}]
        self.workflows.exceptions.ExecutionAlreadyExists = ExecutionAlreadyExists
        self.logged: dict[str, Any] = {}
        self.dynamodb.get_item.side_effect = lambda **_: {"Item": typed(self.logged)} if self.logged else {}
        self.dynamodb.update_item.return_value = {"Attributes": {}}

    def run(self, **event: Any) -> Any:
        return self._module.handler(event, Context())

    def started(self) -> list[dict[str, str]]:
        return [call.kwargs for call in self.workflows.start_execution.call_args_list]


@pytest.fixture
def function() -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "stepfunctions", "sns")}
    with loaded("checkins.executor.handler", settings={"DAYS_BACK": "1"}, **clients) as module:
        yield Function(module, clients)


def test_each_file_of_the_day_starts_an_execution_under_its_own_name(function: Function) -> None:
    done = function.run(day=DAY, hard_testing="true", id="again")
    assert [(one["key"], one["new"]) for one in done["submitted"]] == [
        (f"{PREFIX}a.csv", True), (f"{PREFIX}b.csv", True),
    ]  # fmt: skip
    started = function.started()
    assert [call["name"] for call in started] == [one["name"] for one in done["submitted"]]
    inputs = [json.loads(call["input"]) for call in started]
    assert [(one["key"], one["hard_testing"], one["id"]) for one in inputs] == [
        (f"{PREFIX}a.csv", "true", "again"), (f"{PREFIX}b.csv", "true", "again"),
    ]  # fmt: skip
    assert notices(function.sns) == []


def test_a_file_that_was_submitted_is_not_started_again(function: Function) -> None:
    function.logged = {"status": "succeeded"}
    assert [one["new"] for one in function.run(day=DAY)["submitted"]] == [False, False]
    assert function.started() == []


def test_an_execution_that_exists_already_is_only_logged(function: Function) -> None:
    function.workflows.start_execution.side_effect = ExecutionAlreadyExists
    assert [one["new"] for one in function.run(day=DAY)["submitted"]] == [False, False]
    logged = [call.kwargs["Key"]["sk"]["S"] for call in function.dynamodb.update_item.call_args_list]
    assert logged == ["0#submit"] * 3  # both runs and the day


@pytest.mark.parametrize(("status", "count"), [("", 1), ("succeeded", 1), ("missing", 0)])
def test_a_day_without_a_file_is_notified_once(function: Function, status: str, count: int) -> None:
    function.files = []
    function.logged = {"status": status} if status else {}
    assert function.run(day=DAY) == {"day": DAY, "submitted": [], "missing": ["checkins"]}
    found = notices(function.sns)
    assert [(notice["kind"], notice["day"]) for notice in found] == [("checkin.missing", DAY)] * count
    (call,) = function.dynamodb.update_item.call_args_list
    assert call.kwargs["Key"] == {"pk": {"S": f"day#checkins#{DAY}"}, "sk": {"S": "0#submit"}}
    assert call.kwargs["ExpressionAttributeValues"][":status"] == {"S": "missing"}


def test_a_schedules_event_means_the_day_before_its_own_time(function: Function) -> None:
    assert function.run(time="2026-03-02T00:30:00Z")["day"] == DAY


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, "day is missing"),
        ({"day": "soon"}, "not a date"),
        ({"day": DAY, "hard_testing": "x"}, "neither true, false"),
    ],
)
def test_a_wrong_event_is_refused_and_nothing_started(function: Function, event: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        function.run(**event)
    assert function.started() == []
