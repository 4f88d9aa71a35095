"""ingest: an S3 event in; chunk messages, ledger items, notices and dead-letter messages out."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock
from urllib.parse import quote_plus

import pytest
from botocore.exceptions import ClientError

from fixtures import aws_events
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.objects.identity import Origin
from tests.support.handlers import Context, ProjectDatasets, loaded, metrics, notices

BODY = b'{"n": 1}\n' * 200  # 1,800 bytes: two chunks of at most 1,000


class Function:
    """The handler and the clients that it got."""

    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self._module = module
        self.s3, self.dynamodb, self.sqs, self.sns = (clients[name] for name in ("s3", "dynamodb", "sqs", "sns"))
        self.s3.get_object.side_effect = lambda **_: {"Body": io.BytesIO(BODY), "Metadata": {}}
        self.sqs.send_message_batch.return_value = {}
        self.dynamodb.update_item.return_value = {"Attributes": {}}

    def upload(self, key: str, event: str = "ObjectCreated:Put", size: int = len(BODY)) -> None:
        stored = {"key": quote_plus(key), "versionId": "v1", "eTag": "e1", "size": size}
        record = {"eventName": event, "s3": {"bucket": {"name": "bronze-b"}, "object": stored}}
        self.send({"Records": [record]})

    def send(self, event: dict[str, Any]) -> None:
        self._module.handler(event, Context())

    def chunks(self) -> list[ChunkMessage]:
        batches = [call.kwargs["Entries"] for call in self.sqs.send_message_batch.call_args_list]
        return [ChunkMessage.from_json(entry["MessageBody"]) for batch in batches for entry in batch]


@pytest.fixture
def function() -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "sqs", "sns")}
    with loaded("core.ingest.handler", **clients) as module:
        yield Function(module, clients)


def test_an_object_is_planned_and_its_chunks_are_sent(function: Function) -> None:
    function.upload("bronze/shipments/a b.jsonl")
    chunks = function.chunks()
    assert [(m.chunk.index, m.chunk.start, m.chunk.end, m.chunk.count) for m in chunks] == [
        (0, 0, 900, 2),
        (1, 900, 1800, 2),
    ]
    assert {(m.object.key, m.object.version_id, m.dataset, m.run) for m in chunks} == {
        ("bronze/shipments/a b.jsonl", "v1", "shipments", 1)
    }
    (plan,) = function.dynamodb.transact_write_items.call_args_list
    assert len(plan.kwargs["TransactItems"]) == 4  # the object, its content and two chunks
    assert notices(function.sns) == []


def test_an_invocation_asks_once_for_the_rules_and_the_next_one_again(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    current = ProjectDatasets.current
    monkeypatch.setattr(ProjectDatasets, "current", lambda self: looks.append("look") or current(self))
    for number in (1, 2):
        events = [
            aws_events.object_created(
                "bronze-b", f"bronze/shipments/{name}.jsonl", version_id="v1", etag="e1", size=len(BODY)
            )
            for name in "abc"
        ]
        function.send(aws_events.sqs_batch([json.dumps(event) for event in events], "arn:aws:sqs:us-east-1:1:ingest"))
        assert len(function.chunks()) == 6 * number
        assert len(looks) == number


def test_the_test_event_of_s3_does_nothing(function: Function) -> None:
    function.send({"Event": "s3:TestEvent"})
    assert function.chunks() == []
    function.dynamodb.put_item.assert_not_called()
    function.dynamodb.transact_write_items.assert_not_called()


def test_an_object_of_an_unknown_dataset_becomes_a_dead_letter_message_a_ledger_item_and_a_notice(
    function: Function,
) -> None:
    function.upload("bronze/nothing/a.jsonl")
    assert function.chunks() == []
    (dead,) = function.sqs.send_message.call_args_list
    body = json.loads(dead.kwargs["MessageBody"])
    assert dead.kwargs["QueueUrl"] == "http://sqs/ingest-dlq"
    assert (body["object"]["key"], body["reason"]) == ("bronze/nothing/a.jsonl", "unknown_dataset")
    (notice,) = notices(function.sns)
    assert (notice["kind"], notice["reason"]) == ("object.failed", "unknown_dataset")
    recorded = function.dynamodb.update_item.call_args_list[-1].kwargs
    assert recorded["Key"]["pk"] == {"S": f"object#{Origin('bronze-b', 'bronze/nothing/a.jsonl', 'e1').object_id}"}
    assert recorded["ExpressionAttributeValues"][":code"] == {"S": "unknown_dataset"}


def test_an_object_that_is_gone_is_recorded_as_missing_and_is_no_dead_letter_message(function: Function) -> None:
    function.s3.get_object.side_effect = ClientError({"Error": {"Code": "NoSuchVersion"}}, "GetObject")
    function.upload("bronze/shipments/a.jsonl")
    assert [notice["kind"] for notice in notices(function.sns)] == ["object.missing"]
    assert function.sqs.send_message.call_args_list == []


def test_a_transient_error_is_raised_so_that_lambda_tries_again(function: Function) -> None:
    function.s3.get_object.side_effect = ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
    with pytest.raises(ClientError, match="SlowDown"):
        function.upload("bronze/shipments/a.jsonl")
    assert notices(function.sns) == []
    assert function.sqs.send_message.call_args_list == []


def test_an_event_of_another_shape_is_raised(function: Function) -> None:
    with pytest.raises(ValueError, match="not an S3 notification"):
        function.send({"Records": [{"eventName": "ObjectCreated:Put"}]})


@pytest.mark.parametrize("kind", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
def test_an_object_is_ingested_however_it_was_created(function: Function, kind: str) -> None:
    function.upload("bronze/shipments/a.jsonl", f"ObjectCreated:{kind}")
    assert len(function.chunks()) == 2


@pytest.mark.parametrize("kind", ["ObjectRemoved:Delete", "ObjectRestore:Post", "ObjectTagging:Put"])
def test_other_events_do_nothing(function: Function, kind: str) -> None:
    function.upload("bronze/shipments/a.jsonl", kind)
    assert function.chunks() == []
    assert function.s3.get_object.call_args_list == []


def test_a_restored_object_is_planned_whatever_idempotency_remembers(function: Function) -> None:
    function.upload("bronze/shipments/a.jsonl", "ObjectRestore:Completed")
    assert len(function.chunks()) == 2
    function.dynamodb.put_item.assert_not_called()  # no record of the event


def test_what_is_no_data_is_counted_and_nothing_else(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    function.upload("bronze/shipments/", size=0)
    assert metrics(capsys.readouterr().out) == {"ObjectsPassedOver": 1}
    for call in (function.s3.get_object, function.dynamodb.put_item, function.sqs.send_message, function.sns.publish):
        call.assert_not_called()


def test_an_archived_object_fails_at_once_with_its_storage_class(function: Function) -> None:
    error: Any = {"Error": {"Code": "InvalidObjectState"}, "StorageClass": "DEEP_ARCHIVE"}
    function.s3.get_object.side_effect = ClientError(error, "GetObject")
    function.upload("bronze/shipments/a.jsonl")
    (notice,) = notices(function.sns)
    assert (notice["kind"], notice["reason"]) == ("object.failed", "archived")
    assert "DEEP_ARCHIVE" in notice["detail"]
    (dead,) = function.sqs.send_message.call_args_list
    assert json.loads(dead.kwargs["MessageBody"])["reason"] == "archived"
