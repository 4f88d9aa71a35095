"""replay: one step in, what the state machine needs for the next one out."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from sluice_pipeline.dynamo.values import typed
from tests.support.handlers import Context, loaded

ITEM = {
    "pk": "object#a", "sk": "object", "object_id": "a", "dataset": "shipments", "state": "committed", "run": 1,
    "bucket": "bronze-b", "key": "bronze/shipments/a.jsonl", "version_id": "v1", "etag": "e1", "size": 10,
    "origin": {"bucket": "bronze-b", "key": "bronze/shipments/a.jsonl", "etag": "e1", "version_id": "v1"},
    "chunk_count": 1, "chunks_done": 1, "rows_in": 2, "rows_silver": 2, "rows_quarantined": 0,
    "received_at": "2026-03-01T00:00:00.000Z", "updated_at": "2026-03-01T00:00:01.000Z",
}  # fmt: skip


class Function:
    """The handler over a ledger of one object and a bucket of files."""

    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self._module = module
        self.files: dict[str, Any] = {}
        self.context = Context()
        s3, dynamodb = clients["s3"], clients["dynamodb"]
        s3.put_object.side_effect = lambda **put: self.files.update({put["Key"]: put["Body"]})
        s3.get_object.side_effect = lambda **get: {"Body": io.BytesIO(self.files[get["Key"]])}
        dynamodb.get_item.return_value = {"Item": typed({"shards": 1, "complete": True})}
        dynamodb.query.return_value = {"Items": [typed(ITEM)]}
        dynamodb.batch_get_item.return_value = {"Responses": {"ledger": [typed(ITEM)]}}

    def step(self, step: str, **event: Any) -> dict[str, Any]:
        given = {"name": "replay-1", "started": "2026-03-02T00:00:00+00:00", "step": step} | event
        answer: dict[str, Any] = self._module.handler(given, self.context)
        json.dumps(answer)  # the state machine gets JSON
        return answer


@pytest.fixture
def function() -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "sqs")}
    with loaded("core.replay.handler", **clients) as module:
        yield Function(module, clients)


def test_plan_writes_the_objects_down_and_says_how_many_batches_there_are(function: Function) -> None:
    answer = function.step("plan", request={"dataset": "shipments"})
    assert answer == {"dataset": "shipments", "objects": 1, "batches": [0], "next": 0}
    assert all(name.startswith("replays/replay-1/") or "replay-1" in name for name in function.files)
    assert any(b'"bronze/shipments/a.jsonl"' in body for body in map(bytes, function.files.values()))


def test_check_waits_while_a_run_is_open_and_stops_when_time_is_short(function: Function) -> None:
    function.step("plan", request={"dataset": "shipments"})
    function.context.remaining_milliseconds = 1_000
    answer = function.step("check", batches=1, next=0)
    assert (answer["done"], answer["next"], answer["late"]) == (False, 0, True)
    assert 1 <= answer["wait_seconds"] <= 60


def test_a_wrong_request_is_refused_before_anything_is_written(function: Function) -> None:
    with pytest.raises(ValueError, match="colour is unknown"):
        function.step("plan", request={"colour": "red"})
    assert function.files == {}


def test_an_unknown_step_is_refused(function: Function) -> None:
    with pytest.raises(ValueError, match="there is no step 'jump'"):
        function.step("jump")
