"""RedriveExecution: a failed execution goes on at the state that failed, with the input that the state had.

https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import ROLE, Engine, Function, eventually

FLAKY = """
import boto3, os
def handler(event, context):
    if event["redrives"] < event["until"]:
        raise RuntimeError("not yet")
    return {"redrives": event["redrives"], "kept": event["kept"]}
"""


class Machine:
    """A machine of these states, and one execution of it."""

    def __init__(self, engine: Engine, states: dict[str, Any], start_at: str, **more: Any) -> None:
        self.states = engine.client("stepfunctions")
        definition = {"StartAt": start_at, "States": states} | more
        made = self.states.create_state_machine(
            name=f"redrive-{uuid.uuid4().hex[:8]}", roleArn=ROLE, definition=json.dumps(definition)
        )
        started = self.states.start_execution(stateMachineArn=made["stateMachineArn"], input='{"given": 1}')
        self.machine, self.arn = made["stateMachineArn"], started["executionArn"]

    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.states.describe_execution(executionArn=self.arn)
        return found

    def ended(self) -> dict[str, Any]:
        eventually(lambda: self.described()["status"] != "RUNNING", 30, "the end")
        return self.described()

    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.states.get_execution_history(executionArn=self.arn)["events"]
        return found

    def redrive(self, **more: Any) -> Any:
        return self.states.redrive_execution(executionArn=self.arn, **more)


def flaky(function: Function, until: int, **more: Any) -> dict[str, Any]:
    payload = {"redrives.$": "$$.Execution.RedriveCount", "until": until, "kept.$": "$.kept"}
    return {
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
        "Parameters": {"FunctionName": function.arn, "Payload": payload}, "OutputPath": "$.Payload",
    } | more  # fmt: skip


def test_a_failed_execution_goes_on_at_its_state_as_often_as_it_is_asked(
    engine: Engine, function: Callable[..., Function]
) -> None:
    first = {"Type": "Pass", "Parameters": {"kept.$": "$.given"}, "Next": "Flaky"}
    machine = Machine(engine, {"First": first, "Flaky": flaky(function(FLAKY), until=2)}, "First")
    failed = machine.ended()
    assert (failed["status"], failed["error"]) == ("FAILED", "RuntimeError")
    assert (failed["redriveCount"], failed["redriveStatus"]) == (0, "REDRIVABLE")
    assert "redriveDate" not in failed
    for count in (1, 2):
        at = machine.redrive()["redriveDate"]
        ended = machine.ended()
        assert (ended["redriveCount"], ended["redriveDate"]) == (count, at)
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", {"redrives": 2, "kept": 1})
    assert "error" not in ended
    assert ended["startDate"] == failed["startDate"]
    events = machine.events()
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    names = [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]
    assert names[0] == "First"
    assert names.count("First") == 1, "what was done is not done again"
    redriven = [event["executionRedrivenEventDetails"]["redriveCount"] for event in events
                if event["type"] == "ExecutionRedriven"]  # fmt: skip
    assert redriven == [1, 2]
    assert [event["type"] for event in events].count("ExecutionFailed") == 2
    [listed] = machine.states.list_executions(stateMachineArn=machine.machine)["executions"]
    assert (listed["status"], listed["redriveCount"]) == ("SUCCEEDED", 2)


def test_an_execution_that_was_stopped_in_its_task_goes_on_with_a_new_try(
    engine: Engine, function: Callable[..., Function]
) -> None:
    slow = function(
        "import time\ndef handler(e, c):\n    time.sleep(e['redrives'] < 1 and 5)\n    return e", Timeout=20
    )
    first = {"Type": "Pass", "Parameters": {"kept.$": "$.given"}, "Next": "Slow"}
    machine = Machine(engine, {"First": first, "Slow": flaky(slow, until=0)}, "First")
    eventually(lambda: any(e["type"] in ("TaskStarted", "TaskScheduled") for e in machine.events()), 10, "the task")
    machine.states.stop_execution(executionArn=machine.arn)
    assert machine.described()["redriveStatus"] == "REDRIVABLE"
    machine.redrive()
    ended = machine.ended()
    assert (ended["status"], json.loads(ended["output"])["redrives"]) == ("SUCCEEDED", 1)
    types = [event["type"] for event in machine.events()]
    assert types.index("ExecutionAborted") < types.index("ExecutionRedriven") < types.index("ExecutionSucceeded")
    assert types[-1] == "ExecutionSucceeded", "the end of the former try's task is no part of it"


def test_one_that_timed_out_has_its_whole_time_again(engine: Engine) -> None:
    wait = {"Type": "Wait", "Seconds": 3, "Next": "End"}
    machine = Machine(engine, {"Wait": wait, "End": {"Type": "Succeed"}}, "Wait", TimeoutSeconds=1)
    assert machine.ended()["status"] == "TIMED_OUT"
    machine.redrive()
    assert machine.described()["status"] == "RUNNING"
    assert machine.ended()["status"] == "TIMED_OUT"


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ({"End": {"Type": "Succeed"}}, "SUCCEEDED"),
        ({"End": {"Type": "Wait", "Seconds": 5, "End": True}}, "RUNNING"),
    ],
)
def test_one_that_succeeded_or_runs_is_not_redriven(engine: Engine, states: dict[str, Any], status: str) -> None:
    machine = Machine(engine, states, "End")
    eventually(lambda: machine.described()["status"] == status, 10, status)
    found = machine.described()
    assert (found["redriveStatus"], found["redriveStatusReason"]) == (
        "NOT_REDRIVABLE", f"Execution is {status} and cannot be redriven")  # fmt: skip
    with pytest.raises(ClientError) as refused:
        machine.redrive()
    assert refused.value.response["Error"]["Code"] == "ExecutionNotRedrivable"
    machine.states.stop_execution(executionArn=machine.arn)


def test_the_same_token_redrives_once(engine: Engine) -> None:
    machine = Machine(engine, {"End": {"Type": "Fail", "Error": "Never"}}, "End")
    machine.ended()
    token = uuid.uuid4().hex
    first = machine.redrive(clientToken=token)
    machine.ended()
    assert machine.redrive(clientToken=token)["redriveDate"] == first["redriveDate"]
    assert machine.described()["redriveCount"] == 1
    machine.redrive()
    assert machine.ended()["redriveCount"] == 2


def test_one_that_does_not_exist_is_not_redriven(engine: Engine) -> None:
    machine = Machine(engine, {"End": {"Type": "Succeed"}}, "End")
    with pytest.raises(ClientError) as refused:
        machine.states.redrive_execution(executionArn=f"{machine.arn}x")
    assert refused.value.response["Error"]["Code"] == "ExecutionDoesNotExist"
