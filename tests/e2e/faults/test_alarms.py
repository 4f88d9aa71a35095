"""Every alarm fires through its real cause, and the topic is notified of that and of its end.

An alarm on AWS's own metrics looks at a whole minute, so the scenarios run side by side: first what can be done while
transform has no capacity, then what needs it, then all wait together until everything is well again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile
from typing import Any

import pytest

from fixtures import formats, shipping
from sluice.pipeline.stack import Stack
from tests.support import branches
from tests.support.mailbox import Mailbox
from tests.support.pipeline import Pipeline, until

FIRED = 45.0  # seconds from a cause to its alarm; the engine looks every five
OVER = (
    130.0  # seconds from the end of the last cause to OK: a period of a minute, and a message that is hidden for 36 s
)


class Alarms:
    """The stack's alarms and what the topic said of them since this was made."""

    def __init__(self, stack: Stack, mailbox: Mailbox) -> None:
        self._cloudwatch, self._mailbox = stack.client("cloudwatch"), mailbox
        self.prefix = stack["dashboard_name"].removesuffix("pipeline")
        self.names = {name.removeprefix(self.prefix) for name in stack.outputs["alarm_names"]}
        self._begin = len(mailbox.notices())

    def states(self) -> dict[str, str]:
        found = self._cloudwatch.describe_alarms(AlarmNamePrefix=self.prefix)["MetricAlarms"]
        return {alarm["AlarmName"].removeprefix(self.prefix): alarm["StateValue"] for alarm in found}

    def published(self, name: str) -> list[dict[str, Any]]:
        """What CloudWatch published about one alarm, in order."""
        messages = self._mailbox.notices()[self._begin :]
        return [message for message in messages if message.get("AlarmName") == self.prefix + name]

    def fired(self, *names: str) -> None:
        """Waits until each was published to the topic."""
        silent = set(names)

        def published() -> bool:
            for name in list(silent):
                if any(message["NewStateValue"] == "ALARM" for message in self.published(name)):
                    silent.discard(name)
            return not silent

        try:
            until("alarms", published, FIRED)
        except AssertionError:
            pytest.fail(f"not fired within {FIRED:.0f} s: {sorted(silent)}; states {self.states()}")

    def well(self) -> bool:
        return set(self.states().values()) == {"OK"}


@pytest.fixture
def alarms(stack: Stack, mailbox: Mailbox) -> Alarms:
    if not stack.outputs.get("alarm_names"):
        pytest.skip("observability_enabled is off")
    found = Alarms(stack, mailbox)
    until("every alarm is OK at first", found.well, OVER)
    return Alarms(stack, mailbox)


@contextmanager
def no_capacity(pipe: Pipeline, name: str) -> Iterator[None]:
    """A function (by its name in AWS) that may not run at all while the block does."""
    pipe.lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        yield
    finally:
        pipe.lambda_.delete_function_concurrency(FunctionName=name)


def watch(pipe: Pipeline, function: str = "watch") -> str | None:
    """Runs `watch`, or `settle`, now instead of at the next full minute; the error it ended with."""
    error: str | None = pipe.lambda_.invoke(FunctionName=pipe.stack[f"{function}_function"]).get("FunctionError")
    return error


def throttled(pipe: Pipeline, name: str) -> None:
    """An invocation that finds no capacity."""
    with pytest.raises(pipe.lambda_.exceptions.TooManyRequestsException):
        pipe.lambda_.invoke(FunctionName=name, Payload=b"{}")


def workflows(stack: Stack) -> dict[str, str]:
    """ARNs of the workflows that have alarms, by the name in their alarm."""
    return {key: workflow["arn"] for key, workflow in branches.workflows(stack).items() if workflow["alarms"]}


def consumers(stack: Stack) -> dict[str, dict[str, Any]]:
    """Queues of notifications and of `object.committed`, by the name of the function behind each.

    Without digest's: whatever is in that one is mailed, and nothing of it becomes a dead-letter message.
    """
    functions = branches.functions(stack)
    return {
        queue["label"]: queue
        for queue in branches.queues(stack).values()
        if queue["url"] and queue["label"] in functions and queue["label"] != "digest"
    }


# Alarms whose cause the scenario has not: a queue whose message is half an hour old, DynamoDB's throttling, a full
# database, a 5xx or a slow answer. They stay OK. Their metrics: infra/tests/observability.tftest.hcl.
NOT_FIRED = ("-table-throttles", "-capacity", "-connections", "-5xx", "-latency")


def fired_here(name: str) -> bool:
    return name == "chunk-queue-age" or not name.endswith((*NOT_FIRED, "-queue-age"))


SCHEDULED = {"watch": "Query", "settle": "Query", "reconcile": "UpdateItem"}
"""Functions that are invoked with nothing, and the first call of each to the ledger."""


def called_with_a_request(stack: Stack) -> list[str]:
    """Names of functions that are invoked with a request, and fail on one that says nothing."""
    others = {"ingest", "transform", *SCHEDULED, *consumers(stack)}
    return [one["name"] for key, one in branches.functions(stack).items() if one["alarms"] and key not in others]


@contextmanager
def an_event_without_a_target(pipe: Pipeline) -> Iterator[str]:
    """A rule of the stack whose function does not exist, and an event that it matched; yields the rule's name."""
    events, stack = pipe.stack.client("events"), pipe.stack
    name = f"{stack['metrics_namespace']}-{pipe.run}"
    where = f"{stack['region']}:{stack['account_id']}"
    queue = pipe.sqs.get_queue_attributes(QueueUrl=stack["event_dlq_url"], AttributeNames=["QueueArn"])["Attributes"]
    target = {"Id": "gone", "Arn": f"arn:aws:lambda:{where}:function:{name}-gone"}
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[target | {"DeadLetterConfig": {"Arn": queue["QueueArn"]}}])
    events.put_events(Entries=[{"Source": name, "DetailType": "test", "Detail": "{}"}])
    try:
        yield name
    finally:
        events.remove_targets(Rule=name, Ids=["gone"])
        events.delete_rule(Name=name)


# What the test below does not cause.
NOT_CAUSED = {"ObjectsMissing", "ObjectsFailed", "ExecutionsTimedOut", "ExecutionsAborted", "ExecutionsSucceeded"}


def shown_and_never_published(stack: Stack) -> set[tuple[str, ...]]:
    """Metrics on the dashboard that CloudWatch does not know: namespace, name, dimension, value."""
    cloudwatch = stack.client("cloudwatch")
    body = json.loads(cloudwatch.get_dashboard(DashboardName=stack["dashboard_name"])["DashboardBody"])
    shown = {
        tuple(line[:4])
        for widget in body["widgets"]
        for line in widget["properties"]["metrics"]
        if isinstance(line[0], str) and line[1] not in NOT_CAUSED
    }
    assert len(shown) > 20
    return shown - {
        (metric["Namespace"], metric["MetricName"], dimension["Name"], dimension["Value"])
        for page in cloudwatch.get_paginator("list_metrics").paginate()
        for metric in page["Metrics"]
        if len(metric["Dimensions"]) == 1
        for dimension in metric["Dimensions"]
    }


def test_every_alarm_fires_through_its_cause_and_returns_to_ok(breakable: Pipeline, alarms: Alarms) -> None:
    pipe = breakable
    rows = [formats.jsonl(shipping.records("shipments", 60 + seed, 20)) for seed in range(3)]

    # errors: a process that dies, a call that fails; its message and its event are tried again
    with pipe.fault("transform", "dynamodb", "GetItem", "kill-before"):
        killed = pipe.put("shipments", rows[0], "killed.jsonl")
        until("the kill", pipe.fault_hits)
    functions = {key: one["name"] for key, one in branches.functions(pipe.stack).items() if one["alarms"]}
    for scheduled in SCHEDULED.keys() & functions.keys():
        with pipe.fault(scheduled, "dynamodb", SCHEDULED[scheduled], "error:InternalServerError", times=0):
            assert watch(pipe, scheduled) == "Unhandled"
    for key, queue in consumers(pipe.stack).items():
        answer = pipe.lambda_.invoke(FunctionName=functions[key], Payload=b"{}")
        assert answer.get("FunctionError") == "Unhandled", "no batch"
        pipe.sqs.send_message(QueueUrl=queue["url"], MessageBody=json.dumps({"not": pipe.run}))
    for name in called_with_a_request(pipe.stack):
        answer = pipe.lambda_.invoke(FunctionName=name, Payload=b"{}")
        assert answer.get("FunctionError") == "Unhandled", "no request"
    transform = functions.pop("transform")
    for name in functions.values():
        with no_capacity(pipe, name):
            throttled(pipe, name)
    with pipe.fault("ingest", "dynamodb", "PutItem", "error:AccessDeniedException"):
        retried = pipe.put("shipments", rows[1], "retried.jsonl")
        until("the refusal", pipe.fault_hits)
    states = pipe.stack.client("stepfunctions")
    for arn in workflows(pipe.stack).values():
        states.start_execution(stateMachineArn=arn, input=json.dumps({"nonsense": pipe.run, "dataset": 1}))
    unknown = pipe.put("telegrams", rows[0])

    # no capacity: a chunk grows old in the queue, and its object makes no progress
    with no_capacity(pipe, transform):
        stuck = pipe.put("shipments", rows[2], "stuck.jsonl")

        def noticed() -> bool:
            assert watch(pipe) is None
            return any(message["NewStateValue"] == "ALARM" for message in alarms.published("objects-unfinished"))

        until("objects-unfinished", noticed, FIRED)
        alarms.fired("chunk-queue-age", "transform-throttles")

    if unmailed := pipe.stack.outputs.get("digest_dlq_url"):
        pipe.sqs.send_message(QueueUrl=unmailed, MessageBody=pipe.run)

    # what only transform can cause
    pipe.send(json.dumps({"schema": "sluice.chunk/1", "not": pipe.run}))
    rejected_rows = pipe.put("shipments", b'{"record_type": "shipment"}\n' * 200, "rejected.jsonl")
    with an_event_without_a_target(pipe) as rule:
        caused = set(filter(fired_here, alarms.names))
        alarms.fired(*caused)
        pipe.receive_messages("event_dlq_url", lambda body: rule in body)
    if unmailed:
        pipe.receive_messages("digest_dlq_url", lambda body: pipe.run in body)
    pipe.receive_messages("chunk_dlq_url", lambda body: pipe.run in body)
    pipe.receive_messages("ingest_dlq_url", lambda body: unknown.ref.key in body)
    for name in consumers(pipe.stack):
        pipe.receive_messages(f"{name}_dlq_url", lambda body: pipe.run in body)

    # a message that found no capacity is hidden for six timeouts of its function
    committed = pipe.wait(killed, retried, stuck, rejected_rows, deadline=OVER)
    assert [(item["state"], item["rows_silver"], item["rows_quarantined"]) for item in committed] == [
        *[("committed", 20, 0)] * 3,
        ("committed", 0, 200),
    ]
    until("every alarm to be OK again", alarms.well, OVER)
    news = {name: [message["NewStateValue"] for message in alarms.published(name)] for name in caused}
    # the OK of an alarm that is new may arrive only now
    news = {name: list(dropwhile("OK".__eq__, states)) for name, states in news.items()}
    # nothing more and nothing less; an alarm whose cause came back in between may have fired twice
    assert {name: (states[0], states[-1], len(states) % 2) for name, states in news.items()} == dict.fromkeys(
        caused, ("ALARM", "OK", 0)
    )
    others = [message for name in alarms.names - caused for message in alarms.published(name)]
    assert [message["AlarmName"] for message in others if message["NewStateValue"] == "ALARM"] == []
    assert all(m["AlarmDescription"] for name in caused for m in alarms.published(name)), "says what to do"
    assert shown_and_never_published(pipe.stack) == set()
