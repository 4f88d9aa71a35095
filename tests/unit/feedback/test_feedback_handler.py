"""feedback: announcements in; items, counts, notices and the visibility of failed messages out."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import MagicMock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.events.committed import event_of
from tests.support.handlers import Context, loaded, metrics, notices, sqs_event

OBJECT_ID = "7f1fb2a60dcd5e0ca4a659c5f0a3f7a1"
ROWS = [
    {
        "created_at": datetime(2026, 3, 1, 12, tzinfo=UTC), "feedback_id": f"f#{number}", "customer_id": "c1",
        "rating": rating, "comment": "fine", "_record_id": f"{OBJECT_ID}-{number}", "_source_offset": number,
        "_source_key": "bronze/feedback/a.csv", "_source_version": "v1",
    }
    for number, rating in enumerate((5, 9))
]  # fmt: skip
LEDGER = {
    "object": {"object_id": OBJECT_ID, "run": 1, "received_at": "2026-03-01T12:00:01.000Z"},
    "chunk": {
        "sk": "chunk#00000", "run": 1, "chunk_state": "done",
        "outputs": [{"key": "silver/feedback/dt=2026-03-01/a.parquet", "dataset": "feedback", "rows": 2}],
    },
}  # fmt: skip


def announced(dataset: str = "feedback") -> str:
    event = event_of(OBJECT_ID, 1, dataset)
    event["detail"] |= {"partitions": [{"dataset": dataset, "dt": "2026-03-01", "rows": 2}], "partition_count": 1}
    return json.dumps(event)


class Function:
    """The handler over a ledger that knows the object's only run, and a table without items."""

    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self._module = module
        self.s3, self.dynamodb, self.sqs, self.sns = (clients[name] for name in ("s3", "dynamodb", "sqs", "sns"))
        body = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(ROWS), body)
        self.s3.get_object.side_effect = lambda **_: {"Body": io.BytesIO(body.getvalue())}
        self.dynamodb.get_item.side_effect = lambda **request: (
            {"Item": typed(LEDGER["object"])} if request["TableName"] == "ledger" else {}
        )
        self.dynamodb.get_paginator.return_value.paginate.return_value = [{"Items": [typed(LEDGER["chunk"])]}]
        self.dynamodb.batch_get_item.return_value = {"Responses": {}}

    def receive(self, body: str, receives: int = 1) -> list[str]:
        """The messages that stay on the queue."""
        answer = self._module.handler(sqs_event(body, receives=receives), Context())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def written(self) -> list[dict[str, Any]]:
        """The items of all transactions, in order."""
        calls = [call.kwargs["TransactItems"] for call in self.dynamodb.transact_write_items.call_args_list]
        return [plain(action["Put"]["Item"]) for actions in calls for action in actions if "Put" in action]

    def waits(self) -> list[int]:
        """After how many seconds failed messages come again."""
        return [call.kwargs["VisibilityTimeout"] for call in self.sqs.change_message_visibility.call_args_list]


@pytest.fixture
def function() -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "sqs", "sns")}
    with loaded("feedback.handler", **clients) as module:
        yield Function(module, clients)


def test_an_objects_feedback_is_stored_and_what_is_unusual_is_counted(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    assert function.receive(announced()) == []
    *rows, marker = function.written()
    assert [(row["pk"], row["sk"]) for row in rows] == [
        ("escaped-row#feedback#f\\#0", "f\\#0"),
        ("escaped-row#feedback#f\\#1", "f\\#1"),
    ]
    assert [row.get("anomalies") for row in rows] == [None, ["rating_out_of_range"]]
    assert (marker["pk"], marker["counts"]) == (f"object#{OBJECT_ID}", {"alert#feedback#rating_out_of_range": 1})
    found = metrics(capsys.readouterr().out)
    assert (found["ProcessedItemCount"], found["ProcessingErrors"]) == (2, 0)
    assert found["ETLLatency"] > 0
    assert (function.waits(), notices(function.sns)) == ([], [])


def test_an_object_without_feedback_is_acknowledged_without_a_call(function: Function) -> None:
    assert function.receive(announced("flights")) == []
    assert (function.dynamodb.mock_calls, function.s3.mock_calls) == ([], [])


def test_a_transient_error_counts_and_leaves_the_message_for_later(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.s3.get_object.side_effect = ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
    assert [function.receive(announced(), receives) for receives in (1, 3)] == [["m0"], ["m0"]]
    assert function.waits() == [1, 4]
    assert metrics(capsys.readouterr().out)["ProcessingErrors"] == 1
    assert notices(function.sns) == []


def test_exhausted_retries_send_one_notice_with_the_command_that_repairs(function: Function) -> None:
    function.s3.get_object.side_effect = ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
    assert [function.receive(announced(), receives) for receives in (5, 6)] == [["m0"], ["m0"]]
    (notice,) = notices(function.sns)
    assert (notice["kind"], notice["dataset"], notice["object_id"]) == ("feedback.failed", "feedback", OBJECT_ID)
    assert notice["reason"].startswith("feedback: retries exhausted after 5 tries, the last: ClientError(")
    assert notice["repair"] == f"fix the cause, then sluice dlq redrive {OBJECT_ID}"
    assert function.waits() == [0, 0]


def test_a_malformed_message_is_reported_at_its_last_receive(function: Function) -> None:
    for receives in range(1, 6):
        assert function.receive("{}", receives) == ["m0"]
    (notice,) = notices(function.sns)
    assert (notice["kind"], notice["queue"], notice["message_id"]) == ("dead.letter", "feedback", "m0")
    assert function.waits() == [0] * 5
