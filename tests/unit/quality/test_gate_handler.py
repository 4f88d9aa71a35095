"""gate: announcements of staged objects in; executions, notices and the visibility of failed messages out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.events.announcements import STAGED
from sluice_pipeline.events.committed import event_of
from tests.support.handlers import Context, loaded, notices, sqs_event

MACHINE = "arn:aws:states:eu-central-1:000000000000:stateMachine:sluice-quality"
IDS = [f"{number:032x}" for number in range(1, 6)]


class Exists(Exception):
    """ExecutionAlreadyExists, and as another class ExecutionDoesNotExist."""


class Missing(Exception):
    pass


class Function:
    """The handler over a ledger and a state machine in memory; ``fails``: the next start does."""

    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self._module = module
        self.sns, self.sqs, self.workflows = clients["sns"], clients["sqs"], clients["stepfunctions"]
        self.items: dict[str, dict[str, Any]] = {}
        self.executions: dict[str, dict[str, Any]] = {}
        self.fails = False
        dynamodb = clients["dynamodb"]
        dynamodb.get_item.side_effect = self._get
        dynamodb.update_item.side_effect = self._take
        self.workflows.exceptions.ExecutionAlreadyExists = Exists
        self.workflows.exceptions.ExecutionDoesNotExist = Missing
        self.workflows.start_execution.side_effect = self._start
        self.workflows.describe_execution.side_effect = self._describe

    def _get(self, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        found = self.items.get(plain(Key)["pk"])
        return {"Item": typed(found)} if found else {}

    def _take(self, Key: dict[str, Any], ExpressionAttributeValues: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        item, values = self.items[plain(Key)["pk"]], plain(ExpressionAttributeValues)
        mine = item.get("gate_execution") in (values[":execution"], values[":dead"])
        if item["run"] != values[":run"] or not (item.get("gate_run", 0) < values[":run"] or mine):
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
        item |= {"gate_run": values[":run"], "gate_execution": values[":execution"]}
        return {"Attributes": typed(item)}

    def _start(self, stateMachineArn: str, name: str, input: str) -> None:  # noqa: N803
        assert stateMachineArn == MACHINE
        if self.fails:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "StartExecution")
        if name in self.executions:
            raise Exists
        self.executions[name] = json.loads(input)

    def _describe(self, executionArn: str) -> None:  # noqa: N803
        assert executionArn.startswith(MACHINE.replace(":stateMachine:", ":execution:"))
        if executionArn.rsplit(":", 1)[1] not in self.executions:
            raise Missing

    def staged(self, object_id: str, run: int = 1, state: str = "staged", rows: int = 10) -> None:
        item = {"object_id": object_id, "run": run, "state": state, "rows_silver": rows}
        self.items[f"object#{object_id}"] = item

    def receive(self, *members: tuple[str, int], receives: int = 1) -> list[str]:
        """The messages that stay on the queue."""
        bodies = [json.dumps(event_of(object_id, run, "flights", STAGED)) for object_id, run in members]
        return self.receive_bodies(*bodies, receives=receives)

    def receive_bodies(self, *bodies: str, receives: int = 1) -> list[str]:
        answer = self._module.handler(sqs_event(*bodies, receives=receives), Context())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def audited(self) -> list[tuple[str, list[tuple[str, int]]]]:
        """Engine and objects of each execution."""
        return [
            (found["engine"], [(one["object_id"], one["run"]) for one in found["objects"]])
            for found in self.executions.values()
        ]


@pytest.fixture
def function() -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("dynamodb", "sns", "sqs", "stepfunctions")}
    settings = {"STATE_MACHINE_ARN": MACHINE, "QUALITY_ENGINE": "auto", "ARROW_MAX_ROWS": "1000"}
    with loaded("quality.gate.handler", settings=settings, **clients) as module:
        yield Function(module, clients)


def test_objects_that_come_together_are_in_one_execution_of_each_engine(function: Function) -> None:
    for number, object_id in enumerate(IDS):
        function.staged(object_id, rows=1001 if number == 4 else 1000)
    assert function.receive(*((object_id, 1) for object_id in IDS)) == []
    assert function.audited() == [
        ("pyarrow", [(object_id, 1) for object_id in IDS[:4]]),
        ("great_expectations", [(IDS[4], 1)]),
    ]
    assert all(len(name) <= 80 for name in function.executions)


def test_a_message_that_comes_again_starts_nothing_in_whatever_company(function: Function) -> None:
    for object_id in IDS[:3]:
        function.staged(object_id)
    assert function.receive((IDS[0], 1), (IDS[1], 1)) == []
    assert function.receive((IDS[1], 1), (IDS[0], 1)) == []
    assert function.receive((IDS[1], 1)) == []
    assert function.receive((IDS[1], 1), (IDS[2], 1), (IDS[2], 1)) == []
    assert [objects for _, objects in function.audited()] == [[(IDS[0], 1), (IDS[1], 1)], [(IDS[2], 1)]]


def test_what_was_taken_and_never_started_is_started_by_the_next_delivery(function: Function) -> None:
    for object_id in IDS[:3]:
        function.staged(object_id)
    function.fails = True
    assert function.receive((IDS[0], 1), (IDS[1], 1)) == ["m0", "m1"]
    assert function.executions == {}
    function.fails = False
    assert function.receive((IDS[1], 1), (IDS[2], 1), receives=2) == []
    assert function.receive((IDS[0], 1), receives=2) == []
    assert [objects for _, objects in function.audited()] == [[(IDS[1], 1), (IDS[2], 1)], [(IDS[0], 1)]]


@pytest.mark.parametrize("state", ["committed", "withheld", "planned"])
def test_a_run_that_does_not_wait_is_acknowledged(function: Function, state: str) -> None:
    function.staged(IDS[0], state=state, run=1 if state != "planned" else 2)
    function.staged(IDS[1])
    assert function.receive((IDS[0], 1), (IDS[1], 1)) == []
    assert [objects for _, objects in function.audited()] == [[(IDS[1], 1)]]


def test_a_ledger_that_is_behind_the_event_delays_its_object_alone(function: Function) -> None:
    function.staged(IDS[0], state="committing")
    function.staged(IDS[1])
    assert function.receive((IDS[0], 1), (IDS[1], 1), (IDS[2], 1)) == ["m0", "m2"]
    assert [objects for _, objects in function.audited()] == [[(IDS[1], 1)]]
    assert notices(function.sns) == []


def test_a_newer_run_is_audited_again(function: Function) -> None:
    function.staged(IDS[0])
    function.receive((IDS[0], 1))
    function.items[f"object#{IDS[0]}"] |= {"run": 2}
    function.receive((IDS[0], 2))
    assert [objects for _, objects in function.audited()] == [[(IDS[0], 1)], [(IDS[0], 2)]]


def test_retries_exhausted_and_a_message_that_names_no_object_are_notified(function: Function) -> None:
    function.staged(IDS[0])
    function.fails = True
    other = json.dumps(event_of(IDS[0], 1, "flights"))
    assert function.receive_bodies(other, json.dumps(event_of(IDS[0], 1, "flights", STAGED)), receives=5) == [
        "m0",
        "m1",
    ]
    assert [(notice["kind"], notice["reason"][:20]) for notice in notices(function.sns)] == [
        ("dead.letter", "is no object.staged "), ("quality.failed", "quality: retries exh"),
    ]  # fmt: skip


def test_one_engine_may_be_chosen_for_all() -> None:
    clients = {name: MagicMock(name=name) for name in ("dynamodb", "sns", "sqs", "stepfunctions")}
    settings = {"STATE_MACHINE_ARN": MACHINE, "QUALITY_ENGINE": "great_expectations", "ARROW_MAX_ROWS": "1000"}
    with loaded("quality.gate.handler", settings=settings, **clients) as module:
        function = Function(module, clients)
        function.staged(IDS[0])
        function.receive((IDS[0], 1))
    assert [engine for engine, _ in function.audited()] == ["great_expectations"]
