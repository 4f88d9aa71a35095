"""settle: chunks in the dead-letter queue whose function could not start have failed, and nothing else has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.shards import HEAD
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef
from tests.support.handlers import Context, loaded, metrics, notices

REF = ObjectRef("bronze-b", "bronze/shipments/a.jsonl", "v1", "e1", 10)
MESSAGE = ChunkMessage(REF, REF.as_origin(), "shipments", Chunk(0, 0, 10, 2))
OBJECT_ID = MESSAGE.origin.object_id
ENDED = "INIT_REPORT Init Duration: 120.00 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError\n"


class Settle:
    """The function over a dead-letter queue, a ledger and a log."""

    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self._module = module
        self.dynamodb, self.sqs, self.sns, self.logs = (clients[name] for name in ("dynamodb", "sqs", "sns", "logs"))
        self.stalled = True
        self.head: dict[str, Any] = {"shards": 1, "complete": True}
        self.items: dict[str, dict[str, Any]] = {}
        self.due: list[str] = []
        self.dynamodb.query.side_effect = lambda **_: {"Count": int(self.stalled)}
        self.dynamodb.get_paginator.return_value.paginate.side_effect = self._due
        self.dynamodb.get_item.side_effect = self._item
        self.dynamodb.update_item.return_value = {"Attributes": {}}
        self.sqs.receive_message.return_value = {"Messages": []}
        self.log(ENDED)
        self.chunk()

    def _item(self, **request: Any) -> dict[str, Any]:
        if request["Key"]["pk"]["S"] == HEAD[0]:
            return {"Item": typed(self.head)}
        found = self.items.get(request["Key"]["sk"]["S"])
        return {"Item": typed(found)} if found else {}

    def _due(self, **query: Any) -> list[dict[str, Any]]:
        """Failed and missing objects whose notices are due, two pages of each."""
        assert query["FilterExpression"] == "attribute_exists(notice_due)"
        key = query["ExpressionAttributeValues"][":key"]["S"]
        return [{"Items": []}, {"Items": [{"object_id": {"S": one}} for one in self.due if key == "failed#0"]}]

    def chunk(self, **values: Any) -> None:
        self.items["chunk#00000"] = {"pk": f"object#{OBJECT_ID}", "sk": "chunk#00000", "run": 1,
                                     "chunk_state": "pending"} | values  # fmt: skip

    def object(self, **values: Any) -> None:
        self.items["object"] = {"pk": f"object#{OBJECT_ID}", "sk": "object", "state": "planned", "chunk_count": 2,
                                "chunks_done": 2} | values  # fmt: skip

    def failed_object(self, **values: Any) -> None:
        """One whose failure is recorded, and its notice not known to be sent."""
        ref = {name: getattr(REF, name) for name in ("bucket", "key", "version_id", "etag", "size")}
        origin = {"bucket": REF.bucket, "key": REF.key, "etag": REF.etag}
        failed = {"state": "failed", "failed_reason": "unreadable", "error": "no rows", "notice_due": True}
        self.object(**ref, object_id=OBJECT_ID, origin=origin, dataset="shipments", **failed | values)

    def log(self, *lines: str) -> None:
        """The lines of one log stream."""
        pages = [
            {"events": [{"timestamp": number, "message": line, "logStreamName": "a"}]}
            for number, line in enumerate(lines, 1)
        ]
        self.logs.get_paginator.return_value.paginate.return_value = pages

    def run(self, *bodies: str) -> list[dict[str, Any]]:
        """The notices of a run in which the queue has these messages; SQS gives each of them again and again."""
        messages = [{"MessageId": f"m{n}", "ReceiptHandle": f"h{n}", "Body": body} for n, body in enumerate(bodies)]
        batches = [messages[at : at + 10] for at in range(0, len(messages), 10)]
        self.sqs.receive_message.side_effect = [*({"Messages": batch} for batch in batches), {"Messages": messages[:1]}]
        self.sns.reset_mock()
        self._module.handler({}, Context())
        return notices(self.sns)

    def is_read(self) -> bool:
        """Whether a run reads the table, as for a ledger of an earlier release."""
        self.dynamodb.scan.reset_mock()
        self.dynamodb.scan.return_value = {"Items": []}
        self.run()
        return bool(self.dynamodb.scan.called)

    def updates(self) -> list[str]:
        return [call.kwargs["Key"]["sk"]["S"] for call in self.dynamodb.update_item.call_args_list]


@pytest.fixture
def settle() -> Iterator[Settle]:
    clients = {name: MagicMock(name=name) for name in ("dynamodb", "sqs", "sns", "logs")}
    with loaded("core.settle.handler", **clients) as module:
        yield Settle(module, clients)


def test_a_dead_chunk_has_failed_with_how_its_function_ended_and_one_notice(
    settle: Settle, capsys: pytest.CaptureFixture[str]
) -> None:
    settle.log("REPORT RequestId: 1\tStatus: timeout\t\n", ENDED, "REPORT RequestId: 2\tDuration: 1 ms\n")
    [notice] = settle.run(MESSAGE.to_json())
    assert (notice["kind"], notice["reason"], notice["object_id"]) == ("object.failed", "retries_exhausted", OBJECT_ID)
    ended = "it could not start (Runtime.ImportModuleError)"
    assert f"5 tries, the function did not survive the last: {ended}, see " in notice["detail"]
    assert settle.updates() == ["chunk#00000", "object", "object"]
    assert metrics(capsys.readouterr().out)["ObjectsFailed"] == 1


def test_its_message_stays_in_the_queue_and_is_visible_again_at_once(settle: Settle) -> None:
    settle.run(*[MESSAGE.to_json()] * 11)
    settle.sqs.delete_message.assert_not_called()
    released = [
        (entry["ReceiptHandle"], entry["VisibilityTimeout"])
        for call in settle.sqs.change_message_visibility_batch.call_args_list
        for entry in call.kwargs["Entries"]
    ]
    assert released == [(f"h{n}", 0) for n in range(11)]


def test_a_second_look_at_the_same_message_sends_no_second_notice(settle: Settle) -> None:
    assert len(settle.run(MESSAGE.to_json())) == 1
    settle.chunk(chunk_state="failed")
    settle.failed_object(notice_due=False)
    assert settle.run(MESSAGE.to_json()) == []
    settle.chunk()  # another function records the same failure at the same time
    settle.dynamodb.update_item.side_effect = ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "x")
    assert settle.run(MESSAGE.to_json()) == []


@pytest.mark.parametrize("values", [{"chunk_state": "failed"}, {"run": 2}, {"chunk_state": "done"}])
def test_a_chunk_that_is_recorded_redriven_or_done_is_left_alone(settle: Settle, values: dict[str, Any]) -> None:
    settle.chunk(**values)
    settle.object(chunks_done=1, state="failed" if values == {"chunk_state": "failed"} else "planned")
    assert settle.run(MESSAGE.to_json()) == []
    assert settle.updates() == []


@pytest.mark.parametrize(("state", "sent"), [("planned", 1), ("committing", 0), ("committed", 0)])
def test_an_object_whose_chunks_are_done_and_that_is_not_announced_has_failed(
    settle: Settle, state: str, sent: int
) -> None:
    settle.chunk(chunk_state="done")
    settle.object(state=state)
    assert len(settle.run(MESSAGE.to_json())) == sent


def test_a_chunk_that_the_ledger_does_not_know_and_a_malformed_message_are_passed_over(settle: Settle) -> None:
    settle.items.clear()
    assert settle.run(MESSAGE.to_json(), "no JSON", '{"schema": "sluice.last-try/1"}') == []


@pytest.mark.parametrize(
    ("error", "kind", "reason", "detail"),
    [
        ("unreadable: no rows: at all", "object.failed", "unreadable", "no rows: at all"),
        ("missing_version: it is gone", "object.missing", "missing_version", "it is gone"),
    ],
)
def test_what_a_dead_function_recorded_of_the_chunk_is_recorded_of_the_object(
    settle: Settle, error: str, kind: str, reason: str, detail: str
) -> None:
    settle.chunk(chunk_state="failed", error=error)
    settle.object()
    [notice] = settle.run(MESSAGE.to_json())
    assert (notice["kind"], notice["reason"], notice["detail"]) == (kind, reason, detail)
    settle.logs.get_paginator.assert_not_called()


def test_a_notice_that_is_due_is_sent_once_and_no_message_is_needed(settle: Settle) -> None:
    settle.stalled, settle.due = False, [OBJECT_ID]
    settle.failed_object()
    [notice] = settle.run()
    assert (notice["kind"], notice["reason"], notice["detail"]) == ("object.failed", "unreadable", "no rows")
    [update] = settle.dynamodb.update_item.call_args_list
    assert update.kwargs["UpdateExpression"] == "REMOVE notice_due"
    assert plain(update.kwargs["ExpressionAttributeValues"]) == {":state": "failed", ":code": "unreadable"}


@pytest.mark.parametrize("values", [{"notice_due": False}, {"state": "committed"}, {"state": "planned"}])
def test_a_notice_that_is_due_in_the_index_alone_is_not_sent(settle: Settle, values: dict[str, Any]) -> None:
    settle.stalled, settle.due = False, [OBJECT_ID]
    settle.failed_object(**values)
    assert settle.run() == []


def test_an_object_that_cannot_be_settled_holds_up_no_other(settle: Settle) -> None:
    other = ObjectRef("bronze-b", "bronze/shipments/b.jsonl", "v1", "e2", 10)
    broken = ClientError({"Error": {"Code": "InternalServerError"}}, "GetItem")
    settle.dynamodb.get_item.side_effect = [
        *({"Item": typed(settle.head)}, broken),
        {"Item": typed(settle.items["chunk#00000"])},
    ]
    bodies = [ChunkMessage(ref, ref.as_origin(), "shipments", Chunk(0, 0, 10, 2)).to_json() for ref in (REF, other)]
    with pytest.raises(ExceptionGroup, match="1 of 2 objects are not settled"):
        settle.run(*bodies)
    [notice] = notices(settle.sns)
    assert notice["object"] == other.uri


def test_the_log_is_read_once_for_all_chunks(settle: Settle) -> None:
    settle.run(*[MESSAGE.to_json()] * 3)
    assert settle.logs.get_paginator.call_count == 1


def test_without_an_object_that_waits_the_queue_is_not_touched(settle: Settle) -> None:
    settle.stalled = False
    assert settle.run(MESSAGE.to_json()) == []
    settle.sqs.receive_message.assert_not_called()


@pytest.mark.parametrize(
    ("line", "ended"),
    [
        (ENDED + "|REPORT RequestId: 1\tStatus: error\tError Type: Runtime.ImportModuleError\t\n",
         "it could not start (Runtime.ImportModuleError)"),
        ("INIT_REPORT Init Duration: 9.00 ms\tPhase: init\tStatus: timeout\n|REPORT RequestId: 1\tStatus: timeout\n",
         "it could not start in time"),
        (ENDED + "|REPORT RequestId: 1\tStatus: timeout\n|REPORT RequestId: 2\tStatus: timeout\n", "it timed out"),
        ("INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout\n", "it could not start in time"),
        ("REPORT RequestId: 1\tMemory Size: 128 MB\tStatus: error\tError Type: Runtime.OutOfMemory\t\n",
         "it ran out of memory (128 MB)"),
        ("REPORT RequestId: 1\tStatus: timeout\t\n", "it timed out"),
        ("2026 1 INFO Status: fine\n", "its log says nothing of it"),
    ],
)  # fmt: skip
def test_the_log_says_how_it_ended(settle: Settle, line: str, ended: str) -> None:
    settle.log(*line.split("|"))
    [notice] = settle.run(MESSAGE.to_json())
    assert f"the last: {ended}" in notice["detail"]


def test_a_log_that_cannot_be_read_does_not_hide_the_failure(settle: Settle) -> None:
    settle.logs.get_paginator.side_effect = ClientError({"Error": {"Code": "AccessDenied"}}, "FilterLogEvents")
    [notice] = settle.run(MESSAGE.to_json())
    assert "its log says nothing of it" in notice["detail"]


def test_messages_are_released_when_the_queue_fails_in_between(settle: Settle) -> None:
    message = {"MessageId": "m0", "ReceiptHandle": "h0", "Body": MESSAGE.to_json()}
    settle.sqs.receive_message.side_effect = [
        {"Messages": [message]},
        ClientError({"Error": {"Code": "InternalError"}}, "ReceiveMessage"),
    ]
    with pytest.raises(ClientError):
        settle._module.handler({}, Context())
    assert settle.sqs.change_message_visibility_batch.call_args.kwargs["Entries"][0]["ReceiptHandle"] == "h0"


def test_a_ledger_of_an_earlier_release_is_read_until_it_is_indexed(settle: Settle) -> None:
    assert not settle.is_read()
    settle.head = {}
    assert settle.is_read()
    settle.head = {"shards": 2, "complete": False}
    assert settle.is_read()


def test_objects_expire_when_all_is_indexed_and_the_settings_say_after_how_many_days(
    settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Any, ...]] = []

    class Expiry:
        def __init__(self, _client: Any, table: str, days: int, **options: Any) -> None:
            made.append((table, days, options))

        def run(self, hurry: Any) -> int:
            assert hurry() is False
            return 3

    monkeypatch.setattr(settle._module, "Expiry", Expiry)
    settle.run()
    assert not made
    monkeypatch.setenv("LEDGER_RETENTION_DAYS", "400")
    monkeypatch.setenv("WAREHOUSE_ENABLED", "true")
    monkeypatch.setenv("WAREHOUSE_LEFT_OUT", '["clicks"]')
    settle.run()
    [(_, days, options)] = made
    assert (days, options) == (400, {"loaded": True, "left_out": ["clicks"]})
    settle.head = {}
    assert settle.is_read()
    assert len(made) == 1
