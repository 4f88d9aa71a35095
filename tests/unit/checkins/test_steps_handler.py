"""checkins: one state of the workflow an invocation; its answer, its log and its items."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import MagicMock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice_pipeline.dynamo.values import plain, typed
from tests.support.handlers import Context, loaded

OBJECT_ID = "0f" * 16
REQUEST = {
    "day": "2026-03-01", "dataset": "checkins", "key": "bronze/checkins/dt=2026-03-01/a.csv", "object_id": OBJECT_ID,
}  # fmt: skip
NAME = f"checkin-2026-03-01-{OBJECT_ID}"
ROWS = [
    {
        "checkin_id": f"c{number}", "user_id": f"u{number}", "checked_in_at": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "venue": venue, "city": "x", "latitude": 1.0, "longitude": 2.0, "source": "app",
        "_record_id": f"{OBJECT_ID}-{number}", "_source_offset": number, "_source_key": REQUEST["key"],
        "_source_version": "v1",
    }
    for number, venue in enumerate(("cafe", None, "bar"))
]  # fmt: skip


class Function:
    """The handler over a ledger whose object is committed, with one silver file."""

    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self._module = module
        self.s3, self.dynamodb = clients["s3"], clients["dynamodb"]
        self.silver = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(ROWS), self.silver)
        self.failed_rows = b""
        self.s3.get_object.side_effect = self._get_object
        self.object = {"object_id": OBJECT_ID, "run": 1, "state": "committed", "received_at": "2026-03-01T13:00:00Z"}
        self.object |= {"rows_in": 3, "rows_silver": 3, "rows_quarantined": 0}
        self.dynamodb.get_item.side_effect = lambda **_: {"Item": typed(self.object)} if self.object else {}
        chunk = {"sk": "chunk#00000", "run": 1, "chunk_state": "done", "outputs": [{"key": "s", "dataset": "checkins"}]}
        self.queried: list[dict[str, Any]] = [chunk]
        self.dynamodb.get_paginator.return_value.paginate.side_effect = lambda **_: [
            {"Items": [typed(item) for item in self.queried]}
        ]

    def _get_object(self, Bucket: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        from botocore.response import StreamingBody

        body = self.silver.getvalue() if Bucket == "silver-b" else self.failed_rows
        return {"Body": StreamingBody(io.BytesIO(body), len(body))}

    def run(self, step: str, started: datetime | None = None, **more: Any) -> Any:
        event = {"step": step, "name": NAME, "request": REQUEST, "ledger_run": 1}
        event["started"] = (started or datetime.now(UTC)).isoformat()
        return self._module.handler(event | more, Context())

    def log(self) -> list[tuple[str, str]]:
        """State and status of every write to the log, in order."""
        calls = [call.kwargs for call in self.dynamodb.update_item.call_args_list]
        assert {call["TableName"] for call in calls} <= {"checkin-log"}
        return [(call["Key"]["sk"]["S"], call["ExpressionAttributeValues"][":status"]["S"]) for call in calls]


@pytest.fixture
def function() -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb")}
    clients["dynamodb"].update_item.return_value = {"Attributes": {}}
    with loaded("checkins.steps.handler", **clients) as module:
        yield Function(module, clients)


def test_transform_is_done_once_the_ledger_has_the_file(function: Function) -> None:
    assert function.run("transform") == {"outcome": "done", "ledger_run": 1, "wait_seconds": 0, "notice": {}}
    assert function.log() == [("1#transform", "started"), ("1#transform", "succeeded")]


def test_transform_waits_for_a_file_that_is_not_there_until_its_deadline(function: Function) -> None:
    function.object = {}
    waits = function.run("transform", datetime.now(UTC) - timedelta(seconds=35))
    assert (waits["outcome"], waits["wait_seconds"]) == ("wait", 3)
    late = function.run("transform", datetime.now(UTC) - timedelta(seconds=601))
    assert (late["outcome"], late["notice"]["kind"]) == ("stopped", "checkin.failed")
    assert late["notice"]["reason"] == "not in silver after 600 s: the ledger does not know it"
    assert function.log()[-1] == ("1#transform", "failed")


def test_test_writes_down_the_rows_that_fail_and_a_soft_test_stops_nothing(function: Function) -> None:
    assert function.run("test")["outcome"] == "done"
    (call,) = function.s3.put_object.call_args_list
    assert (call.kwargs["Bucket"], call.kwargs["Key"]) == ("quarantine-b", f"checks/{NAME}.jsonl")
    (failed,) = map(json.loads, call.kwargs["Body"].decode().splitlines())
    assert (failed["offset"], failed["tests"], failed["hard"]) == (1, ["has_a_venue"], False)


def test_a_run_whose_tests_are_all_hard_stops_with_a_notice(function: Function) -> None:
    stopped = function.run("test", request=REQUEST | {"hard_testing": "true"})
    assert (stopped["outcome"], stopped["notice"]["reason"]) == ("stopped", "hard: has_a_venue (1 rows)")
    assert function.log() == [("2#test", "started"), ("2#test", "failed")]


def test_load_writes_the_rows_that_passed(function: Function) -> None:
    function.failed_rows = b'{"offset": 1}\n'
    done = function.run("load")
    assert (done["outcome"], done["notice"]["kind"]) == ("done", "checkin.done")
    puts = [call.kwargs["TransactItems"] for call in function.dynamodb.transact_write_items.call_args_list]
    written = {plain(action["Put"]["Item"])["sk"] for actions in puts for action in actions if "Put" in action}
    assert written == {"c0", "c2"}
    assert done["notice"]["counts"]["rows_good"] == 2


def test_an_aborted_runs_open_states_are_closed(function: Function) -> None:
    function.queried = [{"state": "transform", "status": "succeeded"}, {"state": "test", "status": "started"}]
    assert function._module.handler({"step": "cut-short", "name": NAME, "status": "ABORTED"}, Context()) == {
        "closed": ["test"]
    }
    (call,) = function.dynamodb.update_item.call_args_list
    error = call.kwargs["ExpressionAttributeValues"][":error"]["S"]
    assert (function.log(), error) == ([("2#test", "failed")], "the run was aborted or timed out: ABORTED")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": "flights"}, "no dataset 'flights' has a section"),
        ({"day": "soon"}, "not a date"),
        ({"x": "y"}, "x is"),
    ],
)
def test_a_request_that_makes_no_sense_is_no_transient_error(
    function: Function, change: dict[str, str], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        function.run("transform", request=REQUEST | change)
    assert type(refused.value).__name__ == "InvalidRequest"  # the name that the state machine does not retry
    assert function.log() == []


def test_an_unknown_step_fails(function: Function) -> None:
    with pytest.raises(ValueError, match="there is no step 'dance'"):
        function.run("dance")
