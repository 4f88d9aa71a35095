"""The pipeline's queues: their depths, and looking at messages without taking them away from their consumer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from sluice.pipeline.branches import Branches
from sluice.pipeline.storage import in_parallel

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

type Message = dict[str, Any]
"""As SQS's ReceiveMessage returns it."""

UNDELIVERED = ("ERROR_CODE", "ERROR_MESSAGE")
"""Attributes of an event that EventBridge could not deliver."""

BATCH = 10  # messages of one request, the most that SQS takes
_PEEK_SECONDS = 20


@dataclass(frozen=True)
class Depth:
    """Messages waiting, in flight, and delayed. SQS calls the numbers approximate."""

    waiting: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        return self.waiting + self.in_flight + self.delayed

    def __str__(self) -> str:
        """Such as "2 waiting, 1 in flight"; the numbers that are not 0."""
        parts = {"waiting": self.waiting, "in flight": self.in_flight, "delayed": self.delayed}
        return ", ".join(f"{number} {name}" for name, number in parts.items() if number) or "empty"


def depth(sqs: Any, url: str) -> Depth:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html"""
    names = (
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    )
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
    return Depth(*(int(found.get(name, 0)) for name in names))


def depths(stack: Stack) -> dict[str, Depth]:
    """Of every queue of the stack and its dead-letter queue, by name: chunks, chunk dead-letter queue."""
    sqs = stack.client("sqs")
    urls: dict[str, str] = {}
    for key, queue in Branches.of(stack).queues.items():
        urls |= {key: queue.url} if queue.url else {}
        urls[queue.dead_letters] = queue.dlq_url
    # SQS has no request for several queues.
    return dict(zip(urls, in_parallel(lambda url: depth(sqs, url), urls.values()), strict=True))


def receive_messages(sqs: Any, url: str, limit: int, hide_seconds: int) -> list[Message]:
    """Up to ``limit`` of the waiting messages, hidden from other consumers for ``hide_seconds``.

    SQS counts it as a receive. A dead-letter queue has no redrive of its own, so that changes nothing there.
    """
    limit = min(limit, depth(sqs, url).waiting)
    found: dict[str, Message] = {}
    while len(found) < limit:
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(BATCH, limit - len(found)),
            VisibilityTimeout=hide_seconds,
            WaitTimeSeconds=1,
            AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            MessageAttributeNames=list(UNDELIVERED),
        )
        fresh = [message for message in answer.get("Messages", []) if message["MessageId"] not in found]
        if not fresh:
            break
        found |= {str(message["MessageId"]): message for message in fresh}
    return list(found.values())


def release(sqs: Any, url: str, handles: Iterable[str]) -> None:
    """Makes received messages visible again, by their receipt handles."""
    for batch in batched(handles, BATCH, strict=False):
        entries = [{"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": 0} for n, handle in enumerate(batch)]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def peek(sqs: Any, url: str, limit: int = 1_000) -> list[str]:
    """Bodies of up to ``limit`` waiting messages of a dead-letter queue; other consumers see them again at once."""
    messages = receive_messages(sqs, url, limit, _PEEK_SECONDS)
    release(sqs, url, [message["ReceiptHandle"] for message in messages])
    return [str(message["Body"]) for message in messages]


def keys_named(body: str) -> set[str]:
    """The object keys in a dead-letter message: a chunk message, ingest's own record, or Lambda's failed event."""
    try:
        return set(_keys(json.loads(body)))
    except ValueError:
        return set()


def _keys(value: Any) -> list[str]:
    if isinstance(value, list):
        return [key for part in value for key in _keys(part)]
    if not isinstance(value, dict):
        return []
    found = [key for name, part in value.items() if name != "key" for key in _keys(part)]
    key = value.get("key")
    if isinstance(key, str):
        # S3's own events carry keys URL-encoded, and name the etag eTag
        found.append(unquote_plus(key) if "eTag" in value else key)
    return found
