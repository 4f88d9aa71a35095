"""The formats of dead-letter messages: which object each names, why it failed, and what redelivers it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from sluice.pipeline.branches import CORE, Queue
from sluice.pipeline.queues import UNDELIVERED
from sluice_pipeline.events.announcements import COMMITTED, STAGED
from sluice_pipeline.events.messages import ChunkMessage, MalformedMessage
from sluice_pipeline.objects.identity import ObjectRef, Origin

FAILED_OBJECT = "sluice.failed-object/1"
"""The schema of the record that ingest writes about an object that it could not plan."""


SEE_LEDGER = "see the ledger"
"""The reason of a message whose body does not say it."""


class Kind(StrEnum):
    """What a message in a dead-letter queue can be."""

    CHUNK = "chunk message"
    OBJECT = "object that was not planned"
    EVENT = "event that ingest failed on"
    COMMITTED = "object.committed event that a branch failed on"
    STAGED = "object.staged event whose audit was not started"
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
    event: Mapping[str, Any] | None = field(default=None, repr=False)
    """What ingest has to be invoked with, for the messages that an invocation redelivers."""

    @property
    def object_id(self) -> str | None:
        return self.origin.object_id if self.origin else None

    @property
    def key(self) -> str | None:
        return self.origin.key if self.origin else None

    @property
    def repairable(self) -> bool:
        """Whether redelivering it can succeed."""
        return self.kind in (Kind.CHUNK, Kind.COMMITTED, Kind.STAGED) or self.event is not None

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


def s3_event(ref: ObjectRef) -> dict[str, Any]:
    """S3's notification of an object version, as far as ingest reads it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    entity: dict[str, Any] = {"key": quote_plus(ref.key, safe="/"), "size": ref.size, "eTag": ref.etag}
    if ref.version_id:
        entity["versionId"] = ref.version_id
    record: dict[str, Any] = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": ref.bucket}, "object": entity},
    }
    if ref.since:
        record["eventTime"] = ref.since
    return {"Records": [record]}


def _reader(queue: Queue) -> Callable[[str], dict[str, Any]]:
    """The core's queues hold chunk messages and Lambda's failed events, those of branches events about objects."""
    if queue.url is None:
        return _failed_event
    return _chunk if queue.branch == CORE else _object_event


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


def _failed_event(body: str) -> dict[str, Any]:
    try:
        raw = json.loads(body)
    except ValueError:
        return {"kind": Kind.UNKNOWN, "reason": "not JSON"}
    if not isinstance(raw, dict):
        return {"kind": Kind.UNKNOWN, "reason": "not a JSON object"}
    if raw.get("schema") == FAILED_OBJECT:
        try:
            ref = ObjectRef(**raw["object"])
        except (KeyError, TypeError):
            return {"kind": Kind.UNKNOWN, "reason": f"{FAILED_OBJECT} without an object"}
        reason = f"{raw.get('reason')}: {raw.get('detail')}"
        return {"kind": Kind.OBJECT, "reason": reason, "origin": ref.as_origin(), "event": s3_event(ref)}
    if "requestPayload" in raw:
        return _retries_exhausted(raw)
    return {"kind": Kind.UNKNOWN, "reason": "neither a record of ingest nor one of Lambda"}


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


def _retries_exhausted(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Lambda's record of an asynchronous invocation that failed.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    answer = raw.get("responsePayload") or {}
    words = [str(answer.get(name)) for name in ("errorType", "errorMessage") if answer.get(name)]
    condition = str((raw.get("requestContext") or {}).get("condition") or "failed")
    reason = ": ".join(words) or condition
    try:
        record = raw["requestPayload"]["Records"][0]
        entity = record["s3"]["object"]
        key, etag = unquote_plus(entity["key"]), str(entity["eTag"]).strip('"')
        origin = Origin(record["s3"]["bucket"]["name"], key, etag, str(entity.get("versionId") or ""))
    except (KeyError, IndexError, TypeError):
        return {"kind": Kind.UNKNOWN, "reason": f"its event is no S3 notification; {reason}"}
    return {"kind": Kind.EVENT, "reason": reason, "origin": origin, "event": raw["requestPayload"]}
