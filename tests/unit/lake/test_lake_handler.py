"""register: announcements in; partitions, counts, notices and the visibility of failed messages out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from sluice_pipeline.dynamo.values import typed
from sluice_pipeline.events.committed import event_of
from tests.support.handlers import ENVIRONMENT, Context, loaded, notices, sqs_event

OBJECT_ID = "7f1fb2a60dcd5e0ca4a659c5f0a3f7a1"
COLUMNS = [{"Name": "shipment_id", "Type": "string"}]
STORAGE = {"Location": "s3://silver-b/silver/shipments/", "Columns": COLUMNS, "InputFormat": "parquet"}


def item(run: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "object_id": OBJECT_ID, "run": run, "dataset": "shipments", "origin": {"key": "bronze/shipments/a.jsonl"},
        "size": 900, "received_at": "2026-03-01T12:00:01.000Z", "chunk_count": 1, "chunks_done": 1, "rows_in": 5,
        "rows_silver": 4, "rows_quarantined": 1, "silver_files": 2,
    } | more  # fmt: skip


def chunk(run: int = 1, dates: tuple[str, ...] = ("2026-03-01", "2026-03-02"), **more: Any) -> dict[str, Any]:
    outputs = [
        {"key": f"silver/shipments/dt={dt}/a.parquet", "dataset": "shipments", "dt": dt, "rows": 2} for dt in dates
    ]
    return {"sk": "chunk#00000", "run": run, "chunk_state": "done", "outputs": outputs} | more


def partition(date: str, columns: list[dict[str, str]] = COLUMNS, location: str = "") -> dict[str, Any]:
    place = location or f"s3://silver-b/silver/shipments/dt={date}/"
    return {"Values": [date], "StorageDescriptor": STORAGE | {"Columns": columns, "Location": place}}


class Function:
    """The handler over a ledger and a catalog that a test fills."""

    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self._module = module
        self.s3, self.dynamodb, self.glue, self.sqs, self.sns = (
            clients[name] for name in ("s3", "dynamodb", "glue", "sqs", "sns")
        )
        self.ledger([item()], [chunk()])
        self.glue.get_table.return_value = {"Table": {"StorageDescriptor": STORAGE}}
        self.glue.batch_get_partition.return_value = {"Partitions": [], "UnprocessedKeys": []}
        self.glue.batch_create_partition.return_value = {}
        self.glue.batch_update_partition.return_value = {}

    def ledger(self, items: list[dict[str, Any]], chunks: list[dict[str, Any]]) -> None:
        """Each read of the object gives the next item, the last one again and again."""
        left = list(items)
        self.dynamodb.get_item.side_effect = lambda **_: {"Item": typed(left.pop(0) if len(left) > 1 else left[0])}
        self.dynamodb.batch_get_item.return_value = {"Responses": {}}  # no date was compacted
        self.pages([chunks])

    def pages(self, answers: list[list[dict[str, Any]]], compacted: tuple[str, ...] = ()) -> None:
        """Each query of chunks gives the next answer, the last one again and again; ``compacted``: days of shipments
        whose compacted files have rows of the object."""
        left = list(answers)

        def paginate(**request: Any) -> list[dict[str, Any]]:
            if request["ExpressionAttributeValues"][":pk"]["S"].startswith("compacted#"):
                return [{"Items": [typed({"sk": f"shipments#{day}"}) for day in compacted]}]
            return [{"Items": [typed(one) for one in (left.pop(0) if len(left) > 1 else left[0])]}]

        self.dynamodb.get_paginator.return_value.paginate.side_effect = paginate

    def receive(self, body: str = "", receives: int = 1, run: int = 1) -> list[str]:
        """The messages that stay on the queue."""
        text = body or json.dumps(event_of(OBJECT_ID, run, "shipments"))
        answer = self._module.handler(sqs_event(text, receives=receives), Context())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def created(self) -> list[dict[str, Any]]:
        calls = self.glue.batch_create_partition.call_args_list
        return [one for call in calls for one in call.kwargs["PartitionInputList"]]

    def updated(self) -> list[dict[str, Any]]:
        calls = self.glue.batch_update_partition.call_args_list
        return [one["PartitionInput"] for call in calls for one in call.kwargs["Entries"]]

    def counts(self) -> list[dict[str, Any]]:
        return [json.loads(call.kwargs["Body"]) for call in self.s3.put_object.call_args_list]

    def waits(self) -> list[int]:
        """After how many seconds failed messages come again."""
        return [call.kwargs["VisibilityTimeout"] for call in self.sqs.change_message_visibility.call_args_list]


@pytest.fixture
def function() -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "glue", "sqs", "sns")}
    with loaded("lake.register.handler", **clients) as module:
        yield Function(module, clients)


def test_an_object_gets_a_partition_for_each_date_and_a_line_of_counts(function: Function) -> None:
    assert function.receive() == []
    assert function.created() == [partition("2026-03-01"), partition("2026-03-02")]
    assert function.updated() == []
    assert function.counts() == [
        {
            "object_id": OBJECT_ID, "dataset": "shipments", "source_key": "bronze/shipments/a.jsonl",
            "source_bytes": 900, "run": 1, "received_at": "2026-03-01T12:00:01.000Z", "chunks": 1, "rows_in": 5,
            "rows_silver": 4, "rows_quarantined": 1, "silver_files": 2,
        }
    ]  # fmt: skip
    [call] = function.s3.put_object.call_args_list
    assert call.kwargs["Key"].endswith(f"{OBJECT_ID}.json")


def test_partitions_that_are_there_stay_and_get_the_columns_that_the_table_has_now(function: Function) -> None:
    moved = partition("2026-03-02", [{"Name": "old", "Type": "string"}], "s3://elsewhere/compacted/")
    function.glue.batch_get_partition.return_value = {"Partitions": [partition("2026-03-01"), moved]}
    assert function.receive() == []
    assert function.created() == []
    assert function.updated() == [partition("2026-03-02", COLUMNS, "s3://elsewhere/compacted/")]


def test_a_partition_that_a_compaction_has_moved_is_at_silver_again(function: Function) -> None:
    moved = partition("2026-03-02", location="s3://silver-b/compacted/shipments/dt=2026-03-02/0123456789abcdef/")
    function.glue.batch_get_partition.return_value = {"Partitions": [partition("2026-03-01"), moved]}
    assert function.receive() == []
    assert function.updated() == [partition("2026-03-02")]


def test_a_date_of_which_a_replay_has_no_rows_any_more_is_at_silver_again_and_never_added(function: Function) -> None:
    moved = partition("2026-03-05", location="s3://silver-b/compacted/shipments/dt=2026-03-05/0123456789abcdef/")
    function.glue.batch_get_partition.return_value = {"Partitions": [partition("2026-03-01"), moved]}
    function.pages([[chunk(dates=("2026-03-01",))]], compacted=("2026-03-05", "2026-03-06"))
    assert function.receive() == []
    assert (function.updated(), function.created()) == ([partition("2026-03-05")], [])


def test_a_swap_under_way_is_waited_for(function: Function) -> None:
    item = {"pk": "compaction#shipments", "sk": "2026-03-01", "compaction_state": "swapping", "token": "t",
            "commits": 0, "swap_at": int(time.time())}  # fmt: skip
    function.dynamodb.batch_get_item.return_value = {"Responses": {"ledger": [typed(item)]}}
    function.dynamodb.update_item.return_value = {"Attributes": typed(item | {"commits": 1})}
    assert function.receive() == ["m0"]
    assert (function.counts(), len(function.created())) == ([], 2)
    # One whose compaction is dead is called off.
    old = item | {"swap_at": int(time.time()) - 60}
    function.dynamodb.update_item.side_effect = [
        {"Attributes": typed(old | {"commits": 2})},
        {"Attributes": typed(old | {"commits": 2, "compaction_state": "silver"})},
    ]
    assert function.receive() == []
    assert len(function.counts()) == 1


def test_partitions_that_a_crawler_adds_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "glue", "sqs", "sns")}
    monkeypatch.setitem(ENVIRONMENT, "REGISTERS_PARTITIONS", "false")
    with loaded("lake.register.handler", **clients) as module:
        function = Function(module, clients)
        assert function.receive() == []
    assert function.glue.mock_calls == []
    assert [one["rows_silver"] for one in function.counts()] == [4]


def test_many_dates_are_read_and_written_in_batches(function: Function) -> None:
    dates = tuple(f"{year}-01-{day:02}" for year in range(1900, 1950) for day in range(1, 26))
    function.ledger([item()], [chunk(dates=dates)])
    assert function.receive() == []
    assert [len(call.kwargs["PartitionsToGet"]) for call in function.glue.batch_get_partition.call_args_list] == [
        1000,
        250,
    ]
    sizes = [len(call.kwargs["PartitionInputList"]) for call in function.glue.batch_create_partition.call_args_list]
    assert sizes == [100] * 12 + [50]
    assert [one["Values"][0] for one in function.created()] == sorted(dates)


def test_keys_that_glue_did_not_process_are_asked_for_again(function: Function) -> None:
    function.glue.batch_get_partition.side_effect = [
        {"Partitions": [partition("2026-03-01")], "UnprocessedKeys": [{"Values": ["2026-03-02"]}]},
        {"Partitions": [partition("2026-03-02")]},
    ]
    assert function.receive() == []
    assert (function.created(), function.updated()) == ([], [])


def test_a_partition_that_another_worker_has_just_created_is_no_error(function: Function) -> None:
    def errors(code: str) -> dict[str, Any]:
        return {"Errors": [{"PartitionValues": ["2026-03-01"], "ErrorDetail": {"ErrorCode": code}}]}

    function.glue.batch_create_partition.return_value = errors("AlreadyExistsException")
    assert function.receive() == []
    function.glue.batch_create_partition.return_value = errors("InternalServiceException")
    assert function.receive() == ["m0"]
    assert len(function.counts()) == 1


def test_rows_of_a_dataset_that_is_gone_have_no_table(function: Function) -> None:
    function.ledger([item()], [chunk(outputs=[{"key": "k", "dataset": "gone", "dt": "2026-03-01", "rows": 4}])])
    assert function.receive() == []
    assert function.glue.mock_calls == []
    assert len(function.counts()) == 1


def test_an_older_event_is_answered_with_the_newest_run_that_has_ended(function: Function) -> None:
    function.ledger([item(2)], [chunk(2, ("2026-03-03",))])
    assert function.receive(run=1) == []
    assert [one["Values"] for one in function.created()] == [["2026-03-03"]]
    assert [one["run"] for one in function.counts()] == [2]


@pytest.mark.parametrize(
    ("found", "chunks"),
    [(item(2, chunks_done=0), chunk(1)), (item(2, chunks_done=0), chunk(2)), (item(2), chunk(3))],
)
def test_a_newer_run_that_has_not_ended_is_left_to_its_own_event(
    function: Function, found: dict[str, Any], chunks: dict[str, Any]
) -> None:
    newer = item(3, chunks_done=0)
    function.ledger([found, found, newer, newer] if chunks["run"] == 3 else [found], [chunks])
    assert function.receive(run=1) == []
    assert (function.created(), function.counts()) == ([], [])


def test_a_run_that_ends_while_the_older_one_is_written_is_written_after_it(function: Function) -> None:
    function.ledger([item(1), item(1), item(2)], [chunk(1)])
    function.pages([[chunk(1)], [chunk(2)]])
    assert function.receive(run=1) == []
    assert [one["run"] for one in function.counts()] == [1, 2]


def test_a_table_that_is_not_deployed_yet_is_waited_for(function: Function) -> None:
    function.glue.get_table.side_effect = ClientError({"Error": {"Code": "EntityNotFoundException"}}, "GetTable")
    assert [function.receive(receives=receives) for receives in (1, 3)] == [["m0"], ["m0"]]
    assert (function.waits(), notices(function.sns), function.counts()) == ([1, 4], [], [])


def test_exhausted_retries_send_one_notice_with_the_command_that_repairs(function: Function) -> None:
    function.glue.get_table.side_effect = ClientError({"Error": {"Code": "ThrottlingException"}}, "GetTable")
    assert [function.receive(receives=receives) for receives in (5, 6)] == [["m0"], ["m0"]]
    (notice,) = notices(function.sns)
    assert (notice["kind"], notice["dataset"], notice["object_id"]) == ("lake.failed", "shipments", OBJECT_ID)
    assert notice["reason"].startswith("lake: retries exhausted after 5 tries, the last: ClientError(")
    assert notice["repair"] == f"fix the cause, then sluice dlq redrive {OBJECT_ID}"


def test_a_malformed_message_is_reported_at_its_last_receive(function: Function) -> None:
    for receives in range(1, 6):
        assert function.receive("{}", receives) == ["m0"]
    (notice,) = notices(function.sns)
    assert (notice["kind"], notice["queue"]) == ("dead.letter", "lake")


def test_an_event_that_is_ahead_of_the_ledger_is_kept(function: Function) -> None:
    assert function.receive(run=2) == ["m0"]
    assert function.counts() == []


@pytest.mark.parametrize("state", ["committing", "staged", "withheld"])
def test_a_newer_run_that_is_not_published_is_not_registered(function: Function, state: str) -> None:
    function.ledger([item(1), item(1), item(2, state=state)], [chunk(2, staged=True)])
    function.receive(run=1)
    assert function.created() == []
    assert function.counts() == []


def test_a_newer_run_that_was_published_is_registered(function: Function) -> None:
    function.ledger([item(2, state="committed")], [chunk(2, staged=True)])
    assert function.receive(run=1) == []
    assert [counts["run"] for counts in function.counts()] == [2]


def test_the_run_that_was_announced_is_registered_before_the_ledger_says_that_it_is_committed(
    function: Function,
) -> None:
    function.ledger([item(2, state="staged")], [chunk(2, staged=True)])
    assert function.receive(run=2) == []
    assert [counts["run"] for counts in function.counts()] == [2]
