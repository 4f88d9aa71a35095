"""Depths of the pipeline's queues, and a look at the dead letters without taking them away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from sluice.stack import Stack

QUEUES = {
    "chunks": "chunk_queue_url",
    "chunk dead letters": "chunk_dlq_url",
    "ingest dead letters": "ingest_dlq_url",
    "loads": "load_queue_url",
    "load dead letters": "load_dlq_url",
    "feedback": "feedback_queue_url",
    "feedback dead letters": "feedback_dlq_url",
}
"""What people call a queue, and the Terraform output that holds its url."""

OF_BRANCHES = {"load_queue_url", "load_dlq_url", "feedback_queue_url", "feedback_dlq_url"}
"""Outputs that are null where their branch is off."""

_PEEK_SECONDS = 20
_BATCH = 10


@dataclass(frozen=True)
class Depth:
    """Messages waiting, being worked on, and delayed. SQS calls the numbers approximate."""

    waiting: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        return self.waiting + self.in_flight + self.delayed


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
    """Of the pipeline's queues, those of branches where they are on."""
    sqs = stack.client("sqs")
    return {name: depth(sqs, stack[output]) for name, output in present(stack, QUEUES).items()}


def present(stack: Stack, named: Mapping[str, str]) -> dict[str, str]:
    """Of queues by name and output those that the stack has."""
    return {name: output for name, output in named.items() if output not in OF_BRANCHES or stack.outputs.get(output)}


def peek(sqs: Any, url: str, limit: int = 1_000) -> list[str]:
    """Bodies of up to ``limit`` waiting messages; each is shown again to others at once.

    Receiving counts as a receive. A dead-letter queue has no redrive of its own, so that changes nothing there.
    """
    limit = min(limit, depth(sqs, url).waiting)
    bodies: dict[str, str] = {}
    handles: list[tuple[str, str]] = []
    while len(bodies) < limit:
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=_BATCH, VisibilityTimeout=_PEEK_SECONDS, WaitTimeSeconds=1
        )
        fresh = [m for m in answer.get("Messages", []) if m["MessageId"] not in bodies]
        if not fresh:
            break
        bodies |= {message["MessageId"]: message["Body"] for message in fresh}
        handles += [(message["MessageId"], message["ReceiptHandle"]) for message in fresh]
    for start in range(0, len(handles), _BATCH):
        entries = [
            {"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for n, (_, handle) in enumerate(handles[start : start + _BATCH])
        ]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
    return list(bodies.values())


def keys_named(body: str) -> set[str]:
    """The object keys that a dead letter names: a chunk message, ingest's own record, or Lambda's failed event."""
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
