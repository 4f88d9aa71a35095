"""What functions publish: embedded metrics, and the backlog that `watch` finds in the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from core.watch.backlog import Backlog, read_backlog
from sluice_pipeline.runtime import telemetry

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Ledger:
    """The index of two shards: times of the last change by state, oldest first, two to a page."""

    def __init__(self, **states: list[str]) -> None:
        self.states = states

    def get_paginator(self, operation: str) -> Ledger:
        assert operation == "query"
        return self

    def get_item(self, **_: Any) -> dict[str, Any]:
        return {"Item": {"shards": {"N": "2"}}}

    def paginate(self, *, IndexName: str, ExpressionAttributeValues: dict[str, Any], **_: Any) -> Iterator[Any]:  # noqa: N803
        assert IndexName == "open_objects"
        state, _, shard = ExpressionAttributeValues[":key"]["S"].partition("#")
        times = self.states.get(state, [])[int(shard) :: 2]
        for begin in range(0, max(1, len(times)), 2):
            yield {"Items": [{"updated_at": {"S": at}} for at in times[begin : begin + 2]]}


def test_the_backlog_counts_unfinished_objects_and_finds_the_one_that_waited_longest() -> None:
    ledger = Ledger(
        planned=["2026-03-01T11:59:00.000Z", "2026-03-01T11:59:58.000Z", "2026-03-01T11:59:59.000Z"],
        committing=["2026-03-01T11:58:30.500Z"],
        committed=["2020-01-01T00:00:00.000Z"],
        failed=["2020-01-01T00:00:00.000Z"],
    )
    assert read_backlog(ledger, "ledger", NOW) == Backlog(objects=4, oldest_seconds=89.5)


def test_nothing_unfinished_is_a_backlog_of_no_age() -> None:
    assert read_backlog(Ledger(), "ledger", NOW) == Backlog(objects=0, oldest_seconds=0.0)


def test_metrics_are_published_for_the_service_and_for_service_and_dataset(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "transform")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "sluice-test")
    telemetry.measure("flights", RowsIn=3, ChunkSeconds=0.5)
    telemetry.measure(ObjectsUnfinished=0)
    both, one = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [directive] = both["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "sluice-test",
        "Dimensions": [["service"], ["service", "dataset"]],
        "Metrics": [{"Name": "RowsIn", "Unit": "Count"}, {"Name": "ChunkSeconds", "Unit": "Seconds"}],
    }
    assert (both["service"], both["dataset"], both["RowsIn"], both["ChunkSeconds"]) == (
        "transform",
        "flights",
        [3],
        [0.5],
    )
    assert one["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert one["ObjectsUnfinished"] == [0]


def test_without_tracing_a_handler_stays_as_it_is() -> None:
    def handler() -> None: ...

    assert telemetry.traced(handler) is handler
