"""Dead-letter messages: what each shape is about, which words name it, and when one is deleted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sluice import cli
from sluice.console import SluiceError
from sluice.pipeline import dead_letters
from sluice.pipeline.branches import Branches
from sluice.pipeline.dead_letters import DeadLetters, describe
from sluice.pipeline.message_formats import DeadLetterMessage, Kind, read_message
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.events.notifications import Notification, failed_object, s3_event
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef, Origin
from tests.support.fakes import FakeSqs, FakeStack

REF = ObjectRef("b", "bronze/shipments/a é+b.jsonl", "v1", "e" * 32, 10)
EVENT = s3_event(REF)


def chunk_body(index: int = 0, count: int = 1) -> str:
    return ChunkMessage(REF, REF.as_origin(), "shipments", Chunk(index, 0, 10, count)).to_json()


def failed_record(key: str = REF.key) -> str:
    return failed_object(replace(REF, key=key), "unreadable", "NUL bytes")


def retries_exhausted(payload: Any) -> str:
    answer = {"errorType": "AccessDenied", "errorMessage": "no"}
    return json.dumps({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": payload,
                       "responsePayload": answer})  # fmt: skip


QUEUES = Branches.of(FakeStack()).queues  # type: ignore[arg-type]


def message(queue: str, body: str, message_id: str = "0123abcd-1") -> DeadLetterMessage:
    attributes = {"ApproximateReceiveCount": "6", "SentTimestamp": "1740830400000"}
    return read_message(
        QUEUES[queue], {"MessageId": message_id, "Body": body, "ReceiptHandle": "h", "Attributes": attributes}
    )


# -- what it is --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queue", "body", "kind", "reason", "repairable"),
    [
        ("chunks", chunk_body(), Kind.CHUNK, "see the ledger", True),
        ("chunks", "rubbish", Kind.UNKNOWN, "not a chunk message: not JSON", False),
        ("ingest", failed_record(), Kind.OBJECT, "unreadable: NUL bytes", True),
        ("ingest", json.dumps(EVENT), Kind.EVENT, "see the ledger", True),
        ("ingest", retries_exhausted(EVENT), Kind.EVENT, "AccessDenied: no", True),
        ("ingest", retries_exhausted({"hello": 1}), Kind.UNKNOWN, "not an S3 notification", False),
        ("ingest", retries_exhausted(None), Kind.UNKNOWN, "not an S3 notification", False),
        ("ingest", '{"Event": "s3:TestEvent"}', Kind.UNKNOWN, "it announces no object", False),
        ("ingest", "[]", Kind.UNKNOWN, "not a JSON object", False),
        ("ingest", "{}", Kind.UNKNOWN, "not an S3 notification", False),
        ("ingest", '{"schema": "sluice.failed-object/1"}', Kind.UNKNOWN, "without an object", False),
    ],
)
def test_each_shape_says_what_it_is_why_it_died_and_whether_it_can_be_worked(
    queue: str, body: str, kind: Kind, reason: str, repairable: bool
) -> None:
    found = message(queue, body)
    assert found.kind is kind
    assert reason in found.reason
    assert found.repairable is repairable
    assert found.key == (REF.key if repairable else None)
    assert found.object_id == (REF.as_origin().object_id if repairable else None)


@pytest.mark.parametrize("body", [json.dumps(EVENT), failed_record(), retries_exhausted(EVENT)])
def test_ingest_reads_every_message_that_its_queue_may_get_back(body: str) -> None:
    assert EVENT["Records"][0]["s3"]["object"]["key"] == "bronze/shipments/a+%C3%A9%2Bb.jsonl"
    assert Notification.from_json(body) == Notification(created=(REF,))


def test_an_event_that_eventbridge_could_not_deliver_says_why_and_no_function_can_process_it() -> None:
    attributes = {name: {"StringValue": name.lower(), "DataType": "String"} for name in ("ERROR_CODE", "ERROR_MESSAGE")}
    raw = {
        "MessageId": "0123abcd-1",
        "Body": '{"detail-type": "x"}',
        "ReceiptHandle": "h",
        "MessageAttributes": attributes,
    }
    found = read_message(replace(QUEUES["ingest"], key="events", url=None), raw)
    assert (found.kind, found.repairable) == (Kind.UNDELIVERED, False)
    assert found.reason == "EventBridge did not deliver it: error_code: error_message"
    branch = replace(QUEUES["chunks"], branch="lake")
    event = json.dumps({"detail-type": "object.committed", "detail": {"origin": asdict(REF.as_origin())}})
    for_branch = read_message(branch, raw | {"Body": event})
    assert (for_branch.kind, for_branch.repairable, for_branch.reason) == (Kind.COMMITTED, True, found.reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"kind": "object.failed"}', "not mailed: object.failed"),
        ('{"AlarmName": "sluice-dev-load-errors"}', "not mailed: sluice-dev-load-errors"),
        ("rubbish", "not mailed: a text"),
        ("[" * 100_000, "not mailed: a text"),
    ],
)
def test_a_notice_that_was_not_mailed_can_be_redelivered_whatever_it_is(body: str, reason: str) -> None:
    raw = {"MessageId": "0123abcd-1", "Body": body, "ReceiptHandle": "h"}
    found = read_message(replace(QUEUES["ingest"], key="digest"), raw)
    assert (found.kind, found.repairable, found.reason) == (Kind.NOTICE, True, reason)


def test_a_message_is_named_by_its_id_its_object_or_its_key() -> None:
    found = message("chunks", chunk_body())
    identity = REF.as_origin().object_id
    for word in ("0123ABCD", identity, identity[:6], REF.key, f"s3://b/{REF.key}", "bronze/shipments/", "bronze/"):
        assert found.named_by(word), word
    for word in ("012", identity[:3], "bronze/shipments/a", "s3://c/" + REF.key, "bronze/flights/"):
        assert not found.named_by(word), word
    assert not message("chunks", "rubbish").named_by(REF.key)


def test_age_counts_from_the_first_sending() -> None:
    found = message("chunks", chunk_body(2, 5))
    assert found.age(datetime(2025, 3, 1, 12, 1, tzinfo=UTC)) == timedelta(minutes=1).total_seconds()
    assert (found.receives, found.chunk) == (6, "2 of 5")
    assert describe(found)["message_id"] == "0123abcd-1"


# -- what is done with it ----------------------------------------------------------------------------------------------


@dataclass
class Sqs(FakeSqs):
    """Queues that move and delete as well; ``log`` has the order of what matters."""

    log: list[str] = field(default_factory=list)
    moves: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)

    def get_queue_attributes(self, QueueUrl: str, **rest: Any) -> dict[str, Any]:  # noqa: N803
        found = super().get_queue_attributes(QueueUrl, **rest)
        found["Attributes"]["QueueArn"] = f"arn:{QueueUrl}"
        return found

    def send_message(self, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803
        self.log.append(f"send {QueueUrl}")
        super().send_message(QueueUrl, MessageBody)

    def delete_message(self, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        self.log.append(f"delete {ReceiptHandle}")

    def start_message_move_task(self, **request: Any) -> dict[str, str]:
        self.moves.append(request)
        return {"TaskHandle": "t"}

    def list_message_move_tasks(self, **_: Any) -> dict[str, Any]:
        return {"Results": [self.statuses.pop(0)]}

    def cancel_message_move_task(self, TaskHandle: str) -> None:  # noqa: N803
        self.log.append(f"cancel {TaskHandle}")


@dataclass
class Stack(FakeStack):
    """A stack with dead-letter messages."""

    sqs: Sqs = field(default_factory=Sqs)

    def put(self, queue: str, *bodies: str) -> DeadLetters:
        self.sqs.queues[f"http://sqs/{queue}-dlq"] = list(bodies)
        return DeadLetters(self)  # type: ignore[arg-type]


def test_looking_leaves_every_message_visible() -> None:
    stack = Stack()
    dead = stack.put("chunks", *[chunk_body()] * 12)
    assert len(dead.look("chunks")) == 12
    assert len(dead.look("chunks", limit=5)) == 5
    assert not stack.sqs.hidden


def test_the_ledger_gives_the_reason_of_a_chunk() -> None:
    stack = Stack()
    [name] = [stack.ingested("bronze/shipments/a.jsonl", 1)]
    item = stack.object_item(name)
    item |= {"state": "failed", "failed_reason": "retries_exhausted", "error": "5 tries"}
    origin = Origin(item["origin"]["bucket"], item["origin"]["key"], item["origin"]["etag"])
    body = ChunkMessage(REF, origin, "shipments", Chunk(0, 0, 10, 1)).to_json()
    dead = stack.put("chunks", body, chunk_body())
    assert [found.reason for found in dead.with_reasons(dead.look("chunks"))] == [
        "retries_exhausted: 5 tries",
        "the ledger does not know the object",
    ]


def test_a_message_is_deleted_after_its_redelivery_was_accepted() -> None:
    stack = Stack()
    done = stack.put("chunks", chunk_body(), "rubbish").redrive("chunks", lambda _: True)
    assert stack.sqs.log == ["send http://sqs/chunks", "delete http://sqs/chunks-dlq#0"]
    assert (done.before, done.moved, len(done.left)) == (2, 1, 1)
    assert not stack.sqs.hidden - {"http://sqs/chunks-dlq#0"}


def test_messages_of_ingest_go_back_to_its_queue_as_they_are() -> None:
    stack = Stack()
    bodies = [failed_record(), json.dumps(EVENT), retries_exhausted({"hello": 1})]
    done = stack.put("ingest", *bodies).redrive("ingest", lambda _: True)
    assert stack.sqs.queues["http://sqs/ingest"] == bodies[:2]
    assert (done.moved, [found.kind for found, _ in done.left]) == (2, [Kind.UNKNOWN])


def test_all_chunks_are_moved_by_sqs_with_its_own_rate_until_more_than_were_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dead_letters, "_POLL_SECONDS", 0)
    stack = Stack()
    stack.sqs.statuses = [
        {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 1},
        {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 2},
        {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 3},
        {"Status": "CANCELLED", "ApproximateNumberOfMessagesMoved": 3},
    ]
    done = stack.put("chunks", chunk_body(), chunk_body()).redrive_all("chunks", 7)
    assert stack.sqs.moves == [
        {"SourceArn": "arn:http://sqs/chunks-dlq", "DestinationArn": "arn:http://sqs/chunks",
         "MaxNumberOfMessagesPerSecond": 7}
    ]  # fmt: skip
    assert stack.sqs.log == ["cancel t"]  # it would go on with messages that die again
    assert (done.before, done.moved) == (2, 3)


def test_a_move_that_fails_or_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()
    stack.sqs.statuses = [{"Status": "FAILED", "FailureReason": "AccessDenied"}]
    dead = stack.put("chunks", chunk_body())
    with pytest.raises(SluiceError, match="stopped moving: AccessDenied"):
        dead.redrive_all("chunks")

    def refuse(**_: Any) -> dict[str, str]:
        raise ClientError({"Error": {"Code": "X", "Message": "a task is running"}}, "StartMessageMoveTask")

    monkeypatch.setattr(stack.sqs, "start_message_move_task", refuse)
    with pytest.raises(SluiceError, match="did not start to move the messages: a task is running"):
        dead.redrive_all("chunks")


def test_an_empty_queue_needs_no_task() -> None:
    stack = Stack()
    assert stack.put("chunks").redrive_all("chunks").before == 0
    assert stack.sqs.moves == []


def test_a_redrive_of_one_message_speaks_of_its_queue_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack()
    stack.put("chunks", chunk_body())
    stack.put("ingest", failed_record("bronze/shipments/other.jsonl"))
    monkeypatch.setattr("sluice.pipeline.stack.choose", lambda _target, _env: stack)
    cli.register_verbs()
    assert cli.run(["dlq", "redrive", "bronze/shipments/other.jsonl", "--json"]) == 0
    assert [(one["queue"], one["moved"]) for one in json.loads(capsys.readouterr().out)] == [("ingest", 1)]
    assert cli.run(["dlq", "redrive", "bronze/shipments/none.jsonl"]) == 1
    assert "no dead-letter message is named" in capsys.readouterr().err
