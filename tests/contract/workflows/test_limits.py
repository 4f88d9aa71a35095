"""Limits of executions. https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""

import json
import uuid
from typing import Any

import botocore.exceptions
import pytest

from tests.contract.workflows.conftest import Runner
from tests.support.engine_harness import eventually

FULL = "The execution reached the maximum number of history events (25000)."


def test_an_execution_ends_with_its_25000th_event_whatever_catches_errors(run: Runner) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-history-limit"""
    # Each item has four events.
    item = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    each = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": item, "End": True}
    branch = {"StartAt": "Each", "States": {"Each": each}}
    waiting = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}
    states = {
        "Both": {
            "Type": "Parallel",
            "Branches": [branch, waiting],
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
            "End": True,
        },
        "Caught": {"Type": "Succeed"},
    }
    ended = run.ended(run.start(run.machine(states), {"items": [1] * 6_500}), 90)
    assert (ended.status, ended.error, ended.cause) == ("FAILED", "States.Runtime", FULL)
    assert [event["id"] for event in ended.events] == list(range(1, 25_001))
    last = ended.events[-1]
    assert last["type"] == "ExecutionFailed"
    assert last["executionFailedEventDetails"] == {"error": "States.Runtime", "cause": FULL}
    assert "ExecutionFailed" not in ended.types[:-1]
    with pytest.raises(botocore.exceptions.ClientError, match="ExecutionNotRedrivable"):
        run.client.redrive_execution(executionArn=ended.arn)


@pytest.mark.parametrize("name", ["a b", "a/b", "a*", "a?", "<a>", "{a}", "[a]", 'a"b', "a#", "a%", "a\\b", "a^", "a|b",
                                  "a~", "a`", "a$", "a&", "a,b", "a;b", "a:b", "a\nb", "a\x7fb", "x" * 81])  # fmt: skip
def test_a_name_that_aws_refuses_is_refused(run: Runner, name: str) -> None:
    machine = run.machine({"P": {"Type": "Pass", "End": True}})
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidName"):
        run.client.start_execution(stateMachineArn=machine, name=name)
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidName"):
        run.client.create_state_machine(name=name, roleArn="arn:aws:iam::000000000000:role/any", definition="{}")


def test_starting_again_with_the_same_name_and_input_gives_the_running_execution(run: Runner) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html"""
    machine, name = run.machine({"W": {"Type": "Wait", "Seconds": 3600, "End": True}}), "n" * 80
    first = run.client.start_execution(stateMachineArn=machine, name=name, input='{"a": 1}')
    again = run.client.start_execution(stateMachineArn=machine, name=name, input='{"a": 1}')
    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])
    with pytest.raises(botocore.exceptions.ClientError, match="ExecutionAlreadyExists"):
        run.client.start_execution(stateMachineArn=machine, name=name, input='{"a": 2}')
    run.client.stop_execution(executionArn=first["executionArn"])
    with pytest.raises(botocore.exceptions.ClientError, match="ExecutionAlreadyExists"):
        run.client.start_execution(stateMachineArn=machine, name=name, input='{"a": 1}')


def test_an_input_of_256_kib_is_taken_and_one_more_byte_is_not(run: Runner) -> None:
    machine = run.machine({"P": {"Type": "Pass", "End": True}})
    largest = json.dumps("x" * (262_144 - 2))
    arn = run.client.start_execution(stateMachineArn=machine, input=largest)["executionArn"]
    assert run.ended(arn).status == "SUCCEEDED"
    with pytest.raises(botocore.exceptions.ClientError, match="less than or equal to 262144"):
        run.client.start_execution(stateMachineArn=machine, input=json.dumps("x" * (262_144 - 1)))
    for wrong in ("", "{", "NaN", "{'a': 1}"):
        with pytest.raises(botocore.exceptions.ClientError, match="InvalidExecutionInput"):
            run.client.start_execution(stateMachineArn=machine, input=wrong)


def test_a_state_whose_output_is_over_256_kib_fails(run: Runner) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html: States.DataLimitExceeded"""
    states = {
        "Big": {"Type": "Pass", "Parameters": {f"p{n}.$": "$" for n in range(3)}, "End": True},
    }
    ended = run(states, "x" * 100_000)
    assert (ended.status, ended.error) == ("FAILED", "States.DataLimitExceeded")


def waiting_for_a_token(run: Runner, queue: Any, **task: Any) -> tuple[str, str]:
    """An execution that waits, and its token."""
    sending = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue.url, "MessageBody": {"token.$": "$$.Task.Token"}},
        "End": True,
    }
    arn = run.start(run.machine({"Wait": sending | task}))
    message = eventually(lambda: queue.receive(), 20, "the token")
    return arn, json.loads(message[0]["Body"])["token"]


def test_an_execution_that_is_stopped_while_it_waits_for_a_token_says_so_and_its_token_is_dead(
    run: Runner, queue: Any
) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html"""
    arn, token = waiting_for_a_token(run, queue())
    run.client.stop_execution(executionArn=arn, error="Why", cause="because")
    ended = run.ended(arn)
    assert (ended.status, ended.error, ended.cause) == ("ABORTED", "Why", "because")
    assert ended.types[-1] == "ExecutionAborted"
    assert ended.events[-1]["executionAbortedEventDetails"] == {"error": "Why", "cause": "because"}
    for call in (
        lambda: run.client.send_task_success(taskToken=token, output="{}"),
        lambda: run.client.send_task_failure(taskToken=token),
        lambda: run.client.send_task_heartbeat(taskToken=token),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match="TaskTimedOut"):
            call()
    assert run.history(arn)[-1]["type"] == "ExecutionAborted"


def test_a_token_is_used_once_with_json_and_an_unknown_one_is_invalid(run: Runner, queue: Any) -> None:
    arn, token = waiting_for_a_token(run, queue())
    for wrong, error in (("no json", "InvalidOutput"), ("NaN", "InvalidOutput"), ('"' + "x" * 262_144 + '"', "262144")):
        with pytest.raises(botocore.exceptions.ClientError, match=error):
            run.client.send_task_success(taskToken=token, output=wrong)
    run.client.send_task_heartbeat(taskToken=token)
    run.client.send_task_success(taskToken=token, output='{"done": true}')
    assert run.ended(arn).output == {"done": True}
    with pytest.raises(botocore.exceptions.ClientError, match="TaskTimedOut"):
        run.client.send_task_success(taskToken=token, output="{}")
    for output in ("{}", "no json"):
        with pytest.raises(botocore.exceptions.ClientError, match="InvalidToken"):
            run.client.send_task_success(taskToken=f"token-{uuid.uuid4().hex}", output=output)


def test_a_heartbeat_that_does_not_come_ends_the_task(run: Runner, queue: Any) -> None:
    arn, token = waiting_for_a_token(run, queue(), HeartbeatSeconds=1, TimeoutSeconds=600)
    ended = run.ended(arn)
    assert (ended.status, ended.error) == ("FAILED", "States.Timeout")
    with pytest.raises(botocore.exceptions.ClientError, match="TaskTimedOut"):
        run.client.send_task_success(taskToken=token, output="{}")
