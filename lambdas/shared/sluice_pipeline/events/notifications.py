"""S3's event notifications, and the records of those that failed: all that the ingest queue may hold.

In a notification keys are URL-encoded, and a test event has no records:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self
from urllib.parse import quote_plus, unquote_plus

from sluice_pipeline.events.messages import MalformedMessage
from sluice_pipeline.objects.identity import ObjectRef

TEST_EVENT: Final = "s3:TestEvent"
CREATED: Final = "ObjectCreated:"  # by Put, Post, Copy, CompleteMultipartUpload
RESTORED: Final = "ObjectRestore:Completed"  # from an archive
FAILED_OBJECT: Final = "sluice.failed-object/1"
"""The schema of the record that ingest writes about an object that it could not plan."""
SCANNED_OBJECT: Final = "sluice.scanned-object/1"
"""The schema of the message by which ingest goes on with an object that it could not read through in its time."""
_DETAIL: Final = 1000  # characters of an error in such a record


class UnknownEvent(MalformedMessage):
    """Neither an S3 notification, nor S3's test event, nor a record of a failed one."""


@dataclass(frozen=True, slots=True)
class Notification:
    """The objects that a message announces: new ones, and those that are back from an archive.

    ``scanned``: how many bytes of the one object have been read through.
    """

    created: tuple[ObjectRef, ...] = ()
    restored: tuple[ObjectRef, ...] = ()
    scanned: int = 0

    @classmethod
    def from_json(cls, body: str) -> Self:
        """What the body of a message of the ingest queue announces; nothing for S3's test event.

        ``scanned_object`` is ingest's own. A redriven message is its record (``failed_object``) or Lambda's of an
        invocation that failed.
        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html

        Raises:
            UnknownEvent: it is none of these.
        """
        try:
            event = json.loads(body)
        except ValueError as error:
            raise UnknownEvent(f"not JSON: {error}") from error
        if not isinstance(event, dict):
            raise UnknownEvent("not a JSON object")
        if event.get("schema") == FAILED_OBJECT:
            return cls(created=(_recorded(event),))
        if event.get("schema") == SCANNED_OBJECT:
            ref, scanned = (_recorded(event),), event.get("scanned")
            if not isinstance(scanned, int) or not 0 < scanned < ref[0].size:
                raise UnknownEvent(f"{SCANNED_OBJECT}: {scanned!r} is no position in the object")
            return cls(restored=ref, scanned=scanned) if event.get("restored") else cls(created=ref, scanned=scanned)
        if "requestPayload" in event:
            return cls.from_event(event["requestPayload"])
        return cls.from_event(event)

    @classmethod
    def from_event(cls, event: Any) -> Self:
        """What a notification announces.

        Raises:
            UnknownEvent: the event has another shape.
        """
        try:
            if event.get("Event") == TEST_EVENT:
                return cls()
            records = [(str(record["eventName"]), record) for record in event["Records"]]
            return cls(
                created=tuple(_object(record) for name, record in records if name.startswith(CREATED)),
                restored=tuple(_object(record) for name, record in records if name.startswith(RESTORED)),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UnknownEvent(f"not an S3 notification, {error!r} is missing or wrong: {str(event)[:300]}") from error

    @property
    def objects(self) -> tuple[ObjectRef, ...]:
        return self.created + self.restored


def failed_object(ref: ObjectRef, code: str, detail: str) -> str:
    """The dead-letter message of an object without a plan: enough to look at it and to redrive it."""
    return json.dumps({"schema": FAILED_OBJECT, "object": asdict(ref), "reason": code, "detail": detail[:_DETAIL]})


def scanned_object(ref: ObjectRef, scanned: int, *, restored: bool) -> str:
    """The message that asks ingest to read an object through from a byte on."""
    return json.dumps({"schema": SCANNED_OBJECT, "object": asdict(ref), "scanned": scanned, "restored": restored})


def s3_event(ref: ObjectRef) -> dict[str, Any]:
    """S3's notification of an object version, as far as ingest reads it."""
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


def _recorded(event: Mapping[str, Any]) -> ObjectRef:
    try:
        return ObjectRef(**event["object"])
    except (KeyError, TypeError) as error:
        raise UnknownEvent(f"{event['schema']} without an object") from error


def _object(record: Mapping[str, Any]) -> ObjectRef:
    entity = record["s3"]["object"]
    return ObjectRef(
        bucket=str(record["s3"]["bucket"]["name"]),
        key=unquote_plus(entity["key"]),
        version_id=str(entity.get("versionId") or ""),
        etag=str(entity["eTag"]).strip('"'),
        size=int(entity.get("size", 0)),
        since=str(record.get("eventTime", "")),
    )
