"""The ledger on screen: which objects, in which order, and one object with its chunks; reprocessing one."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.commands import runs as lines
from sluice.console import SluiceError
from sluice.pipeline import queues, runs, waiting
from sluice.pipeline import requeue as requeueing
from sluice.pipeline.ledger import LedgerView
from sluice.pipeline.requeue import requeue
from sluice_pipeline.dynamo.values import plain, with_numbers
from sluice_pipeline.events.notifications import Notification
from sluice_pipeline.objects.failures import ObjectMissing
from tests.support.fakes import FakeStack

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def stack() -> FakeStack:
    """Three objects, one minute apart, the second failed, the third of another dataset."""
    stack = FakeStack()
    names = [
        stack.ingested("bronze/shipments/a.jsonl", 3, 1, chunks=2),
        stack.ingested("bronze/shipments/b.jsonl", 2),
        stack.ingested("bronze/flights/c.jsonl", 4, dataset="flights"),
    ]
    for minute, name in enumerate(names):
        stack.object_item(name).update(
            updated_at=f"2025-03-01T12:0{minute}:30Z", received_at=f"2025-03-01T12:0{minute}:00Z"
        )
    stack.object_item(names[1]).update(state="failed", failed_reason="unreadable")
    return stack


def ledger(stack: FakeStack) -> LedgerView:
    return LedgerView(stack.dynamodb, "ledger")


def keys(items: list[dict[str, Any]]) -> str:
    return "".join(item["key"].rsplit("/", 1)[1][0] for item in items)


def test_all_states_come_together_newest_first(stack: FakeStack) -> None:
    assert keys(runs.recent(ledger(stack))) == "cba"
    assert keys(runs.recent(ledger(stack), limit=2)) == "cb"


def test_filters_use_the_index_that_answers_them(stack: FakeStack) -> None:
    assert keys(runs.recent(ledger(stack), state="committed")) == "ca"
    assert keys(runs.recent(ledger(stack), dataset="shipments")) == "ba"
    assert [call["IndexName"] for call in stack.dynamodb.calls if "IndexName" in call] == [
        "committed_objects",
        "received_objects",
    ]
    assert keys(runs.recent(ledger(stack), dataset="shipments", state="failed")) == "b"
    assert keys(runs.recent(ledger(stack), since="2025-03-01T12:01:30")) == "cb"


def test_a_state_that_is_none_is_wrong_use(stack: FakeStack) -> None:
    with pytest.raises(SluiceError, match="planned, committing, staged, committed, failed, missing, withheld") as error:
        runs.recent(ledger(stack), state="done")
    assert error.value.code == 2


def test_one_object_is_found_by_its_id_or_the_beginning_of_it(stack: FakeStack) -> None:
    name = runs.recent(ledger(stack))[2]["object_id"]
    for asked in (name, name[:8].upper()):
        entry = runs.one(ledger(stack), asked)
        assert entry.object_id == name
        assert [lines.chunk_row(chunk)[:6] for chunk in entry.live_chunks] == [
            [0, "done", "0-10", 4, 3, 1], [1, "done", "0-10", 4, 3, 1],
        ]  # fmt: skip


def test_an_unknown_object_is_a_failure_and_a_word_is_wrong_use(stack: FakeStack) -> None:
    with pytest.raises(SluiceError, match="the ledger has no object") as error:
        runs.one(ledger(stack), "0" * 32)
    assert error.value.code == 1
    with pytest.raises(SluiceError, match="not an object id") as error:
        runs.one(ledger(stack), "yesterday")
    assert error.value.code == 2


def test_a_name_finds_objects_by_id_by_key_and_by_a_part_of_keys(stack: FakeStack) -> None:
    again = stack.ingested("bronze/shipments/a.jsonl", 5)
    stack.object_item(again).update(updated_at="2025-03-01T12:09:00Z")
    first = runs.recent(ledger(stack))[-1]["object_id"]

    def found(name: str) -> list[str]:
        return [entry.object_id for entry in runs.find(ledger(stack), name)]

    assert found(first) == found(first[:8]) == [first]
    assert found("bronze/shipments/a.jsonl") == found("s3://bronze-b/bronze/shipments/a.jsonl") == [again, first]
    assert len(found("shipments")) == 3
    assert [entry.key for entry in runs.find(ledger(stack), "flights/c")] == ["bronze/flights/c.jsonl"]
    assert len(runs.find(ledger(stack), "flights/c")[0].chunks) == 1


@pytest.mark.parametrize("name", ["bronze/shipments/zz.jsonl", "yesterday", "0" * 32, "", "*", "A.JSONL"])
def test_a_name_that_names_no_object_is_wrong_use_and_names_the_nearest(stack: FakeStack, name: str) -> None:
    with pytest.raises(SluiceError, match="there is no object") as error:
        runs.find(ledger(stack), name)
    assert error.value.code == 2
    assert "a.jsonl, b.jsonl, c.jsonl" in str(error.value)


def test_a_dataset_is_one_of_the_checkout_or_of_the_ledger(stack: FakeStack) -> None:
    stack.ingested("bronze/former/d.jsonl", 1, dataset="former")
    for name in ("shipments", "feedback", "mixed", "former"):
        runs.require_dataset(ledger(stack), name)
    with pytest.raises(SluiceError, match="did you mean 'shipments'") as error:
        runs.require_dataset(ledger(stack), "shipment")
    assert error.value.code == 2


def test_a_row_shows_state_with_reason_counts_and_seconds(stack: FakeStack) -> None:
    _, failed, first = runs.recent(ledger(stack))
    assert lines.row(failed)[3] == "failed: unreadable"
    assert lines.row(first)[1:9] == ["shipments", "bronze/shipments/a.jsonl", "committed", 1, "2/2", 8, 6, 2]
    assert lines.row(first)[9] == 2.5
    assert len(lines.row(first)) == len(lines.OBJECTS.names)
    assert len(lines.chunk_row(runs.one(ledger(stack), first["object_id"]).chunks[0])) == len(lines.CHUNKS.names)


def test_an_object_shows_its_runs_the_newest_first(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    item = ledger(stack).one(runs.recent(ledger(stack))[2]["object_id"]).item  # type: ignore[union-attr]
    counts = {"rows_in": 8, "rows_silver": 0, "rows_quarantined": 8}
    times = {"began_at": "2025-02-01T12:00:00.000Z", "ended_at": "2025-02-01T12:00:04.500Z"}
    former = [
        counts | times | {"run": 2, "state": "committed", "rules": "ab" * 32},
        counts | times | {"run": 3, "state": "planned"},
    ]
    stored = stack.object_item(item["object_id"])
    stored.update(run=4, began_at="2025-03-01T12:00:01.500Z", former_runs=former, rules={"sha256": "cd" * 32})
    found = runs.history(stored)
    assert [(run["run"], run["state"]) for run in found] == [(4, "committed"), (3, "replaced"), (2, "committed")]
    rows = [lines.run_row(run) for run in found]
    assert [row[2:6] for row in rows] == [[8, 6, 2, "cdcdcdcdcdcd"], [8, 0, 8, ""], [8, 0, 8, "abababababab"]]
    assert [row[7] for row in rows] == [1.0, None, 4.5]
    assert len(rows[0]) == len(lines.RUNS.names)
    assert runs.seconds_taken(stored) == 1.0, "of the present run, not since the object came"
    lines._show_entries([runs.Entry(stored)], json=False)
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines() if " abababababab " in line or " cdcdcdcdcdcd " in line] == [
        ["4", "committed"], ["2", "committed"],
    ]  # fmt: skip
    assert "the ledger does not have the runs before 2" in err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", "2025-03-01T11:30:00"),
        ("2d", "2025-02-27T12:00:00"),
        ("2025-03-01", "2025-03-01T00:00:00"),
        ("2025-03-01T12:00:00+02:00", "2025-03-01T10:00:00"),
    ],
)
def test_since_is_an_age_or_a_time(text: str, expected: str) -> None:
    assert runs.parse_since(text, NOON) == expected


def test_a_since_that_is_none_is_wrong_use() -> None:
    with pytest.raises(SluiceError, match="--since 'soon'"):
        runs.parse_since("soon")


def test_numbers_of_the_ledger_are_whole_numbers() -> None:
    item = with_numbers(plain({"n": {"N": "3"}, "list": {"L": [{"M": {"rows": {"N": "5"}}}]}}))
    assert item == {"n": 3, "list": [{"rows": 5}]}
    assert type(item["n"]) is int


# -- waiting ---------------------------------------------------------------------------------------------------------


def test_waiting_ends_when_all_objects_are_final_and_the_queue_is_empty(stack: FakeStack) -> None:
    names = [item["object_id"] for item in runs.recent(ledger(stack))]
    seen: list[waiting.Progress] = []
    items = waiting.wait_for(stack, names, deadline=5, report=seen.append)  # type: ignore[arg-type]
    assert set(items) == set(names)
    assert (seen[-1].finished, seen[-1].chunks_done, seen[-1].rows) == (3, 4, 14)


def test_waiting_too_long_names_what_is_not_finished(stack: FakeStack) -> None:
    names = [item["object_id"] for item in runs.recent(ledger(stack))]
    stack.object_item(names[0])["state"] = "planned"
    with pytest.raises(
        SluiceError, match=r"2 of 4 objects .* bronze/flights/c\.jsonl \(planned\), object ffff"
    ) as error:
        waiting.wait_for(stack, [*names, "f" * 32], deadline=0)  # type: ignore[arg-type]
    assert error.value.code == 1


def test_waiting_too_long_names_the_queues_that_are_not_empty(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {"http://sqs/ingest": queues.Depth(0, 1, 0), "http://sqs/chunks": queues.Depth(2, 0, 1)}
    monkeypatch.setattr(queues, "depth", lambda _sqs, url: held[url])
    names = [item["object_id"] for item in runs.recent(ledger(stack))]
    late = (
        "after 0 s all objects are finished, but 4 messages wait (chunks 2 waiting, 1 delayed, ingest 1 in flight): "
        "look with `sluice status`"
    )
    with pytest.raises(SluiceError, match=re.escape(late)):
        waiting.wait_for(stack, names, deadline=0)  # type: ignore[arg-type]


# -- dead-letter messages --------------------------------------------------------------------------------------------


def test_peeking_shows_every_message_and_leaves_them_visible(stack: FakeStack) -> None:
    stack.sqs.queues["q"] = [f"body {n}" for n in range(23)]
    assert queues.peek(stack.sqs, "q") == stack.sqs.queues["q"]
    assert not stack.sqs.hidden
    assert queues.peek(stack.sqs, "empty") == []


@pytest.mark.parametrize(
    "body",
    [
        '{"schema": "sluice.chunk/1", "object": {"key": "bronze/a b.jsonl", "etag": "x"}}',
        '{"requestPayload": {"Records": [{"s3": {"object": {"key": "bronze/a+b.jsonl", "eTag": "x"}}}]}}',
        '{"object": {"key": "bronze/a b.jsonl"}, "reason": "unreadable"}',
    ],
)
def test_a_dead_letter_names_its_object_in_every_shape(body: str) -> None:
    assert queues.keys_named(body) == {"bronze/a b.jsonl"}


def test_a_dead_letter_that_is_no_json_names_nothing() -> None:
    assert queues.keys_named("not json") == set()


# -- requeue ---------------------------------------------------------------------------------------------------------


@dataclass
class FakeRequeuer:
    """Opens no run, but records which one it was asked for."""

    asked: list[tuple[str, int, str]] = field(default_factory=list)
    gone: bool = False

    def requeue(self, object_id: str, run: int, replay: str) -> int:
        if self.gone:
            raise ObjectMissing("version v1 is gone")
        self.asked.append((object_id, run, replay))
        return 1


@pytest.fixture
def requeuer(monkeypatch: pytest.MonkeyPatch) -> FakeRequeuer:
    found = FakeRequeuer()
    monkeypatch.setattr(requeueing, "requeuer", lambda _stack: found)
    return found


@pytest.mark.parametrize("by_key", [False, True])
def test_requeue_opens_the_next_run_of_an_object_and_copies_nothing(
    stack: FakeStack, requeuer: FakeRequeuer, by_key: bool
) -> None:
    name = runs.recent(ledger(stack))[2]["object_id"]
    before = set(stack.s3.objects)
    done = requeue(stack, "bronze/shipments/a.jsonl" if by_key else name, NOON)  # type: ignore[arg-type]
    assert (done.object_id, done.run, done.copy, done.how) == (name, 2, "", "run 2")
    assert requeuer.asked == [(name, 1, "requeue-20250301T120000000000Z")]
    assert set(stack.s3.objects) == before


def test_requeue_of_an_object_that_was_never_planned_delivers_its_event_again(
    stack: FakeStack, requeuer: FakeRequeuer
) -> None:
    name = runs.recent(ledger(stack))[2]["object_id"]
    stack.object_item(name)["chunk_count"] = 0
    stack.object_item(name)["key"] = "bronze/shipments/a é+.jsonl"
    assert requeue(stack, name).how == "its event, delivered again"  # type: ignore[arg-type]
    [body] = stack.sqs.queues["http://sqs/ingest"]
    [ref] = Notification.from_json(body).created
    assert (ref.key, ref.version_id, ref.bucket) == ("bronze/shipments/a é+.jsonl", "v1", "bronze-b")
    assert not requeuer.asked


def test_requeue_takes_in_an_object_that_the_ledger_does_not_know(stack: FakeStack) -> None:
    stack.s3.put_object("bronze-b", "bronze/shipments/lost é.jsonl", b"{}\n")
    done = requeue(stack, "s3://bronze-b/bronze/shipments/lost é.jsonl")  # type: ignore[arg-type]
    assert done.origin.key == "bronze/shipments/lost é.jsonl"
    assert stack.s3.objects["bronze-b", done.copy][0].metadata["sluice-origin-key"].isascii()


def test_requeue_of_an_object_that_has_expired_delivers_its_event(stack: FakeStack) -> None:
    """Its record is over, so ingest plans it as one that returns; a copy would have come later than its rows."""
    stack.outputs["ledger_retention_days"] = 40
    key = "bronze/shipments/old é.jsonl"
    stack.s3.put_object("bronze-b", key, b"{}\n")
    stack.s3.modified[key] = datetime.now(UTC) - timedelta(days=41)
    before = set(stack.s3.objects)
    done = requeue(stack, key)  # type: ignore[arg-type]
    assert (done.copy, done.run, done.how) == ("", 0, "its event, delivered again")
    [ref] = Notification.from_json(stack.sqs.queues["http://sqs/ingest"][-1]).created
    assert (ref.key, ref.version_id, ref.size, ref.as_origin().object_id) == (key, "v1", 3, done.object_id)
    assert set(stack.s3.objects) == before
    stack.s3.modified[key] = datetime.now(UTC) - timedelta(days=39)
    assert requeue(stack, key).copy  # type: ignore[arg-type]


def test_requeue_of_an_object_that_is_gone_says_so(stack: FakeStack, requeuer: FakeRequeuer) -> None:
    name = runs.recent(ledger(stack))[2]["object_id"]
    requeuer.gone = True
    for asked, message in ((name, "version v1 is gone"), ("bronze/none.jsonl", "there is no")):
        with pytest.raises(SluiceError, match=message) as error:
            requeue(stack, asked)  # type: ignore[arg-type]
        assert error.value.code == 1
