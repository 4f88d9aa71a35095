"""ingest's queue: which messages of a batch fail, when they come again, and what is recorded of them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from fixtures import aws_events
from sluice_pipeline.consumer.redelivery import Redelivery
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.events.notifications import (
    SCANNED_OBJECT,
    Notification,
    UnknownEvent,
    failed_object,
    s3_event,
)
from sluice_pipeline.objects.identity import ObjectRef
from tests.support.handlers import Context, loaded, notices, sqs_event

BODY = b'{"n": 1}\n'
BROKEN = "broken"


class Function:
    """The handler; S3 throttles every object whose key has ``broken`` in it."""

    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self._module = module
        self.s3, self.dynamodb, self.sqs, self.sns = (clients[name] for name in ("s3", "dynamodb", "sqs", "sns"))
        self.s3.get_object.side_effect = self._get
        self.sqs.send_message_batch.return_value = {}
        self.dynamodb.update_item.return_value = {"Attributes": {}}

    def _get(self, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        if BROKEN in Key:
            raise ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
        return {"Body": io.BytesIO(BODY), "Metadata": {}}

    @property
    def planner(self) -> Any:
        return self._module.planner

    def failed(self, *bodies: str, receives: int = 1) -> list[str]:
        answer = self._module.handler(sqs_event(*bodies, receives=receives), Context())
        return [one["itemIdentifier"] for one in answer["batchItemFailures"]]

    @property
    def sent(self) -> list[str]:
        """Keys of the objects whose chunks were sent."""
        batches = [call.kwargs["Entries"] for call in self.sqs.send_message_batch.call_args_list]
        return [ChunkMessage.from_json(entry["MessageBody"]).object.key for batch in batches for entry in batch]

    @property
    def waits(self) -> dict[str, int]:
        calls = self.sqs.change_message_visibility.call_args_list
        assert {call.kwargs["QueueUrl"] for call in calls} <= {"http://sqs/ingest"}
        return {call.kwargs["ReceiptHandle"]: call.kwargs["VisibilityTimeout"] for call in calls}


@pytest.fixture
def function() -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "sqs", "sns")}
    with loaded("core.ingest.handler", settings={"TIMEOUT_SECONDS": "30"}, **clients) as module:
        yield Function(module, clients)


def ref(name: str) -> ObjectRef:
    return ObjectRef("bronze-b", f"bronze/shipments/{name}.jsonl", "v1", f"e-{name}", len(BODY))


def body(*names: str) -> str:
    return json.dumps({"Records": [record for name in names for record in s3_event(ref(name))["Records"]]})


def test_of_ten_messages_only_the_one_that_failed_comes_again(function: Function) -> None:
    names = [BROKEN if number == 4 else f"n{number}" for number in range(10)]
    assert function.failed(*(body(name) for name in names)) == ["m4"]
    assert function.sent == [ref(name).key for name in names if name != BROKEN]
    assert function.waits == {"handle-4": 1}
    assert notices(function.sns) == []


def test_objects_of_one_message_do_not_wait_for_one_that_fails(function: Function) -> None:
    assert function.failed(body("a", BROKEN, "b")) == ["m0"]
    assert function.sent == [ref("a").key, ref("b").key]


def test_an_object_that_fails_every_time_is_recorded_and_notified_at_its_last_receive(function: Function) -> None:
    assert function.failed(body(BROKEN), receives=5) == ["m0"]
    (notice,) = notices(function.sns)
    assert (notice["kind"], notice["reason"]) == ("object.failed", "retries_exhausted")
    assert "SlowDown" in notice["detail"]
    assert function.waits == {"handle-0": 0}
    assert function.sqs.send_message.call_args_list == []  # SQS itself moves it


@pytest.mark.parametrize("stray", ["no json", "[]", "{}", '{"Records": [{}]}', '{"schema": "sluice.failed-object/1"}'])
def test_what_is_no_notification_dies_alone_with_one_notice(function: Function, stray: str) -> None:
    assert function.failed(body("a"), stray, receives=1) == ["m1"]
    assert notices(function.sns) == []
    assert function.failed(stray, receives=5) == ["m0"]
    (notice,) = notices(function.sns)
    assert (notice["kind"], notice["queue"]) == ("dead.letter", "ingest")
    assert function.sent == [ref("a").key]
    assert function.sqs.send_message.call_args_list == []


def test_the_test_event_is_acknowledged_and_a_permanent_error_is_one_dead_letter_message(function: Function) -> None:
    unknown = json.dumps(s3_event(ObjectRef("bronze-b", "bronze/nothing/a.jsonl", "v1", "e", 1)))
    assert function.failed(json.dumps(aws_events.load("s3_test_event")), unknown) == []
    (dead,) = function.sqs.send_message.call_args_list
    assert dead.kwargs["QueueUrl"] == "http://sqs/ingest-dlq"
    assert json.loads(dead.kwargs["MessageBody"])["reason"] == "unknown_dataset"


@pytest.mark.parametrize("restored", [False, True])
def test_an_object_that_is_read_through_in_part_is_gone_on_with_by_a_message_of_its_own(
    function: Function, monkeypatch: pytest.MonkeyPatch, restored: bool
) -> None:
    """A CSV of three blocks, one an invocation, in whatever way it was announced; then it is planned once."""
    text = b"shipment_id,carrier\n" + b"s,c\n" * 400
    blocks = [text[:700], text[700:1400], text[1400:]]
    about = ObjectRef("bronze-b", "bronze/shipments/a.csv", "v1", "e", len(text))

    def get(Range: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803
        start = int(Range.removeprefix("bytes=").split("-")[0] or 0) if Range else 0
        whole = io.BytesIO(text[start:])
        whole.iter_chunks = lambda _size: iter(blocks[start // 700 :])  # type: ignore[attr-defined]
        return {"Body": whole, "Metadata": {}}

    function.s3.get_object.side_effect = get
    monkeypatch.setattr(function.planner, "_scan_seconds", 0)
    event = s3_event(about)
    if restored:
        event["Records"][0]["eventName"] = "ObjectRestore:Completed"
    bodies = [json.dumps(event)]
    for scanned in (700, 1400):
        assert function.failed(bodies[-1]) == []
        sent = function.sqs.send_message.call_args.kwargs
        assert sent["QueueUrl"] == "http://sqs/ingest"
        found = Notification.from_json(sent["MessageBody"])
        assert (found.objects, found.scanned, bool(found.restored)) == ((about,), scanned, restored)
        bodies.append(sent["MessageBody"])
    assert function.sent == []
    assert function.failed(bodies[-1]) == []
    assert function.sent == [about.key] * 2
    assert function.sqs.send_message.call_count == 2


@pytest.mark.parametrize("scanned", [None, "5", 0, -1, 10, 11])
def test_a_position_outside_of_the_object_is_no_message_of_ingests(scanned: object) -> None:
    about = ObjectRef("bronze-b", "bronze/shipments/a.csv", "v1", "e", 10)
    with pytest.raises(UnknownEvent, match="no position in the object"):
        Notification.from_json(json.dumps({"schema": SCANNED_OBJECT, "object": asdict(about), "scanned": scanned}))


TEXT = st.text(min_size=1, max_size=20)
REFS = st.builds(ObjectRef, TEXT, TEXT, TEXT, st.text("0123456789abcdef-", min_size=1), st.integers(0, 2**42), TEXT)


@given(REFS)
def test_a_redriven_message_names_the_same_object_whatever_it_is(about: ObjectRef) -> None:
    event = s3_event(about)
    for text in (json.dumps(event), failed_object(about, "c", "d"), json.dumps({"requestPayload": event})):
        [read] = Notification.from_json(text).objects
        assert (read, read.since) == (about, about.since)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Records", "eventName", "s3", "object", "bucket", "key", "eTag", "size", "requestPayload"])
            | st.text(max_size=3),
            part,
            max_size=4,
        )
    ),
)


@given(JSON.map(json.dumps) | st.text())
def test_any_body_is_read_or_refused_in_one_way(text: str) -> None:
    with contextlib.suppress(UnknownEvent):
        assert all(isinstance(one, ObjectRef) for one in Notification.from_json(text).objects)


@given(st.integers(1, 55), st.integers(5, 1000))
def test_the_last_wait_outlasts_the_lock_of_a_planner_that_died(seconds: int, receives: int) -> None:
    sqs = MagicMock()
    redelivery = Redelivery.outlasting(seconds, sqs, "http://sqs/ingest", receives)
    for number in range(1, receives + 1):
        redelivery.later("h", number)
    waits = [call.kwargs["VisibilityTimeout"] for call in sqs.change_message_visibility.call_args_list]
    assert waits[0] == 1
    assert waits[-1] == 0
    assert waits[-2] == seconds + 1
