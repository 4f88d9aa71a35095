"""StopExecution: the execution is ABORTED at once and stays so, and EventBridge is notified once."""

import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.support.engine_harness import ROLE, Engine, Function, Queue, eventually, throughout

SLOW = "import time\ndef handler(event, context):\n    time.sleep(6)\n    raise RuntimeError('too late')\n"


def test_an_execution_that_is_stopped_in_mid_task_is_aborted_at_once_and_for_good(
    engine: Engine, function: Callable[..., Function], queue: Callable[..., Queue]
) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html"""
    slow, notified, name = function(SLOW, Timeout=20), queue(), f"stop-{uuid.uuid4().hex[:8]}"
    states, events = engine.client("stepfunctions"), engine.client("events")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": slow.arn, "Payload": {}},
        "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 0}],
        "End": True,
    }
    machine = states.create_state_machine(
        name=name,
        roleArn=ROLE,
        definition=json.dumps({"StartAt": "Slow", "States": {"Slow": task}}),
    )["stateMachineArn"]
    pattern = {"source": ["aws.states"], "detail": {"stateMachineArn": [machine], "status": ["ABORTED", "FAILED"]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": notified.arn}])
    arn = states.start_execution(stateMachineArn=machine, name=name)["executionArn"]
    history = lambda: [e["type"] for e in states.get_execution_history(executionArn=arn)["events"]]  # noqa: E731
    eventually(lambda: "TaskStarted" in history() or "TaskScheduled" in history(), 10, "the task")
    began = time.monotonic()
    states.stop_execution(executionArn=arn, error="Enough", cause="no longer wanted")
    described = states.describe_execution(executionArn=arn)
    assert time.monotonic() - began < 3
    assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "Enough", "no longer wanted")
    [message] = eventually(notified.receive, 10, "the event")
    assert json.loads(message["Body"])["detail"]["status"] == "ABORTED"
    eventually(lambda: any("REPORT" in line for line in slow.log()), 20, "the task's own end")
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"
    assert notified.receive() == []
    assert history()[-1] == "ExecutionAborted", "the task's own end is no part of the history"


def test_an_execution_that_is_stopped_while_it_waits_for_a_token_has_the_abort_in_its_history(
    engine: Engine, queue: Callable[..., Queue]
) -> None:
    states, tokens = engine.client("stepfunctions"), queue()
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": tokens.url, "MessageBody.$": "$$.Task.Token"},
        "End": True,
    }
    machine = states.create_state_machine(
        name=f"token-{uuid.uuid4().hex[:8]}",
        roleArn=ROLE,
        definition=json.dumps({"StartAt": "Wait", "States": {"Wait": task}}),
    )["stateMachineArn"]
    arn = states.start_execution(stateMachineArn=machine)["executionArn"]
    eventually(tokens.receive, 10, "the token")
    stopped = states.stop_execution(executionArn=arn, error="Enough", cause="no longer wanted")

    def is_whole() -> bool:
        events = states.get_execution_history(executionArn=arn)["events"]
        assert [event["id"] for event in events] == list(range(1, len(events) + 1))
        assert events[-1]["type"] == "ExecutionAborted"
        assert events[-1]["executionAbortedEventDetails"] == {"error": "Enough", "cause": "no longer wanted"}
        assert events[-1]["timestamp"] == stopped["stopDate"]
        return [event["type"] for event in events].count("ExecutionAborted") == 1

    throughout(is_whole, 1, "one end in the history")


def test_executions_are_stopped_as_soon_as_they_are_listed(engine: Engine) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html"""
    states, name = engine.client("stepfunctions"), f"soon-{uuid.uuid4().hex[:8]}"
    many = {f"S{number}": {"Type": "Pass", "Next": f"S{number + 1}"} for number in range(60)}  # takes a while to read
    definition = {"StartAt": "S0", "States": many | {"S60": {"Type": "Wait", "Seconds": 60, "End": True}}}
    machine = states.create_state_machine(name=name, roleArn=ROLE, definition=json.dumps(definition))["stateMachineArn"]

    def stop(number: int) -> list[str]:
        running: list[dict[str, str]] = []
        starting = pool.submit(states.start_execution, stateMachineArn=machine, name=f"{name}-{number}")
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}-{number}"
        while not running:
            listed = states.list_executions(stateMachineArn=machine)["executions"]
            running = [one for one in listed if one["executionArn"] == arn]
        states.stop_execution(executionArn=arn)
        assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"
        starting.result()
        assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"
        return [event["type"] for event in states.get_execution_history(executionArn=arn)["events"]]

    with ThreadPoolExecutor(1) as pool:
        histories = [stop(number) for number in range(8)]
    assert {(history[0], history[-1]) for history in histories} == {("ExecutionStarted", "ExecutionAborted")}
    assert all(history.count("ExecutionAborted") == 1 for history in histories)
