"""A queue that subscribes to the event bus and the notifications topic of a stack: what the pipeline announces."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sluice.pipeline.stack import Stack


@dataclass
class Mailbox:
    """Everything that the bus and the topic sent since the session began."""

    sqs: Any
    url: str
    _committed: list[dict[str, Any]] = field(default_factory=list)
    _notices: list[dict[str, Any]] = field(default_factory=list)

    def committed(self, object_id: str) -> list[dict[str, Any]]:
        """Details of the object.committed events of an object."""
        self._receive()
        return [detail for detail in self._committed if detail["object_id"] == object_id]

    def notices(self, **wanted: Any) -> list[dict[str, Any]]:
        """SNS notices whose fields have these values; their message attributes are ``attributes``.

        The notices of alarms have neither a kind nor attributes.
        """
        self._receive()
        return [notice for notice in self._notices if wanted.items() <= notice.items()]

    def events(self) -> list[dict[str, Any]]:
        """Details of all object.committed events."""
        self._receive()
        return self._committed

    def _receive(self) -> None:
        while messages := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                self._sort(json.loads(message["Body"]))
            entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
            self.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def _sort(self, envelope: dict[str, Any]) -> None:
        if envelope.get("detail-type") == "object.committed":
            self._committed.append(envelope["detail"])
        elif envelope.get("Type") == "Notification":
            attributes = {name: value["Value"] for name, value in envelope.get("MessageAttributes", {}).items()}
            self._notices.append(json.loads(envelope["Message"]) | {"attributes": attributes})


@contextmanager
def mailbox(stack: Stack) -> Iterator[Mailbox]:
    """A mailbox with its subscriptions, which are removed at the end."""
    sqs, events, sns = stack.client("sqs"), stack.client("events"), stack.client("sns")
    name, url, arn = _queue(sqs)
    bus, topic = stack["event_bus_name"], stack["notifications_topic_arn"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["sluice"]}))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "mailbox", "Arn": arn}])
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    try:
        yield Mailbox(sqs, url)
    finally:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        events.remove_targets(Rule=name, EventBusName=bus, Ids=["mailbox"])
        events.delete_rule(Name=name, EventBusName=bus)
        sqs.delete_queue(QueueUrl=url)


@dataclass
class Mails:
    """Subject and text of every mail about gathered notices since this was made."""

    sqs: Any
    url: str
    _found: list[tuple[str, str]] = field(default_factory=list)

    def naming(self, word: str) -> list[tuple[str, str]]:
        """Those whose text has the word."""
        while messages := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                envelope = json.loads(message["Body"])
                self._found.append((envelope["Subject"], envelope["Message"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return [mail for mail in self._found if word in mail[1]]


@contextmanager
def mails(stack: Stack) -> Iterator[Mails]:
    """What a mail address would get, with a subscription that is removed at the end."""
    sqs, sns = stack.client("sqs"), stack.client("sns")
    _, url, arn = _queue(sqs)
    made = sns.subscribe(TopicArn=stack["mail_topic_arn"], Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    try:
        yield Mails(sqs, url)
    finally:
        sns.unsubscribe(SubscriptionArn=made["SubscriptionArn"])
        sqs.delete_queue(QueueUrl=url)


def _queue(sqs: Any) -> tuple[str, str, str]:
    """A queue that EventBridge and SNS may send to: name, URL, ARN."""
    name = f"sluice-mailbox-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    senders = {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}
    policy = {"Effect": "Allow", "Principal": senders, "Action": "sqs:SendMessage", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})
    return name, url, arn
