"""The quality gate: what fails a hard expectation becomes visible nowhere; what passes does, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sluice.pipeline import query, verify
from sluice.pipeline import replay as replaying
from sluice.pipeline.replay import Replays
from tests.support.changes import changed_expectation, changed_rule
from tests.support.lake import Lake
from tests.support.pipeline import Pipeline, Put, until
from tests.support.quality import DATASET, Quality, as_lines, flights

pytestmark = pytest.mark.usefixtures("quality_deployed")


@pytest.fixture
def quality(pipe: Pipeline) -> Quality:
    return Quality(pipe)


def visible(pipe: Pipeline, put: Put) -> int:
    """Rows of an object that a query of silver finds."""
    sql = f"SELECT count(*) FROM {DATASET} WHERE _source_key = '{put.ref.key}'"
    return int(str(query.run(query.silver(pipe.stack, only=[DATASET]), sql).rows[0][0]))


def replayed(pipe: Pipeline, put: Put, name: str) -> str:
    """Replays one object; how the replay ended."""
    replays = Replays(pipe.stack)
    wanted = replaying.request(prefix=put.ref.key, id=f"{pipe.run}-{name}")
    return replays.follow(replays.start(wanted), lambda _done, _total: None).status


@contextmanager
def failing(pipe: Pipeline, function: str, operation: str, **more: Any) -> Iterator[None]:
    """A function's calls of an operation of S3 are refused while the block runs."""
    with pipe.fault(function, "s3", operation, "error:AccessDenied", times=10_000, **more):
        yield


def bad(rows: list[dict[str, Any]], *numbers: int) -> list[dict[str, Any]]:
    """The same rows, some of which go nowhere: that breaks a hard expectation and no rule of the row."""
    return [row | ({"distance": 0} if number in numbers else {}) for number, row in enumerate(rows)]


def test_an_object_that_passes_is_published_with_its_verdict(pipe: Pipeline, quality: Quality) -> None:
    put = quality.put([*flights(20, days=2), {"year": 1}])
    item = quality.ended(put)
    counts = {name: int(item[name]) for name in ("rows_in", "rows_silver", "rows_quarantined", "silver_files")}
    assert item["state"] == "committed"
    assert counts == {"rows_in": 21, "rows_silver": 20, "rows_quarantined": 1, "silver_files": 2}
    assert [row["flight"] for row in pipe.rows(put)] == list(range(20))
    assert visible(pipe, put) == 20
    found = quality.verdict(put)
    assert (found["passed"], found["rows"], found["engine"], found["run"]) == (True, 20, "pyarrow", 1)
    assert all(one["passed"] for one in found["datasets"][DATASET]["expectations"])
    [event] = until("the event", lambda: pipe.mail.committed(put.object_id))
    assert (event["rows_silver"], event["run"], event["partition_count"]) == (20, 1, 2)
    assert quality.notices(put) == []
    pipe.verified(put.ref.key)


def test_an_object_that_fails_a_hard_expectation_is_visible_nowhere(pipe: Pipeline, quality: Quality) -> None:
    put = quality.put([*bad(flights(20, days=2), 3, 8), {"year": 1}])
    item = quality.ended(put)
    assert (item["state"], item["failed_reason"]) == ("withheld", "quality")
    assert item["error"] == "flies_somewhere: 2 of 20 rows"
    assert pipe.files(put) == {}
    assert visible(pipe, put) == 0
    assert len(quality.staged(put)) == 2
    [notice] = until("the notice", lambda: quality.notices(put))
    assert (notice["kind"], notice["attributes"]["severity"]) == ("quality.withheld", "error")
    [expectation] = notice["expectations"]
    assert {name: expectation[name] for name in ("dataset", "name", "field", "hard", "rows", "failed")} == {
        "dataset": DATASET, "name": "flies_somewhere", "field": "distance", "hard": True, "rows": 20, "failed": 2,
    }  # fmt: skip
    assert [sample["value"] for sample in expectation["samples"]] == ["0", "0"]
    assert all(sample["record_id"].startswith(put.object_id) for sample in expectation["samples"])
    # Rows in = staged rows + quarantine, and nothing is a difference.
    [row] = pipe.verified(put.ref.key).objects
    assert (row.state, row.ok, row.ingested) == ("withheld", True, False)
    assert (row.source, row.ledger, row.silver, row.staged, row.quarantine) == (21, 21, 0, 20, 1)
    # What subscribes to object.committed has no event of it.
    other = quality.put(flights(5), "other.jsonl")
    quality.ended(other)
    until("a later event", lambda: pipe.mail.committed(other.object_id))
    assert pipe.mail.committed(put.object_id) == []
    if pipe.stack.outputs.get("lake_bucket"):
        lake = Lake(pipe)
        lake.registered(other)
        assert lake.counts(put) is None
    # A file of it in silver would be a difference.
    [key] = [name for name in pipe.entry(put).staged if "2030-01-01" in name]
    pipe.s3.put_object(Bucket=pipe.stack["silver_bucket"], Key=key, Body=b"")
    try:
        report = verify.verify(pipe.stack, prefixes=[put.ref.key])
        assert [difference.object for difference in report.differences] == [f"s3://{pipe.stack['silver_bucket']}/{key}"]
    finally:
        pipe.s3.delete_object(Bucket=pipe.stack["silver_bucket"], Key=key)


def test_an_object_that_fails_a_soft_expectation_is_published(pipe: Pipeline, quality: Quality) -> None:
    put = quality.put(flights(10, air_time=0))
    assert quality.ended(put)["state"] == "committed"
    found = quality.verdict(put)
    assert found["passed"] is True
    broken = [one for one in found["datasets"][DATASET]["expectations"] if not one["passed"]]
    assert [(one["name"], one["hard"], one["failed"]) for one in broken] == [("takes_some_time", False, 10)]
    assert visible(pipe, put) == 10
    assert quality.notices(put) == []


def test_a_withheld_object_is_published_by_a_replay_after_its_rule_was_fixed(pipe: Pipeline, quality: Quality) -> None:
    put = quality.put(bad(flights(10), 4))
    assert quality.ended(put)["state"] == "withheld"
    assert replayed(pipe, put, "same") == "FAILED"  # under the same rules it is withheld again
    assert quality.ended(put, run=2)["state"] == "withheld"
    with changed_expectation(pipe, DATASET, "flies_somewhere", min=0):
        assert replayed(pipe, put, "fixed") == "SUCCEEDED"
    item = quality.ended(put, run=3)
    assert (item["state"], item["rows_silver"]) == ("committed", 10)
    assert [run["state"] for run in item["former_runs"]] == ["withheld", "withheld"]
    assert visible(pipe, put) == 10
    assert [event["run"] for event in until("the event", lambda: pipe.mail.committed(put.object_id))] == [3]
    assert [notice["run"] for notice in quality.notices(put) if notice["kind"] == "quality.withheld"] == [1, 2]
    pipe.verified(put.ref.key)


def test_rows_of_a_former_run_stay_visible_until_a_newer_one_passes(pipe: Pipeline, quality: Quality) -> None:
    put = quality.put(flights(20, days=2))
    assert quality.ended(put)["state"] == "committed"
    before = pipe.files(put)
    assert len(before) == 2
    # Rows of the second day become rejected ones, and the others fail the gate.
    with (
        changed_rule(pipe, DATASET, "flight", allowed=list(range(0, 20, 2))),
        changed_expectation(pipe, DATASET, "flies_somewhere", min=5000),
    ):
        assert replayed(pipe, put, "strict") == "FAILED"
    assert quality.ended(put, run=2)["state"] == "withheld"
    assert pipe.files(put) == before
    assert (visible(pipe, put), len(quality.staged(put, 2)), len(quality.leftovers(put))) == (20, 1, 1)
    pipe.verified(put.ref.key)
    # Published without them, silver has no file of the second day any more.
    with changed_rule(pipe, DATASET, "flight", allowed=list(range(0, 20, 2))):
        assert replayed(pipe, put, "right") == "SUCCEEDED"
    assert quality.ended(put, run=3)["state"] == "committed"
    assert len(pipe.files(put)) == 1
    assert (visible(pipe, put), quality.leftovers(put)) == (10, [])
    pipe.verified(put.ref.key)


def test_a_burst_is_gathered_in_few_executions_and_none_is_lost(pipe: Pipeline, quality: Quality) -> None:
    quality.idle()
    puts = [quality.put(flights(3), f"{number:02d}.jsonl") for number in range(16)]
    for put in puts:
        assert quality.ended(put)["state"] == "committed"
    quality.idle()
    found = quality.executions()
    own = [objects for objects in found.values() if {put.object_id for put in puts} & set(objects)]
    assert sorted(name for objects in own for name in objects) == sorted(put.object_id for put in puts)
    assert len(own) <= 8
    assert {len(until("its event", lambda put=put: pipe.mail.committed(put.object_id))) for put in puts} == {1}


def test_an_announcement_that_comes_again_starts_and_changes_nothing(breakable: Pipeline, quality: Quality) -> None:
    pipe = breakable
    with failing(pipe, "quality_audit", "PutObject"):  # the audit is tried for some time
        put = quality.put(flights(6))
        [execution] = until("its execution", lambda: quality.executions_of(put))
        for _ in range(3):
            quality.announce(put)
        until("an empty queue", lambda: pipe.depth("quality_queue_url") == 0)
    assert quality.ended(put, deadline=240)["state"] == "committed"
    quality.announce(put)
    quality.idle()
    assert quality.executions_of(put) == [execution]
    assert len(until("the event", lambda: pipe.mail.committed(put.object_id))) == 1
    assert quality.publish(put)["outcome"] == "committed"
    assert len(pipe.rows(put)) == 6
    pipe.verified(put.ref.key)


@pytest.mark.timeout(400, func_only=True)
def test_an_audit_that_fails_leaves_the_object_staged_until_it_is_run_again(
    breakable: Pipeline, quality: Quality
) -> None:
    pipe = breakable
    with failing(pipe, "quality_audit", "PutObject"):
        put = quality.put(flights(6))
        item = quality.in_state(put, "staged", 300, failed_reason="audit_failed")
        assert "AccessDenied" in item["error"]
    [notice] = until("the notice", lambda: quality.notices(put))
    assert (notice["kind"], notice["repair"]) == (
        "quality.failed",
        f"fix the cause, then sluice quality run {put.object_id}",
    )
    assert visible(pipe, put) == 0
    [difference] = verify.verify(pipe.stack, prefixes=[put.ref.key]).differences
    assert "not audited: staged since" in difference.what
    assert difference.repair == f"sluice quality run {put.object_id}"
    quality.run(put)
    assert quality.ended(put)["state"] == "committed"
    assert visible(pipe, put) == 6
    pipe.verified(put.ref.key)


@pytest.mark.timeout(400, func_only=True)
def test_an_object_that_cannot_be_published_stays_staged_and_the_others_do_not(
    breakable: Pipeline, quality: Quality
) -> None:
    pipe = breakable
    quality.idle()
    key = pipe.key(DATASET, "broken.jsonl")
    broken_id = pipe.origin_of(key, as_lines(flights(6))).object_id
    with failing(pipe, "quality_publish", "CopyObject", about=[broken_id]):
        broken = quality.put(flights(6), "broken.jsonl")
        other = quality.put(flights(4), "other.jsonl")
        assert quality.ended(other)["state"] == "committed"
        [notice] = until(
            "the notice",
            lambda: [one for one in pipe.mail.notices(kind="quality.failed") if broken_id in json.dumps(one)],
            300,
        )
    [failed] = [one for one in notice["objects"] if one["outcome"] == "failed"]
    assert (failed["object_id"], notice["attributes"]["severity"]) == (broken_id, "error")
    assert pipe.entry(broken).state == "staged"
    assert visible(pipe, broken) == 0
    quality.run(broken)
    assert quality.ended(broken)["state"] == "committed"
    pipe.verified(broken.ref.key, other.ref.key)


def test_an_operator_releases_what_was_withheld(pipe: Pipeline, quality: Quality) -> None:
    put = quality.put(bad(flights(8), 0))
    assert quality.ended(put)["state"] == "withheld"
    assert quality.publish(put, release="the sender confirmed it")["outcome"] == "committed"
    item = quality.ended(put)
    assert item["released"]["reason"] == "the sender confirmed it"
    assert visible(pipe, put) == 8
    assert len(until("the event", lambda: pipe.mail.committed(put.object_id))) == 1
    pipe.verified(put.ref.key)


def test_a_message_that_names_no_object_is_a_dead_letter_and_notified(pipe: Pipeline) -> None:
    pipe.sqs.send_message(QueueUrl=pipe.stack["quality_queue_url"], MessageBody=json.dumps({"nonsense": pipe.run}))
    [message] = pipe.receive_messages("quality_dlq_url", lambda body: pipe.run in body)
    assert json.loads(message["body"]) == {"nonsense": pipe.run}
    [notice] = until(
        "the notice", lambda: [one for one in pipe.mail.notices(kind="dead.letter") if pipe.run in json.dumps(one)]
    )
    assert notice["queue"] == pipe.stack["quality_queue_url"].rsplit("/", 1)[-1]


def test_rows_rejected_over_the_threshold_are_noticed_when_the_object_is_published(
    pipe: Pipeline, quality: Quality
) -> None:
    put = quality.put([*flights(4), {"year": 1}])
    assert quality.ended(put)["state"] == "committed"
    [notice] = until("the notice", lambda: quality.notices(put))
    assert (notice["kind"], notice["rows_quarantined"]) == ("quarantine.threshold", 1)
