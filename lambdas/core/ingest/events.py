"""Reads S3 event notifications: keys are URL-encoded, and a test event has no records.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from sluice_pipeline.objects.identity import ObjectRef

TEST_EVENT: Final = "s3:TestEvent"
CREATED: Final = "ObjectCreated:"  # by Put, Post, Copy, CompleteMultipartUpload
RESTORED: Final = "ObjectRestore:Completed"  # from an archive


class UnknownEvent(ValueError):
    """Neither an S3 notification nor S3's test event; Lambda sends it to the ingest dead-letter queue."""


def objects_in(event: Mapping[str, Any], kind: str = CREATED) -> list[ObjectRef]:
    """The objects that a notification names in its events of a kind; none for S3's test event.

    Raises:
        UnknownEvent: the event has another shape.
    """
    if event.get("Event") == TEST_EVENT:
        return []
    try:
        return [_object(record) for record in event["Records"] if record["eventName"].startswith(kind)]
    except (KeyError, TypeError, AttributeError) as error:
        raise UnknownEvent(f"not an S3 notification, {error!r} is missing or wrong: {str(event)[:300]}") from error


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
