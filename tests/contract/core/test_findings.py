"""Behaviours of AWS that free emulators get wrong, as docs and incidents taught them.

The others of the list: a short visibility timeout, odd partial batch answers and a timeout in mid-batch are in
test_sqs_mapping.py; s3:TestEvent and URL-encoded keys in test_async_events.py; that a second plan after apply is empty
in tests/e2e/afterwards/test_afterwards.py.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import ROLE, Engine, Queue, eventually

Make = Callable[..., Any]


def receive(queue: Queue) -> dict[str, Any] | None:
    """One message and its attributes; it stays in the queue."""
    answer = queue.sqs.receive_message(QueueUrl=queue.url, MessageSystemAttributeNames=["All"])
    return next(iter(answer.get("Messages", [])), None)


def die(source: Queue, dead: Queue) -> list[str]:
    """Receive and never delete until the message is in the dead-letter queue: the receive counts that were seen."""
    seen = []
    while message := receive(source):
        seen.append(message["Attributes"]["ApproximateReceiveCount"])
    assert dead.depth() == (1, 0)
    return seen


def test_the_receive_count_starts_again_after_a_redrive(engine: Engine, queue: Make) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""
    dead = queue(VisibilityTimeout="0")
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3})
    source = queue(VisibilityTimeout="0", RedrivePolicy=policy)
    [first] = source.send("order")
    assert die(source, dead) == ["1", "2", "3"]
    looked_at = [receive(dead) for _ in range(2)]
    assert [message and message["MessageId"] for message in looked_at] == [first, first]

    source.sqs.start_message_move_task(SourceArn=dead.arn)
    eventually(lambda: source.depth() == (1, 0), 20, "the message to be back")
    assert dead.depth() == (0, 0)
    again = receive(source)
    assert again
    assert again["Body"] == "order"
    assert again["MessageId"] != first, "what comes back is a new message"
    assert again["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "DeadLetterQueueSourceArn" not in again["Attributes"]
    assert die(source, dead) == ["2", "3"]


def test_only_a_running_redrive_can_be_cancelled_and_one_that_ended_does_not_block_the_next(
    engine: Engine, queue: Make
) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CancelMessageMoveTask.html"""
    dead = queue(VisibilityTimeout="0")
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1})
    source = queue(VisibilityTimeout="0", RedrivePolicy=policy)
    handle = source.sqs.start_message_move_task(SourceArn=dead.arn)["TaskHandle"]

    def status() -> str:
        return str(source.sqs.list_message_move_tasks(SourceArn=dead.arn)["Results"][0]["Status"])

    eventually(lambda: status() == "COMPLETED", 20, "the end of a task without messages")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        source.sqs.cancel_message_move_task(TaskHandle=handle)
    assert status() == "COMPLETED"

    for _ in range(2):
        source.send("order")
    for _ in range(2):
        receive(source)
    eventually(lambda: receive(source) is None and dead.depth() == (2, 0), 20, "two dead-letter messages")
    slow = source.sqs.start_message_move_task(
        SourceArn=dead.arn, DestinationArn=source.arn, MaxNumberOfMessagesPerSecond=1
    )["TaskHandle"]
    source.sqs.cancel_message_move_task(TaskHandle=slow)
    eventually(lambda: status() == "CANCELLED", 20, "the end of the cancelled task")
    assert dead.depth()[0] >= 1


def test_a_redrive_ends_when_what_it_moves_dies_again_at_once(
    engine: Engine, function: Make, queue: Make, mapping: Make
) -> None:
    dead = queue()
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1})
    source = queue(VisibilityTimeout="1", RedrivePolicy=policy)
    mapping(source, function("def handler(event, context):\n    raise ValueError\n", Timeout=1), BatchSize=1)
    source.send("a", "b", "c")
    eventually(lambda: dead.depth() == (3, 0), 30, "three dead-letter messages")
    source.sqs.start_message_move_task(SourceArn=dead.arn, MaxNumberOfMessagesPerSecond=1)

    def ended() -> dict[str, Any] | None:
        [task] = source.sqs.list_message_move_tasks(SourceArn=dead.arn)["Results"]
        return task if task["Status"] != "RUNNING" else None

    task = eventually(ended, 20, "the end of the task")
    assert task is not None
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 3)
    eventually(lambda: dead.depth() == (3, 0), 20, "all three dead again")


def test_a_glue_job_that_cannot_run_fails(engine: Engine) -> None:
    """An answer of success for a job that never ran is worse than none. tests/contract/lake has jobs that do run."""
    glue, name = engine.client("glue"), f"j{uuid.uuid4().hex}"
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        glue.start_job_run(JobName=name)
    command = {"Name": "glueetl", "ScriptLocation": "s3://none/script.py"}
    glue.create_job(Name=name, Role=ROLE, Command=command, GlueVersion="4.0", WorkerType="G.1X", NumberOfWorkers=2)
    run = glue.start_job_run(JobName=name)["JobRunId"]

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = glue.get_job_run(JobName=name, RunId=run)["JobRun"]
        return found if found["JobRunState"] not in ("STARTING", "RUNNING", "WAITING") else None

    found = eventually(ended, 30, "its end")
    assert found is not None
    assert (found["JobRunState"], "Glue version 4.0" in found["ErrorMessage"]) == ("FAILED", True)


def test_a_workflow_whose_glue_job_cannot_run_fails(engine: Engine) -> None:
    states = engine.client("stepfunctions")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::glue:startJobRun.sync",
        "Parameters": {"JobName": "job"},
        "End": True,
    }
    machine = states.create_state_machine(
        name=f"m-{uuid.uuid4().hex[:8]}",
        roleArn=ROLE,
        definition=json.dumps({"StartAt": "Job", "States": {"Job": task}}),
    )["stateMachineArn"]
    started = states.start_execution(stateMachineArn=machine)["executionArn"]
    eventually(lambda: states.describe_execution(executionArn=started)["status"] != "RUNNING", 20, "its end")
    assert states.describe_execution(executionArn=started)["status"] == "FAILED"


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("emr-serverless", "list_applications", {}),
        ("kafka", "list_clusters", {}),
        ("apigatewayv2", "get_apis", {}),
        ("pipes", "list_pipes", {}),
    ],
)
def test_a_service_that_the_engine_does_not_have_says_so(
    engine: Engine, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(ClientError, match=f"This engine does not have .* of {service}") as caught:
        getattr(engine.client(service), operation)(**parameters)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


# The incident: 4,384 uploads became 14,727 executions. A function started one for each message and timed out in
# mid-batch; the batch came again, and what had been started was started again.
FLOOD = """
import os, time
import boto3
states = boto3.client("stepfunctions")
def handler(event, context):
    records = event["Records"]
    for number, record in enumerate(records):
        if number == (len(records) + 1) // 2 and record["attributes"]["ApproximateReceiveCount"] == "1":
            time.sleep(30)
        name = {"name": record["messageId"]} if os.environ["NAMED"] == "yes" else {}
        try:
            states.start_execution(stateMachineArn=os.environ["MACHINE"], input=record["body"], **name)
        except states.exceptions.ExecutionAlreadyExists:
            print("AGAIN")
"""
UPLOADS = 20


@pytest.fixture
def workflow(engine: Engine) -> str:
    """A state machine that ends at once."""
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    created = engine.client("stepfunctions").create_state_machine(
        name=f"m-{uuid.uuid4().hex[:8]}", definition=definition, roleArn=ROLE
    )
    arn: str = created["stateMachineArn"]
    return arn


def flood(engine: Engine, make: Make, source: Queue, mapping: Make, machine: str, named: str) -> list[str]:
    """Send the uploads to a function that times out in mid-batch; names of the executions once all is quiet."""
    target = make(FLOOD, Timeout=2, variables={"MACHINE": machine, "NAMED": named})
    source.send(*(json.dumps({"upload": number}) for number in range(UPLOADS)))
    mapping(source, target, BatchSize=10)
    eventually(lambda: source.depth() == (0, 0), 60, "an empty queue")
    assert any("Task timed out" in line for line in eventually(target.log, 10, "a log")), "no batch timed out"
    pages = engine.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=machine)
    return [execution["name"] for page in pages for execution in page["executions"]]


def test_unnamed_executions_flood_after_a_timeout_in_mid_batch(
    engine: Engine, function: Make, queue: Make, mapping: Make, workflow: str
) -> None:
    assert len(flood(engine, function, queue(VisibilityTimeout="3"), mapping, workflow, "no")) > UPLOADS


def test_named_executions_with_execution_already_exists_treated_as_success_end_the_flood(
    engine: Engine, function: Make, queue: Make, mapping: Make, workflow: str
) -> None:
    started = flood(engine, function, queue(VisibilityTimeout="3"), mapping, workflow, "yes")
    assert len(started) == UPLOADS
    assert len(set(started)) == UPLOADS


def test_a_name_is_taken_for_good_once_its_execution_has_ended(engine: Engine, workflow: str) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html"""
    states = engine.client("stepfunctions")
    first = states.start_execution(stateMachineArn=workflow, name="request-1", input="{}")["executionArn"]
    eventually(lambda: states.describe_execution(executionArn=first)["status"] == "SUCCEEDED", 20, "its end")
    for text in ("{}", '{"other": 1}'):
        with pytest.raises(states.exceptions.ExecutionAlreadyExists):
            states.start_execution(stateMachineArn=workflow, name="request-1", input=text)
    assert len(states.list_executions(stateMachineArn=workflow)["executions"]) == 1
