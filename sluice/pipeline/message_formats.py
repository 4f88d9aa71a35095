"""The formats of dead-letter messages: which object each names, why it failed, and what redelivers it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sluice.pipeline.branches import CORE, Queue
from sluice.pipeline.queues import UNDELIVERED
from sluice_pipeline.events.announcements import COMMITTED, STAGED
from sluice_pipeline.events.messages import ChunkMessage, MalformedMessage
from sluice_pipeline.events.notifications import FAILED_OBJECT, Notification
from sluice_pipeline.objects.identity import Origin

SEE_LEDGER = "see the ledger"
"""The reason of a message whose body does not say it."""


class Kind(StrEnum):
    """What a message in a dead-letter queue can be."""

    CHUNK = "chunk message"
    OBJECT = "object that was not planned"
    EVENT = "event that ingest failed on"
    COMMITTED = "object.committed event that a branch failed on"
    STAGED = "object.staged event whose audit was not started"
    NOTICE = "notice that was not mailed"
    UNDELIVERED = "event that EventBridge could not deliver"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class DeadLetterMessage:
    """A message received from a dead-letter queue; ``handle`` deletes or releases it while it is hidden."""

    queue: str
    message_id: str
    body: str
    handle: str
    receives: int
    """As SQS counts them: those before it was moved here, and every look since."""
    sent_at: datetime | None
    kind: Kind
    reason: str
    origin: Origin | None = None
    chunk: str | None = None

    @property
    def object_id(self) -> str | None:
        return self.origin.object_id if self.origin else None

    @property
    def key(self) -> str | None:
        return self.origin.key if self.origin else None

    @property
    def repairable(self) -> bool:
        """Whether redelivering it can succeed."""
        return self.kind not in (Kind.UNDELIVERED, Kind.UNKNOWN)

    def age(self, now: datetime | None = None) -> float | None:
        """Seconds since it was first sent: SQS does not change that time when it moves a message."""
        return ((now or datetime.now(UTC)) - self.sent_at).total_seconds() if self.sent_at else None

    def named_by(self, word: str) -> bool:
        """Whether ``word`` is (the beginning of) its id or its object's id, or its key; ``x/`` is all keys below."""
        start = word.lower()
        if len(start) >= 4 and (self.message_id.lower().startswith(start) or (self.object_id or "").startswith(start)):
            return True
        if self.origin is None:
            return False
        key = word.removeprefix(f"s3://{self.origin.bucket}/")
        return self.origin.key == key or (key.endswith("/") and self.origin.key.startswith(key))


def read_message(queue: Queue, message: Mapping[str, Any]) -> DeadLetterMessage:
    """A message as SQS returns it, read as this queue's dead-letter messages are."""
    attributes = message.get("Attributes", {})
    sent = attributes.get("SentTimestamp")
    body = str(message["Body"])
    found = _reader(queue)(body)
    if why := _undelivered(message):
        found |= {"reason": why} | ({"kind": Kind.UNDELIVERED} if queue.url is None else {})
    return DeadLetterMessage(
        queue=queue.key,
        message_id=str(message["MessageId"]),
        body=body,
        handle=str(message["ReceiptHandle"]),
        receives=int(attributes.get("ApproximateReceiveCount", 0)),
        sent_at=datetime.fromtimestamp(int(sent) / 1000, UTC) if sent else None,
        **found,
    )


def _reader(queue: Queue) -> Callable[[str], dict[str, Any]]:
    """The core's queues hold S3's notifications, chunks and notices, those of branches events about objects."""
    if queue.branch != CORE:
        return _object_event
    return {"chunks": _chunk, "digest": _notice}.get(queue.key, _notification)


def _undelivered(message: Mapping[str, Any]) -> str:
    """What EventBridge says of an event that did not reach its target; empty for any other message.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-rule-dlq
    """
    given = message.get("MessageAttributes") or {}
    words = [str(given[name]["StringValue"]) for name in UNDELIVERED if name in given]
    return f"EventBridge did not deliver it: {': '.join(words)}" if words else ""


def _chunk(body: str) -> dict[str, Any]:
    try:
        message = ChunkMessage.from_json(body)
    except MalformedMessage as error:
        return {"kind": Kind.UNKNOWN, "reason": f"not a chunk message: {error}"}
    chunk = f"{message.chunk.index} of {message.chunk.count}" if message.chunk.count > 1 else None
    return {"kind": Kind.CHUNK, "reason": SEE_LEDGER, "origin": message.origin, "chunk": chunk}


def _notification(body: str) -> dict[str, Any]:
    try:
        objects = Notification.from_json(body).objects
        raw = json.loads(body)
    except MalformedMessage as error:
        return {"kind": Kind.UNKNOWN, "reason": str(error)}
    if not objects:
        return {"kind": Kind.UNKNOWN, "reason": "it announces no object"}
    about = {"origin": objects[0].as_origin()}
    if raw.get("schema") == FAILED_OBJECT:
        return about | {"kind": Kind.OBJECT, "reason": f"{raw.get('reason')}: {raw.get('detail')}"}
    return about | {"kind": Kind.EVENT, "reason": _retries_exhausted(raw) if "requestPayload" in raw else SEE_LEDGER}


def _notice(body: str) -> dict[str, Any]:
    """Whatever it is, the function `digest` can mail it."""
    try:
        notice = json.loads(body)
        about = notice.get("kind") or notice.get("AlarmName")
    except (ValueError, RecursionError, AttributeError):
        about = None
    return {"kind": Kind.NOTICE, "reason": f"not mailed: {str(about or 'a text')[:100]}"}


def _object_event(body: str) -> dict[str, Any]:
    kinds = {COMMITTED: Kind.COMMITTED, STAGED: Kind.STAGED}
    try:
        event = json.loads(body)
        if event["detail-type"] not in kinds:
            return {"kind": Kind.UNKNOWN, "reason": f"not {COMMITTED}, but {event['detail-type']}"}
        origin = Origin(**event["detail"]["origin"])
    except (ValueError, KeyError, TypeError):
        return {"kind": Kind.UNKNOWN, "reason": f"no {COMMITTED} event"}
    return {"kind": kinds[event["detail-type"]], "reason": SEE_LEDGER, "origin": origin}


def _retries_exhausted(raw: Mapping[str, Any]) -> str:
    """The reason in Lambda's record of an asynchronous invocation that failed.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    answer = raw.get("responsePayload") or {}
    words = [str(answer.get(name)) for name in ("errorType", "errorMessage") if answer.get(name)]
    return ": ".join(words) or str((raw.get("requestContext") or {}).get("condition") or "failed")
