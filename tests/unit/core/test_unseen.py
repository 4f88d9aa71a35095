"""S3's answers for a version that cannot be read: gone for good, or not shown yet.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html
"""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from fixtures import aws_events
from sluice_pipeline.consumer.redelivery import Redelivery
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.events.notifications import Notification, s3_event
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.failures import UNSEEN_AT_MOST, ObjectMissing, ObjectUnseen
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.objects.storage import Storage


def ref(seconds: float | None, version: str = "v1", size: int = 10) -> ObjectRef:
    """One that was announced so many seconds ago."""
    since = "" if seconds is None else (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    return ObjectRef("b", "bronze/shipments/a.jsonl", version, "e1", size, since)


def storage(get: str, head: str = "404") -> Storage:
    """Of a bucket whose answers have these codes; an empty code of GET is an object."""
    s3 = MagicMock()
    s3.head_object.side_effect = ClientError({"Error": {"Code": head}}, "HeadObject")
    if get:
        s3.get_object.side_effect = ClientError({"Error": {"Code": get}}, "GetObject")
    else:
        s3.get_object.return_value = {"Body": io.BytesIO(b"0123456789"), "Metadata": {}}
    return Storage(s3)


CALLS = {
    "head": lambda one, about: one.head(about, 5),
    "read": lambda one, about: one.read(about, 0, 5),
    "blocks": lambda one, about: list(one.blocks(about)),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("size", [0, 10])
def test_a_version_that_s3_may_not_show_yet_is_not_gone(call: str, size: int) -> None:
    with pytest.raises(ObjectUnseen):
        CALLS[call](storage("NoSuchKey"), ref(5, size=size))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("code", "about"),
    [
        ("NoSuchVersion", ref(5)),  # it was deleted
        ("MethodNotAllowed", ref(5)),  # a delete marker
        ("NoSuchKey", ref(UNSEEN_AT_MOST.total_seconds() + 1)),
        ("NoSuchKey", ref(5, version="")),  # no versions, so no versioning was enabled
        ("NoSuchKey", ref(None)),
        ("NoSuchKey", replace(ref(5), since="yesterday")),
        ("NoSuchKey", replace(ref(5), since="2026-01-01T00:00:00")),  # of no zone
    ],
)
def test_what_is_gone_is_gone_at_once(call: str, code: str, about: ObjectRef) -> None:
    with pytest.raises(ObjectMissing):
        CALLS[call](storage(code), about)


def test_head_has_no_code_so_get_says_whether_a_version_is_gone_or_new() -> None:
    assert not storage("NoSuchVersion").exists(ref(5))
    assert not storage("NoSuchKey").exists(ref(5, version=""))
    assert storage("").exists(ref(5))
    with pytest.raises(ObjectUnseen):
        storage("NoSuchKey").exists(ref(5))


def test_when_an_object_was_announced_travels_from_its_event_to_its_chunks_and_back_and_is_no_part_of_it() -> None:
    event = aws_events.object_created("b", "bronze/shipments/a.jsonl", version_id="v1", etag='"e1"', size=10)
    event["Records"][0]["eventTime"] = "2026-11-27T01:02:03.456Z"
    [about] = Notification.from_event(event).objects
    assert about.since == "2026-11-27T01:02:03.456Z"
    assert about == replace(about, since="")
    message = ChunkMessage(about, about.as_origin(), "shipments", Chunk(0, 0, 10, 1))
    assert ChunkMessage.from_json(message.to_json()).object.since == about.since
    assert Notification.from_event(s3_event(about)).created[0].since == about.since
    item: dict[str, Any] = {"bucket": "b", "key": about.key, "version_id": "v1", "etag": "e1", "size": 10}
    assert ObjectRef.from_item(item | {"received_at": "first"}).since == "first"
    assert ObjectRef.from_item(item | {"received_at": "first", "began_at": "now"}).since == "now"
    assert ObjectRef.from_item(item) == about


@given(st.integers(5, 1000))
def test_receives_follow_one_another_soon_and_the_last_one_after_s3_shows_everything(limit: int) -> None:
    """No version has failed, or is taken for deleted, before AWS says that it must be there."""
    waits: list[int] = []
    sqs = MagicMock()
    sqs.change_message_visibility.side_effect = lambda **call: waits.append(call["VisibilityTimeout"])
    redelivery = Redelivery(sqs, "http://sqs/chunks", limit)
    for receives in range(1, limit + 1):
        redelivery.until_seen("handle", receives)
    *before, last = waits
    assert last == 0  # to the dead-letter queue
    assert before == sorted(before)
    assert before[0] <= 2
    assert before[-1] >= UNSEEN_AT_MOST.total_seconds()
    assert sum(before) < limit + 1100
