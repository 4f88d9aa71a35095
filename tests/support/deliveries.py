"""Rules, topics and the policies of targets, for tests of what services deliver to each other."""

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from tests.support.engine_harness import Engine, Queue


def document(*statements: dict[str, Any]) -> str:
    """A policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allowing(service: str, action: str, resource: str, **more: Any) -> dict[str, Any]:
    """A statement that lets a service's principal do something."""
    return {"Effect": "Allow", "Principal": {"Service": service}, "Action": action, "Resource": resource, **more}


def denying(action: str, resource: str, condition: dict[str, Any]) -> dict[str, Any]:
    """A statement that denies everyone something on a condition."""
    return {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource, "Condition": condition}


def permit(queue: Queue, service: str, source: str) -> None:
    """Let a service send to the queue for this source, and no other caller."""
    condition = {"ArnEquals": {"aws:SourceArn": source}}
    statement = allowing(f"{service}.amazonaws.com", "sqs:SendMessage", queue.arn, Condition=condition)
    queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"Policy": document(statement)})


def total(engine: Engine, namespace: str, metric: str, dimensions: dict[str, str]) -> float:
    """The sum of a metric in the last hour."""
    now = time.time()
    points = engine.client("cloudwatch").get_metric_statistics(
        Namespace=namespace, MetricName=metric, Period=3600, Statistics=["Sum"],
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=datetime.fromtimestamp(now - 3600, UTC), EndTime=datetime.fromtimestamp(now + 60, UTC),
    )["Datapoints"]  # fmt: skip
    return float(sum(point["Sum"] for point in points))


class Rule:
    """A rule of the default bus that matches the events which `send` puts."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.events = engine, engine.client("events")
        self.name = f"rule-{uuid.uuid4().hex[:8]}"
        pattern = json.dumps({"source": [self.name]})
        self.arn: str = self.events.put_rule(Name=self.name, EventPattern=pattern)["RuleArn"]

    def target(self, arn: str, **options: Any) -> None:
        """Make this its one target."""
        answer = self.events.put_targets(Rule=self.name, Targets=[{"Id": "target", "Arn": arn, **options}])
        assert answer["FailedEntryCount"] == 0, answer

    def send(self, detail: dict[str, Any]) -> str:
        """Put an event that it matches; returns the event's id."""
        entry = {"Source": self.name, "DetailType": "test", "Detail": json.dumps(detail)}
        answer: dict[str, Any] = self.events.put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0, answer
        return str(answer["Entries"][0]["EventId"])

    def metric(self, name: str) -> float:
        """Its metric's sum."""
        return total(self.engine, "AWS/Events", name, {"RuleName": self.name})

    @staticmethod
    def dead_letter_attributes(message: dict[str, Any]) -> dict[str, str]:
        """The attributes of a dead-letter message."""
        return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


class Topic:
    """A topic with a queue, ``inbox``, that gets what is published."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.sns, self.inbox = engine, engine.client("sns"), Queue(engine)
        self.name = f"topic-{uuid.uuid4().hex[:8]}"
        self.arn: str = self.sns.create_topic(Name=self.name)["TopicArn"]
        permit(self.inbox, "sns", self.arn)
        self.subscribe(self.inbox)

    def subscribe(self, queue: Queue, **attributes: str) -> None:
        """Let a queue get what is published."""
        self.sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=queue.arn, Attributes=attributes)

    def allow(self, service: str, *others: dict[str, Any], **more: Any) -> None:
        """Its policy: this service may publish, and other statements."""
        policy = document(allowing(service, "sns:Publish", self.arn, **more), *others)
        self.sns.set_topic_attributes(TopicArn=self.arn, AttributeName="Policy", AttributeValue=policy)

    def metric(self, name: str) -> float:
        """Its metric's sum."""
        return total(self.engine, "AWS/SNS", name, {"TopicName": self.name})
