"""Replays: everything again, and yet not a byte, a row or a notice more than there should be."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures import formats, shipping
from sluice.pipeline import replay as replaying
from sluice.pipeline.replay import Execution, Replays
from tests.support.changes import changed_rule
from tests.support.pipeline import Pipeline, Put, until

ROWS = 60
SWEPT = pytest.mark.thorough(
    "tests/e2e/replay/test_replay_sweep.py::test_no_call_that_dies_loses_or_doubles_a_replay",
    "tests/e2e/replay/test_replay.py::test_a_crash_between_opening_a_run_and_sending_it_is_healed",
    why="the sweep kills each call of a replay; one crash is tried here, too",
)
COMMITTED = "committed"


def settled(pipe: Pipeline, count: int, dataset: str = "shipments", seed: int = 100) -> list[Put]:
    """Committed objects under this test's prefix; with five of them a plan has two batches."""
    puts = [
        pipe.put(dataset, formats.jsonl(shipping.records("shipments", seed + i, ROWS)), f"part-{i}.jsonl")
        for i in range(count)
    ]
    pipe.wait(*puts)
    return puts


def contents(pipe: Pipeline, puts: list[Put]) -> list[dict[str, bytes]]:
    """Every file in silver and quarantine that belongs to the objects, byte for byte."""
    return [pipe.files(put) | pipe.files(put, "quarantine") for put in puts]


def replay(pipe: Pipeline, **request: str) -> Execution:
    """Starts a replay of this test's prefix (unless ``request`` says otherwise) and follows it to its end."""
    wanted = replaying.request(**({"prefix": pipe.key("shipments", ""), "id": pipe.run} | request))
    replays = Replays(pipe.stack)
    return replays.follow(replays.start(wanted), lambda _done, _total: None)


def only_notice(pipe: Pipeline, name: str) -> dict[str, Any]:
    [notice] = until("the notice", lambda: pipe.mail.notices(replay=name))
    return notice


def result_of(execution: Execution) -> dict[str, Any]:
    assert execution.result is not None, execution
    return execution.result


def runs(pipe: Pipeline, puts: list[Put]) -> list[int]:
    return [pipe.entry(put).number("run") for put in puts]


def test_a_replay_of_all_a_prefix_holds_leaves_silver_byte_identical(pipe: Pipeline) -> None:
    feed = shipping.feed(seed=7, rows=300)
    big = formats.jsonl(shipping.records("shipments", 8, 20_000))  # two chunks and more
    puts = [
        pipe.put("mixed", feed.body, "feed.jsonl"),
        pipe.put("mixed", big, "big.jsonl"),
        pipe.put("mixed", b"", "empty.jsonl"),
        pipe.put("mixed", formats.gzipped(feed.body), "feed.jsonl.gz"),
    ]
    items = pipe.wait(*puts)
    assert items[1]["chunk_count"] > 1
    before = contents(pipe, puts)
    done = replay(pipe, prefix=pipe.key("mixed", ""))
    assert contents(pipe, puts) == before
    assert (done.status, done.new) == ("SUCCEEDED", True)
    result = result_of(done)
    assert (result["ok"], result["objects"], result["outcomes"]) == (True, 4, {COMMITTED: 4})
    rows = {name: sum(int(item[name]) for item in items) for name in ("rows_in", "rows_silver", "rows_quarantined")}
    assert rows["rows_quarantined"] > 0
    assert result["before"] == result["after"] == rows
    assert runs(pipe, puts) == [2] * 4
    assert {pipe.entry(put).item["replay"] for put in puts} == {done.name}
    notice = only_notice(pipe, done.name)
    assert notice["attributes"] == {"dataset": "mixed", "severity": "info", "kind": "replay.done"}
    assert (notice["objects"], notice["after"]) == (4, rows)
    pipe.verified(pipe.key("mixed", ""))


def test_two_replays_of_a_prefix_at_once_neither_lose_nor_double_a_row(pipe: Pipeline) -> None:
    puts = settled(pipe, 7)
    before = contents(pipe, puts)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda name: replay(pipe, id=name), (f"{pipe.run}-a", f"{pipe.run}-b"))
    assert first.name != second.name
    for done in (first, second):
        assert (done.status, result_of(done)["outcomes"]) == ("SUCCEEDED", {COMMITTED: 7})
        assert result_of(done)["after"] == {"rows_in": 7 * ROWS, "rows_silver": 7 * ROWS, "rows_quarantined": 0}
    assert contents(pipe, puts) == before
    assert set(runs(pipe, puts)) <= {2, 3}
    pipe.verified(pipe.key("shipments", ""))


def test_a_request_that_comes_again_starts_nothing_new(pipe: Pipeline) -> None:
    puts = settled(pipe, 1)
    wanted = replaying.request(prefix=pipe.key("shipments", ""), id=pipe.run)
    replays = Replays(pipe.stack)
    with ThreadPoolExecutor(4) as pool:  # while it runs
        together = list(pool.map(lambda _: Replays(pipe.stack).start(wanted), range(4)))
    assert {execution.arn for execution in together} == {together[0].arn}
    ended = replays.follow(together[0], lambda _done, _total: None)
    again = replays.start(wanted)  # after it has ended
    assert (again.new, again.status, again.started) == (False, "SUCCEEDED", ended.started)
    client = pipe.stack.client("stepfunctions")
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=pipe.stack["replay_state_machine_arn"])
    assert [e["name"] for page in pages for e in page["executions"]].count(wanted.name) == 1
    with pytest.raises(client.exceptions.ExecutionAlreadyExists):
        client.start_execution(
            stateMachineArn=pipe.stack["replay_state_machine_arn"], name=wanted.name, input=wanted.canonical
        )
    assert runs(pipe, puts) == [2]
    only_notice(pipe, wanted.name)
    assert replay(pipe, id=f"{pipe.run}-other").new
    assert runs(pipe, puts) == [3]


def test_a_dry_run_shows_the_plan_and_changes_nothing(pipe: Pipeline) -> None:
    puts = settled(pipe, 3)
    before, items = contents(pipe, puts), [pipe.entry(put).item for put in puts]
    wanted = replaying.request(prefix=pipe.key("shipments", ""), id=pipe.run)
    shown = replaying.plan(pipe.stack, wanted).to_dict()
    assert (shown["objects"], shown["rows"], shown["bytes"]) == (3, 3 * ROWS, sum(put.ref.size for put in puts))
    assert [(g["dataset"], g["state"], g["objects"]) for g in shown["groups"]] == [("shipments", COMMITTED, 3)]
    assert contents(pipe, puts) == before
    assert [pipe.entry(put).item for put in puts] == items
    assert Replays(pipe.stack).find(wanted.name) is None


def test_a_plan_takes_what_its_filters_name(pipe: Pipeline) -> None:
    [early, late] = settled(pipe, 1, seed=120) + settled(pipe, 1, seed=121)
    other = pipe.put("tracking_events", formats.jsonl(shipping.records("tracking_events", 1, ROWS)))
    pipe.wait(other)
    moments = [datetime.fromisoformat(pipe.entry(put).item["received_at"]) for put in (early, late)]

    def taken(**request: str) -> set[str]:
        return {entry["object_id"] for entry in replaying.entries(pipe.stack, replaying.request(**request))}

    mine = pipe.key("shipments", "")
    assert taken(prefix=mine, until=moments[1].isoformat()) == {early.object_id}
    assert taken(prefix=mine, since=moments[1].isoformat()) == {late.object_id}
    assert taken(prefix=mine, since="1h") == {early.object_id, late.object_id}
    assert taken(prefix=mine, since=(moments[1] + timedelta(seconds=1)).isoformat()) == set()
    assert taken(object_id=other.object_id) == {other.object_id}
    assert {early.object_id, late.object_id} <= taken(dataset="shipments", since="1h")
    assert other.object_id not in taken(dataset="shipments")
    everything = taken(prefix="bronze/", since=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
    assert {early.object_id, late.object_id, other.object_id} <= everything


def test_a_replay_after_the_rules_changed_updates_silver_in_place(breakable: Pipeline) -> None:
    pipe = breakable  # an engine of the tests' own: code is not exchanged on any other
    records = shipping.records("shipments", 130, ROWS)
    gone = str(records[0]["event_time"])[:10]  # under the stricter rule this day has no row left
    heavy = [number % 3 == 0 or str(record["event_time"])[:10] == gone for number, record in enumerate(records)]
    records = [
        record | {"weight_kg": 150.0 if is_heavy else 10.0} for record, is_heavy in zip(records, heavy, strict=True)
    ]
    rejected = sum(heavy)
    put = pipe.put("shipments", formats.jsonl(records))
    pipe.wait(put)
    before = contents(pipe, [put])
    with changed_rule(pipe, "shipments", "weight_kg", max=100) as version:
        stricter = replay(pipe, id=f"{pipe.run}-stricter")
    assert result_of(stricter)["rules"]["version_id"] == pipe.entry(put).item["rules"]["version_id"] == version
    assert result_of(stricter)["before"] == {"rows_in": ROWS, "rows_silver": ROWS, "rows_quarantined": 0}
    assert result_of(stricter)["after"] == {
        "rows_in": ROWS,
        "rows_silver": ROWS - rejected,
        "rows_quarantined": rejected,
    }
    light = [record["shipment_id"] for record, is_heavy in zip(records, heavy, strict=True) if not is_heavy]
    assert [row["shipment_id"] for row in pipe.rows(put)] == light
    assert [row["reason"] for row in pipe.quarantined(put)] == ["out_of_range"] * rejected
    # the same files, rewritten, and the one without a row is gone
    left = {key for key in before[0] if f"dt={gone}" not in key}
    assert len(left) == len(before[0]) - 1
    assert set(pipe.files(put)) == left
    back = replay(pipe, id=f"{pipe.run}-back")
    assert result_of(back)["after"] == {"rows_in": ROWS, "rows_silver": ROWS, "rows_quarantined": 0}
    assert contents(pipe, [put]) == before  # that file is back, and the quarantine's is gone again
    pipe.verified(pipe.key("shipments", ""))


def test_an_object_whose_version_is_gone_is_reported_and_its_silver_stays(pipe: Pipeline) -> None:
    puts = settled(pipe, 4, seed=140)
    before, lost = contents(pipe, puts), puts[2]
    pipe.s3.delete_object(Bucket=lost.ref.bucket, Key=lost.ref.key, VersionId=lost.ref.version_id)
    done = replay(pipe)
    result = result_of(done)
    assert (done.status, result["ok"], result["outcomes"]) == ("FAILED", False, {COMMITTED: 3, "missing": 1})
    [problem] = result["problems"]
    assert (problem["object_id"], problem["key"], problem["outcome"]) == (lost.object_id, lost.ref.key, "missing")
    assert lost.ref.version_id in problem["reason"]
    notice = only_notice(pipe, done.name)
    assert notice["attributes"] == {"dataset": "shipments", "severity": "error", "kind": "replay.failed"}
    assert notice["problems"] == [problem]
    assert contents(pipe, puts) == before
    assert (pipe.entry(lost).state, pipe.entry(lost).number("run")) == (COMMITTED, 1)
    pipe.verified(pipe.key("shipments", ""))


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("sqs", "SendMessageBatch", "kill-before"),  # the run is open, its chunks are not sent
        pytest.param("sqs", "SendMessageBatch", "kill-after", marks=SWEPT),
        # The run is open, its chunks are those of the old one.
        pytest.param("dynamodb", "BatchWriteItem", "kill-before", marks=SWEPT),
        pytest.param("dynamodb", "UpdateItem", "kill-after", marks=SWEPT),
    ],
)
def test_a_crash_between_opening_a_run_and_sending_it_is_healed(
    breakable: Pipeline, service: str, operation: str, action: str
) -> None:
    pipe = breakable
    puts = settled(pipe, 3, seed=150)
    before = contents(pipe, puts)
    with pipe.fault("replay", service, operation, action, nth=2):
        done = replay(pipe)
        assert pipe.fault_hits() == 1
    assert (done.status, result_of(done)["outcomes"]) == ("SUCCEEDED", {COMMITTED: 3})
    assert contents(pipe, puts) == before
    assert runs(pipe, puts) == [2] * 3
    assert only_notice(pipe, done.name)["attributes"]["kind"] == "replay.done"
    pipe.verified(pipe.key("shipments", ""))


def test_a_replay_that_is_stopped_is_notified_although_it_runs_no_further_state(breakable: Pipeline) -> None:
    pipe = breakable
    settled(pipe, 1, seed=160)
    wanted = replaying.request(prefix=pipe.key("shipments", ""), id=pipe.run)
    with pipe.fault("replay", "dynamodb", "Query", "delay:2000"):
        running = Replays(pipe.stack).start(wanted)
        until("the first step", pipe.fault_hits)
        pipe.stack.client("stepfunctions").stop_execution(executionArn=running.arn)
        notice = only_notice(pipe, wanted.name)
    # what EventBridge sends has no message attributes
    assert (notice["kind"], notice["reason"], notice["attributes"]) == ("replay.failed", "ABORTED", {})
    assert (notice["look"], notice["severity"]) == (f"sluice replay --show {wanted.name}", "error")
    assert notice["workflow"] == pipe.stack["replay_state_machine_arn"]


def test_a_replay_that_cannot_be_planned_fails_with_a_notice(pipe: Pipeline) -> None:
    """What the command line refuses, an operator may still start by hand."""
    name = f"replay-{pipe.run}"
    client, machine = pipe.stack.client("stepfunctions"), pipe.stack["replay_state_machine_arn"]
    client.start_execution(stateMachineArn=machine, name=name, input=json.dumps({"prefix": "silver/shipments/"}))
    replays = Replays(pipe.stack)
    done = replays.follow(replays.get(name), lambda _done, _total: None)
    assert (done.status, done.result) == ("FAILED", None)
    notice = only_notice(pipe, name)
    assert notice["attributes"] == {"dataset": "*", "severity": "error", "kind": "replay.failed"}
    assert notice["reason"] == "InvalidRequest"
    assert "does not begin with bronze/" in notice["detail"]
