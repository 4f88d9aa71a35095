"""transform: chunk messages in; silver, counts, notices and the visibility of failed messages out."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from core.transform.last_try import LastTry, parse
from fixtures import formats, shipping
from sluice_pipeline.catalog.datasets import Catalog
from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef
from tests.support.handlers import Context, loaded, metrics, notices, sqs_event

ROWS = shipping.records("shipments", 0, 3)
BODY = formats.jsonl(ROWS) + b"bad\n"
REF = ObjectRef("bronze-b", "bronze/shipments/a.jsonl", "v1", "e1", len(BODY))
MESSAGE = ChunkMessage(REF, REF.as_origin(), "shipments", Chunk(0, 0, len(BODY), 1))
OBJECT_ID = MESSAGE.origin.object_id


class Function:
    """The handler over a ledger that has planned the object."""

    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self._module = module
        self.clients = clients
        self.s3, self.dynamodb, self.sqs, self.sns, self.events = (
            clients[name] for name in ("s3", "dynamodb", "sqs", "sns", "events")
        )
        self.s3.get_object.side_effect = lambda **_: {"Body": io.BytesIO(BODY)}
        planned = {"pk": f"object#{OBJECT_ID}", "sk": "chunk#00000", "run": 1, "chunk_state": "pending"}
        self.dynamodb.get_item.return_value = {"Item": typed(planned)}
        self.dynamodb.update_item.return_value = {"Attributes": {}}
        self.events.put_events.return_value = {"FailedEntryCount": 0}

    def receive(self, body: str, receives: int = 1) -> list[str]:
        """The messages that stay on the queue."""
        answer = self._module.handler(sqs_event(body, receives=receives), Context())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def waits(self) -> list[int]:
        """After how many seconds failed messages come again."""
        return [call.kwargs["VisibilityTimeout"] for call in self.sqs.change_message_visibility.call_args_list]


@pytest.fixture
def function() -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "sqs", "sns", "events", "logs")}
    with loaded("core.transform.handler", **clients) as module:
        yield Function(module, clients)


def test_a_chunks_rows_go_to_silver_or_quarantine_are_counted_and_announced(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    assert function.receive(MESSAGE.to_json()) == []
    days = {row["event_time"][:10] for row in ROWS}
    written = sorted((call.kwargs["Bucket"], call.kwargs["Key"]) for call in function.s3.put_object.call_args_list)
    assert [bucket for bucket, _ in written] == ["quarantine-b", *["silver-b"] * len(days)]
    assert all(OBJECT_ID in key for _, key in written)
    (announced,) = function.events.put_events.call_args.kwargs["Entries"]
    assert f'"object_id": "{OBJECT_ID}"' in announced["Detail"]
    found = metrics(capsys.readouterr().out)
    assert (found["RowsIn"], found["RowsSilver"], found["RowsQuarantined"]) == (4, 3, 1)
    assert found["ObjectsCommitted"] == 1
    assert notices(function.sns) == []
    assert function.waits() == []


def test_a_transient_error_leaves_the_message_for_later(function: Function) -> None:
    function.s3.get_object.side_effect = ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
    with_waits = [function.receive(MESSAGE.to_json(), receives) for receives in (1, 3)]
    assert with_waits == [["m0"], ["m0"]]
    assert function.waits() == [1, 4]
    assert notices(function.sns) == []


def test_the_last_try_records_that_retries_are_exhausted(function: Function) -> None:
    function.s3.get_object.side_effect = ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
    assert function.receive(MESSAGE.to_json(), 5) == ["m0"]
    assert function.waits() == [0]
    (notice,) = notices(function.sns)
    assert (notice["kind"], notice["reason"]) == ("object.failed", "retries_exhausted")
    assert "SlowDown" in notice["detail"]


def test_a_version_that_is_gone_is_recorded_and_its_message_acknowledged(function: Function) -> None:
    function.s3.get_object.side_effect = ClientError({"Error": {"Code": "NoSuchVersion"}}, "GetObject")
    assert function.receive(MESSAGE.to_json()) == []
    assert [notice["kind"] for notice in notices(function.sns)] == ["object.missing"]
    assert function.waits() == []


def test_a_permanent_error_is_recorded_at_once(function: Function) -> None:
    function.s3.get_object.side_effect = lambda **_: {"Body": io.BytesIO(b"\0" * 100)}
    assert function.receive(MESSAGE.to_json()) == ["m0"]
    assert function.waits() == [0]
    assert [(notice["kind"], notice["reason"]) for notice in notices(function.sns)] == [("object.failed", "unreadable")]


def test_a_message_that_is_no_chunk_is_notified_once_at_its_last_receive(function: Function) -> None:
    assert function.receive("no JSON", 1) == ["m0"]
    assert notices(function.sns) == []
    assert function.receive("no JSON", 5) == ["m0"]
    assert [notice["kind"] for notice in notices(function.sns)] == ["dead.letter"]
    assert function.waits() == [0, 0]


# -- a function that does not survive the last try ---------------------------------------------------------------------


def last_try_of(function: Function) -> dict[str, Any]:
    """The message that the function sent to itself before a last try, as SendMessage's parameters."""
    function.s3.get_object.side_effect = lambda **_: {"Body": io.BytesIO(BODY)}
    function.receive(MESSAGE.to_json(), 5)
    sent: dict[str, Any] = function.sqs.send_message.call_args.kwargs
    function.sns.reset_mock()
    return sent


def chunk_is(function: Function, **values: Any) -> None:
    item = {"pk": f"object#{OBJECT_ID}", "sk": "chunk#00000", "run": 1, "chunk_state": "pending"} | values
    function.dynamodb.get_item.return_value = {"Item": typed(item)}


def test_before_the_last_try_a_message_is_sent_that_comes_after_the_functions_end(function: Function) -> None:
    sent = last_try_of(function)
    assert (sent["QueueUrl"], sent["DelaySeconds"]) == ("http://sqs/chunk", 65)
    assert parse(sent["MessageBody"]) == LastTry(MESSAGE, "/aws/lambda/function", "stream", Context.aws_request_id)
    function.sqs.send_message.reset_mock()
    function.receive(MESSAGE.to_json(), 4)
    function.receive(sent["MessageBody"], 5)
    function.sqs.send_message.assert_not_called()


def test_a_failure_that_is_recorded_already_is_announced_by_no_message(function: Function) -> None:
    chunk_is(function, chunk_state="failed")
    function.s3.get_object.side_effect = lambda **_: {"Body": io.BytesIO(b"\0" * 100)}
    assert function.receive(MESSAGE.to_json(), 5) == ["m0"]
    function.sqs.send_message.assert_not_called()


@pytest.mark.parametrize(
    ("report", "ended"),
    [
        ("Status: timeout", "it timed out"),
        ("Status: error\tError Type: Runtime.OutOfMemory", "it ran out of memory (1024 MB)"),
        ("Status: error\tError Type: Runtime.ExitError", "it ended with an error (Runtime.ExitError)"),
        ("", "it gave no answer"),
    ],
)
def test_a_chunk_that_is_still_open_then_has_failed_and_the_ledger_says_how_its_function_ended(
    function: Function, report: str, ended: str
) -> None:
    body = last_try_of(function)["MessageBody"]
    line = f"REPORT RequestId: {Context.aws_request_id}\tDuration: 1.00 ms\tMemory Size: 1024 MB\t{report}\t\n"
    other = "REPORT RequestId: 1111\tStatus: timeout\t\n"
    function.clients["logs"].get_log_events.return_value = {"events": [{"message": line}, {"message": other}]}
    chunk_is(function)
    assert function.receive(body) == []
    [notice] = notices(function.sns)
    assert (notice["kind"], notice["reason"]) == ("object.failed", "retries_exhausted")
    assert f"did not survive the last: {ended}, see /aws/lambda/function" in notice["detail"]


def test_a_log_that_cannot_be_read_does_not_hide_the_failure(function: Function) -> None:
    body = last_try_of(function)["MessageBody"]
    denied = ClientError({"Error": {"Code": "AccessDenied"}}, "GetLogEvents")
    function.clients["logs"].get_log_events.side_effect = denied
    chunk_is(function)
    assert function.receive(body) == []
    assert "it gave no answer" in notices(function.sns)[0]["detail"]


@pytest.mark.parametrize("values", [{"chunk_state": "failed"}, {"run": 2}])
def test_a_last_try_that_was_recorded_or_is_of_a_former_run_is_settled(function: Function, values: Any) -> None:
    body = last_try_of(function)["MessageBody"]
    chunk_is(function, **values)
    assert function.receive(body) == []
    assert notices(function.sns) == []


def test_an_object_whose_chunk_was_counted_in_the_last_try_is_announced(function: Function) -> None:
    body = last_try_of(function)["MessageBody"]
    function.events.reset_mock()
    chunk_is(function, chunk_state="done")
    item = {"object_id": OBJECT_ID, "run": 1, "dataset": "shipments", "origin": {}, "bucket": "b", "key": "k",
            "version_id": "v", "etag": "e", "size": 1, "chunk_count": 1, "rows_in": 1, "rows_silver": 1,
            "rows_quarantined": 0, "silver_files": 0}  # fmt: skip
    function.dynamodb.update_item.return_value = {"Attributes": typed(item)}
    function.dynamodb.get_paginator.return_value.paginate.return_value = []
    assert function.receive(body) == []
    function.events.put_events.assert_called_once()
    assert notices(function.sns) == []


@pytest.mark.parametrize("body", ['{"schema": "sluice.last-try/1"}', '{"schema": "sluice.last-try/1", "message": 1}'])
def test_a_last_try_without_its_message_is_malformed(function: Function, body: str) -> None:
    assert function.receive(body) == ["m0"]


# -- a gated dataset ---------------------------------------------------------------------------------------------------


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    """The handler of a stack with a quality gate, and a dataset with a section for it."""
    monkeypatch.setattr(
        Catalog, "has_section", lambda _self, dataset, name: (dataset, name) == ("shipments", "quality")
    )
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "sqs", "sns", "events", "logs")}
    with loaded("core.transform.handler", settings={"STAGING_BUCKET": "staging-b"}, **clients) as module:
        yield Function(module, clients)


def written(function: Function) -> list[tuple[str, str]]:
    return sorted((call.kwargs["Bucket"], call.kwargs["Key"]) for call in function.s3.put_object.call_args_list)


def states(function: Function) -> list[str]:
    """To which the object was brought, in order."""
    values = [call.kwargs["ExpressionAttributeValues"] for call in function.dynamodb.update_item.call_args_list]
    return [plain(found)[":state"] for found in values if ":state" in found]


def test_files_of_a_gated_dataset_are_staged_under_their_run_and_announced_as_staged(gated: Function) -> None:
    assert gated.receive(MESSAGE.to_json()) == []
    days = sorted({row["event_time"][:10] for row in ROWS})
    assert written(gated) == [
        ("quarantine-b", f"quarantine/shipments/{OBJECT_ID}-00000.jsonl"),
        *(("staging-b", f"staged/00001/silver/shipments/dt={day}/{OBJECT_ID}-00000.parquet") for day in days),
    ]
    (announced,) = gated.events.put_events.call_args.kwargs["Entries"]
    assert announced["DetailType"] == "object.staged"
    assert states(gated) == ["staged"]
    [chunk, _] = gated.dynamodb.transact_write_items.call_args.kwargs["TransactItems"]
    assert "staged = :staged" in chunk["Update"]["UpdateExpression"]


def test_a_later_run_lists_the_silver_files_that_it_does_not_write_and_deletes_none(gated: Function) -> None:
    day = ROWS[0]["event_time"][:10]
    again = f"silver/shipments/dt={day}/{OBJECT_ID}-00000.parquet"
    gone = f"silver/shipments/dt=1999-01-01/{OBJECT_ID}-00000.parquet"
    planned = {"pk": f"object#{OBJECT_ID}", "sk": "chunk#00000", "run": 2, "chunk_state": "pending"}
    planned |= {"outputs": [{"key": again}, {"key": gone}], "quarantine": [{"key": "quarantine/old.jsonl"}]}
    gated.dynamodb.get_item.return_value = {"Item": typed(planned)}
    assert gated.receive(replace(MESSAGE, run=2).to_json()) == []
    [leftovers] = [c.kwargs for c in gated.s3.put_object.call_args_list if c.kwargs["Key"].startswith("leftovers/")]
    assert (leftovers["Bucket"], leftovers["Key"]) == ("staging-b", f"leftovers/{OBJECT_ID}/00002-00000.json")
    assert json.loads(leftovers["Body"]) == [gone]
    deleted = [(c.kwargs["Bucket"], c.kwargs["Key"]) for c in gated.s3.delete_object.call_args_list]
    assert deleted == [("quarantine-b", "quarantine/old.jsonl")]


def test_an_object_that_was_staged_before_is_staged_again_without_a_section(function: Function) -> None:
    """Without a gate in the stack it goes to silver."""
    planned = {"pk": f"object#{OBJECT_ID}", "sk": "chunk#00000", "run": 1, "chunk_state": "pending", "staged": True}
    function.dynamodb.get_item.return_value = {"Item": typed(planned)}
    assert function.receive(MESSAGE.to_json()) == []
    assert {bucket for bucket, _ in written(function)} == {"quarantine-b", "silver-b"}
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "sqs", "sns", "events", "logs")}
    with loaded("core.transform.handler", settings={"STAGING_BUCKET": "staging-b"}, **clients) as module:
        other = Function(module, clients)
        other.dynamodb.get_item.return_value = {"Item": typed(planned)}
        assert other.receive(MESSAGE.to_json()) == []
        assert {bucket for bucket, _ in written(other)} == {"quarantine-b", "staging-b"}


def test_a_dataset_without_the_section_makes_the_calls_that_it_makes_without_a_gate(function: Function) -> None:
    assert function.receive(MESSAGE.to_json()) == []
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "sqs", "sns", "events", "logs")}
    with loaded("core.transform.handler", settings={"STAGING_BUCKET": "staging-b"}, **clients) as module:
        other = Function(module, clients)
        assert other.receive(MESSAGE.to_json()) == []
    for service in ("s3", "dynamodb", "events", "sns"):
        before, now = (
            Counter(call[0] for call in found.mock_calls) for found in (function.clients[service], clients[service])
        )
        assert before == now
    assert {bucket for bucket, _ in written(other)} == {"quarantine-b", "silver-b"}
