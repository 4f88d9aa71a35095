"""SQS: what is refused, when messages become visible, and message groups of FIFO queues.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
"""

import itertools
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.engine_harness import Engine, Function, Queue, eventually, in_engine, throughout


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


class Fifo:
    """A FIFO queue."""

    def __init__(self, engine: Engine, **attributes: str) -> None:
        self.sqs, self.name = engine.client("sqs"), f"q-{uuid.uuid4().hex[:8]}.fifo"
        attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true", **attributes}
        self.url = self.sqs.create_queue(QueueName=self.name, Attributes=attributes)["QueueUrl"]
        self.arn = f"arn:aws:sqs:us-east-1:000000000000:{self.name}"

    def send(self, group: str, *bodies: str, **more: str) -> list[str]:
        return [
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, MessageGroupId=group, **more)["MessageId"]
            for body in bodies
        ]

    def receive(self, count: int = 10, **more: Any) -> dict[str, str]:
        """Bodies and receipt handles."""
        found = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=count, **more).get("Messages", [])
        return {message["Body"]: message["ReceiptHandle"] for message in found}

    def change(self, handle: str, seconds: int) -> None:
        self.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=handle, VisibilityTimeout=seconds)

    def delete(self, handle: str) -> None:
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=handle)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("DelaySeconds", 0, 900),
        ("KmsDataKeyReusePeriodSeconds", 60, 86_400),
        ("MaximumMessageSize", 1024, 1_048_576),
        ("MessageRetentionPeriod", 60, 1_209_600),
        ("ReceiveMessageWaitTimeSeconds", 0, 20),
        ("VisibilityTimeout", 0, 43_200),
    ],
)
def test_a_number_out_of_its_range_is_refused(
    engine: Engine, queue: Callable[..., Queue], name: str, low: int, high: int
) -> None:
    sqs, made = engine.client("sqs"), queue()
    for value in (str(low - 1), str(high + 1), "x", "1.5", ""):
        new = f"q-{uuid.uuid4().hex[:8]}"
        expected = ("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
        assert refusal(sqs.create_queue, QueueName=new, Attributes={name: value}) == expected
        assert refusal(sqs.set_queue_attributes, QueueUrl=made.url, Attributes={name: value}) == expected
        assert sqs.list_queues(QueueNamePrefix=new).get("QueueUrls", []) == []
    for value in (str(low), str(high)):
        sqs.set_queue_attributes(QueueUrl=made.url, Attributes={name: value})
        assert made.attribute(name) == value


def test_a_redrive_policy_needs_a_queue_of_its_kind_and_a_count(engine: Engine, queue: Callable[..., Queue]) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""
    sqs, source, dead, fifo = engine.client("sqs"), queue(), queue(), Fifo(engine)
    for policy, reason in (
        ("no document", "not a valid JSON map"),
        ({"deadLetterTargetArn": dead.arn}, "mandatory attribute: maxReceiveCount"),
        ({"maxReceiveCount": 1}, "mandatory attribute: deadLetterTargetArn"),
        ({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 0}, "Invalid value for maxReceiveCount: 0"),
        ({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1001}, "Invalid value for maxReceiveCount: 1001"),
        ({"deadLetterTargetArn": dead.arn, "maxReceiveCount": "x"}, "Invalid value for maxReceiveCount: x"),
        ({"deadLetterTargetArn": dead.arn + "-not", "maxReceiveCount": 1}, "Dead letter target does not exist"),
        ({"deadLetterTargetArn": fifo.arn, "maxReceiveCount": 1}, "must be same type of queue as the source"),
        ({"deadLetterTargetArn": dead.arn.replace("us-east-1", "eu-west-1"), "maxReceiveCount": 1}, "same region"),
    ):
        attributes = {"RedrivePolicy": policy if isinstance(policy, str) else json.dumps(policy)}
        for call, arguments in (
            (sqs.create_queue, {"QueueName": f"q-{uuid.uuid4().hex[:8]}"}),
            (sqs.set_queue_attributes, {"QueueUrl": source.url}),
        ):
            code, message = refusal(call, **arguments, Attributes=attributes)
            assert code == "InvalidParameterValue"
            assert reason in message
    good = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": "1000"})}
    sqs.set_queue_attributes(QueueUrl=source.url, Attributes=good)
    sqs.set_queue_attributes(QueueUrl=source.url, Attributes={"RedrivePolicy": ""})
    allow = {"RedriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"})}
    sqs.set_queue_attributes(QueueUrl=dead.url, Attributes=allow)
    assert refusal(sqs.set_queue_attributes, QueueUrl=source.url, Attributes=good)[0] == "InvalidParameterValue"


def test_delays_visibility_timeouts_and_attributes_out_of_range_are_refused(
    engine: Engine, queue: Callable[..., Queue]
) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"""
    sqs, made = engine.client("sqs"), queue()
    send = sqs.send_message
    for delay in (901, -1):
        assert refusal(send, QueueUrl=made.url, MessageBody="x", DelaySeconds=delay)[0] == "InvalidParameterValue"
    many = {f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)}
    code, message = refusal(send, QueueUrl=made.url, MessageBody="x", MessageAttributes=many)
    assert code == "InvalidParameterValue"
    assert "[11] exceeds the allowed maximum [10]" in message
    code, _ = refusal(send, QueueUrl=made.url, MessageBody="x" * 1_048_577)
    assert code == "InvalidParameterValue"
    assert refusal(sqs.receive_message, QueueUrl=made.url, VisibilityTimeout=43_201)[0] == "InvalidParameterValue"
    made.send("y")
    (received,) = sqs.receive_message(QueueUrl=made.url)["Messages"]
    handle = {"QueueUrl": made.url, "ReceiptHandle": received["ReceiptHandle"]}
    assert refusal(sqs.change_message_visibility, **handle, VisibilityTimeout=43_201)[0] == "InvalidParameterValue"


def test_messages_come_when_they_are_due(engine: Engine, queue: Callable[..., Queue]) -> None:
    """A delay and a visibility timeout of a second end after one second, not after two."""
    sqs, delayed, returning = engine.client("sqs"), queue(), queue()
    for made, arguments in ((delayed, {"DelaySeconds": 1}), (returning, {})):
        sqs.send_message(QueueUrl=made.url, MessageBody="x", **arguments)
    assert sqs.receive_message(QueueUrl=returning.url, VisibilityTimeout=1)["Messages"]
    began = time.monotonic()
    for made in (delayed, returning):
        assert sqs.receive_message(QueueUrl=made.url, WaitTimeSeconds=5)["Messages"]
        assert 0.5 < time.monotonic() - began < 1.7


def test_a_group_waits_for_its_messages_in_flight(engine: Engine) -> None:
    fifo = Fifo(engine)
    fifo.send("a", "a1", "a2", "a3")
    first = fifo.receive(2)
    assert list(first) == ["a1", "a2"]
    fifo.send("b", "b1")
    assert list(fifo.receive(VisibilityTimeout=1)) == ["b1"]
    # One that returns does not open the group while another one is in flight.
    fifo.change(first["a2"], 0)
    throughout(lambda: not {"a1", "a2", "a3"} & fifo.receive(VisibilityTimeout=0).keys(), 0.5, "group a waits")
    # A group's message in flight does not hold back another group.
    eventually(lambda: list(fifo.receive()) == ["b1"], 5, "b1 to return")
    fifo.delete(first["a1"])
    assert list(fifo.receive()) == ["a2", "a3"]


def test_what_returns_is_there_before_later_ones_in_flight(engine: Engine) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html"""
    fifo = Fifo(engine, ContentBasedDeduplication="True")
    fifo.send("a", "a1", "a2")
    first = fifo.receive()
    fifo.send("a", "a3")
    fifo.change(first["a1"], 0)
    again = fifo.receive()
    assert list(again) == ["a1"], "a2 is in flight and stops a3"
    fifo.delete(again["a1"])
    assert fifo.receive() == {}
    fifo.delete(first["a2"])
    assert list(fifo.receive()) == ["a3"]


STEPS = st.lists(
    st.tuples(st.sampled_from(("send", "receive", "release", "delete")), st.integers(0, 11)), min_size=4, max_size=14
)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(steps=STEPS)
def test_a_group_gives_what_stands_before_its_first_message_in_flight(engine: Engine, steps: list[Any]) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html"""
    fifo = Fifo(engine)
    groups: dict[str, list[str]] = {"a": [], "b": []}  # what is not deleted, in the order it was sent
    in_flight: dict[str, str] = {}

    def available(group: str) -> list[str]:
        return list(itertools.takewhile(lambda body: body not in in_flight, groups[group]))

    for number, (step, choice) in enumerate(steps):
        if step == "send":
            group = "ab"[choice % 2]
            groups[group].append(f"{group}{number}")
            fifo.send(group, groups[group][-1])
        elif step == "receive":
            wanted = choice % 4 + 1
            free = {group: available(group) for group in groups}
            found = fifo.receive(wanted)
            assert len(found) == min(wanted, sum(len(bodies) for bodies in free.values()))
            for group, bodies in free.items():
                of_group = [body for body in found if body[0] == group]
                assert of_group == bodies[: len(of_group)]
            in_flight |= found
        elif in_flight:
            body = sorted(in_flight)[choice % len(in_flight)]
            handle = in_flight.pop(body)
            if step == "release":
                fifo.change(handle, 0)
            else:
                fifo.delete(handle)
                groups[body[0]].remove(body)


def test_dead_messages_do_not_stop_their_group(engine: Engine) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""
    dead = Fifo(engine)
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1})
    fifo = Fifo(engine, RedrivePolicy=policy)
    fifo.send("a", "a1")
    assert list(fifo.receive(VisibilityTimeout=0)) == ["a1"]
    assert fifo.receive() == {}
    fifo.send("a", "a2")
    assert list(fifo.receive()) == ["a2"]
    assert list(dead.receive()) == ["a1"]


def test_a_group_returns_in_its_order(engine: Engine) -> None:
    fifo = Fifo(engine)
    fifo.send("a", "1", "2", "3")
    assert list(fifo.receive(2, VisibilityTimeout=1)) == ["1", "2"]
    assert fifo.receive() == {}
    found: dict[str, str] = {}
    eventually(lambda: found.update(fifo.receive()) or found, 5, "the group to return")
    assert list(found) == ["1", "2", "3"]


def test_a_message_is_sent_once_in_five_minutes(engine: Engine) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html"""
    fifo = Fifo(engine)
    (first,) = fifo.send("a", "x")
    received = fifo.receive()
    fifo.delete(received["x"])
    assert fifo.send("b", "x") == [first], "a duplicate is accepted with the first one's id, though that one is gone"
    assert fifo.send("a", "y", MessageDeduplicationId="same")[0] != first
    fifo.send("a", "z", MessageDeduplicationId="same")
    assert list(fifo.receive()) == ["y"]


def test_a_batching_window_on_a_fifo_mapping_is_refused(engine: Engine, function: Callable[..., Function]) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html ("for standard queues")"""
    made, fifo, lambda_ = function("def handler(event, context): ..."), Fifo(engine), engine.client("lambda")
    call = lambda_.create_event_source_mapping
    named = {"EventSourceArn": fifo.arn, "FunctionName": made.name}
    code, message = refusal(call, **named, MaximumBatchingWindowInSeconds=1)
    assert code == "InvalidParameterValueException"
    assert "FIFO" in message
    assert refusal(call, **named, BatchSize=11)[0] == "InvalidParameterValueException"
    mapping = call(**named)["UUID"]
    update = lambda_.update_event_source_mapping
    assert refusal(update, UUID=mapping, MaximumBatchingWindowInSeconds=1)[0] == "InvalidParameterValueException"
    lambda_.delete_event_source_mapping(UUID=mapping)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"BatchSize": 11}, "InvalidParameterValueException"),
        ({"BatchSize": 10_001, "MaximumBatchingWindowInSeconds": 1}, "ValidationException"),
        ({"MaximumBatchingWindowInSeconds": 301}, "ValidationException"),
        ({"ScalingConfig": {"MaximumConcurrency": 1001}}, "ValidationException"),
    ],
)
def test_a_mapping_has_its_limits(
    engine: Engine, function: Callable[..., Function], queue: Callable[..., Queue], arguments: Any, code: str
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html"""
    made, source = function("def handler(event, context): ..."), queue()
    call = engine.client("lambda").create_event_source_mapping
    assert refusal(call, EventSourceArn=source.arn, FunctionName=made.name, **arguments)[0] == code


def test_a_fifo_mapping_delivers_a_group_in_order(
    engine: Engine, function: Callable[..., Function], queue: Callable[..., Queue]
) -> None:
    code = (
        "import boto3, os\n"
        "def handler(event, context):\n"
        "    for record in event['Records']:\n"
        "        boto3.client('sqs').send_message(QueueUrl=os.environ['TO'], MessageBody=record['body'])\n"
    )
    fifo, seen = Fifo(engine), queue()
    made = function(code, variables={"TO": seen.url})
    lambda_ = engine.client("lambda")
    mapping = lambda_.create_event_source_mapping(EventSourceArn=fifo.arn, FunctionName=made.name, BatchSize=2)["UUID"]
    for number in range(8):
        fifo.send(f"g{number % 2}", str(number))
    found: list[str] = []
    eventually(lambda: found.extend(m["Body"] for m in seen.receive()) or len(found) >= 8, 20, "8 messages")
    assert sorted(found) == [str(number) for number in range(8)]
    for group in (0, 1):
        of_group = [body for body in found if int(body) % 2 == group]
        assert of_group == sorted(of_group)
    lambda_.delete_event_source_mapping(UUID=mapping)


def test_a_message_ends_with_its_retention_period(queue: Callable[..., Queue]) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"""
    short, long = queue(MessageRetentionPeriod="60"), queue(MessageRetentionPeriod="120")
    for made in (short, long):
        made.send("x")
    assert (short.depth(), long.depth()) == ((1, 0), (1, 0))
    eventually(lambda: short.depth() == (0, 0), 75, "the message to end")
    assert long.depth() == (1, 0)


def test_a_message_is_counted_at_every_moment() -> None:
    """Who waits for an empty queue must not see one while a receive is under way, or while messages return.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
    """
    found = in_engine(Path(__file__).with_name("counting_worker.py"))
    assert (found["least"], found["after"]) == (10, 10)
    assert found["receives"] > 1
