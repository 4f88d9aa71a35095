"""Replay without AWS: names, filters, batches, what is sent, when it has ended, and what comes out even."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from core.replay.steps import MAX_BATCHES, Replay
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.ledger.listing import Window
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.failures import ObjectMissing
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.replays.request import Entry, Request, entry_of, finished, outcome_of
from sluice_pipeline.replays.requeue import Requeuer
from sluice_pipeline.replays.store import RESULT, gone_part, plan_part
from sluice_pipeline.requests import InvalidRequest

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def item(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A committed object of the ledger."""
    key = f"bronze/shipments/part-{number}.jsonl"
    made = {"object_id": f"{number:032x}", "state": "committed", "bucket": "b", "key": key, "version_id": "v1"}
    made |= {"etag": "e", "size": 100, "origin": {"bucket": "b", "key": key, "etag": "e", "version_id": "v1"}}
    made |= {"dataset": "shipments", "chunk_count": 1, "chunks_done": 1, "run": 1}
    made |= {"rows_in": 10, "rows_silver": 9, "rows_quarantined": 1, "received_at": "2025-03-01T11:00:00.000Z"}
    return made | changes


# -- requests --------------------------------------------------------------------------------------------------------


def test_the_same_request_has_the_same_name_however_it_is_written() -> None:
    name = Request.parse({"prefix": "bronze/shipments/", "since": "2025-03-01T12:00:00Z", "id": "x"}).name
    assert name == Request.parse({"id": " x", "since": "2025-03-01T13:00:00+01:00", "prefix": "bronze/shipments/"}).name
    assert name == Request.parse({"dataset": "shipments", "prefix": "bronze/shipments/", "since": "2025-03-01T12:00",
                                  "until": "", "id": "x"}).name  # fmt: skip
    assert name.startswith("replay-")
    assert len(name) <= 80  # Step Functions' limit


@pytest.mark.parametrize(
    "other",
    [
        {"id": "y"},
        {"prefix": "bronze/shipments/b"},
        {"since": "2h"},
        {"until": "1h"},
        {"dataset": "*", "prefix": "bronze/"},
    ],
)
def test_another_request_has_another_name(other: dict[str, str]) -> None:
    one = {"prefix": "bronze/shipments/", "since": "1h", "id": "x"}
    assert Request.parse(one).name != Request.parse(one | other).name


def test_the_canonical_form_is_a_request_again() -> None:
    request = Request.parse({"prefix": "bronze/shipments/", "since": "1d", "until": "2025-03-01", "id": "x"})
    assert Request.parse(json.loads(request.canonical)) == request


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({}, "nothing is chosen"),
        ({"id": "x"}, "nothing is chosen"),
        ({"colour": "red"}, "colour is unknown"),
        ({"dataset": 1}, "dataset is not a string"),
        ({"prefix": "silver/x/"}, "does not begin with bronze/"),
        ({"since": "soon"}, "since 'soon'"),
        ({"since": "2025-03-02", "until": "2025-03-01"}, "is not before"),
        ({"object_id": "abc"}, "32 hexadecimal digits"),
        ({"object_id": "a" * 32, "since": "1h"}, "names one object"),
        ({"dataset": "flights", "prefix": "bronze/shipments/a"}, "no object of dataset flights"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(raw: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        Request.parse(raw)


def test_a_prefix_names_its_dataset() -> None:
    assert Request.parse({"prefix": "bronze/shipments/2025/"}).dataset == "shipments"
    assert Request.parse({"prefix": "bronze/shipm"}).dataset == "*"
    assert Request.parse({"prefix": "bronze/"}).dataset == "*"


def test_a_window_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    window = Request.parse({"since": "2025-03-01T11:00:00Z", "until": "2025-03-01T12:00:00Z"}).window(NOON)
    held = [
        m for m in ("10:59:59.999", "11:00:00.000", "11:59:59.999", "12:00:00.000") if window.holds(f"2025-03-01T{m}Z")
    ]
    assert held == ["11:00:00.000", "11:59:59.999"]


def test_an_age_counts_back_from_the_start_of_the_execution() -> None:
    window = Request.parse({"since": "90m", "until": "30m"}).window(NOON)
    assert window == Window("2025-03-01T10:30:00.000", "2025-03-01T11:30:00.000")


@pytest.mark.parametrize(
    ("raw", "takes"),
    [
        ({"prefix": "bronze/"}, True),
        ({"dataset": "shipments"}, True),
        ({"dataset": "flights"}, False),
        ({"prefix": "bronze/shipments/part-1"}, True),
        ({"prefix": "bronze/shipments/part-2"}, False),
        ({"since": "2h"}, True),
        ({"since": "30m"}, False),
        ({"until": "30m"}, True),
        ({"object_id": f"{1:032x}"}, True),
        ({"object_id": f"{2:032x}"}, False),
        ({"dataset": "shipments", "since": "30m"}, False),
    ],
)
def test_a_request_takes_what_all_its_filters_hold_for(raw: dict[str, str], takes: bool) -> None:
    request = Request.parse(raw)
    assert request.takes(item(), request.window(NOON)) is takes  # type: ignore[arg-type]


def test_a_copy_is_found_under_its_origins_key() -> None:
    request = Request.parse({"prefix": "bronze/shipments/part-1"})
    assert request.takes(item(key="bronze/_requeue/x/part-1.jsonl"), Window())  # type: ignore[arg-type]


# -- outcomes --------------------------------------------------------------------------------------------------------


def entry(number: int = 1, **changes: Any) -> Entry:
    return entry_of(item(number, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "gone", "kind"),
    [
        (item(run=2), None, "committed"),
        (item(run=3), None, "committed"),
        (item(run=1), None, "unfinished"),
        (item(run=1), "version v1 is gone", "missing"),
        (item(run=2, state="planned", chunks_done=0), None, "unfinished"),
        (item(run=2, state="committing"), None, "unfinished"),
        (item(run=2, state="staged"), None, "unfinished"),
        (item(run=2, state="withheld", failed_reason="quality", error="x"), None, "withheld"),
        (item(run=2, state="failed", failed_reason="gave_up", error="x"), None, "failed"),
        (item(run=2, state="missing", failed_reason="missing_version", error="x"), None, "missing"),
        (item(run=2, rows_silver=8), None, "uneven"),
        (None, None, "lost"),
    ],
)
def test_an_object_is_fine_only_when_a_newer_run_is_committed_and_adds_up(
    now: Any, gone: str | None, kind: str
) -> None:
    outcome = outcome_of(entry(), now, gone)
    assert (outcome.kind, outcome.fine) == (kind, kind == "committed")
    assert bool(outcome.reason) == (kind != "committed")


def test_an_object_that_was_never_planned_is_left_out_with_its_reason() -> None:
    never = entry(state="failed", chunk_count=0, failed_reason="unknown_dataset")
    outcome = outcome_of(never, item(state="failed", chunk_count=0), None)  # type: ignore[arg-type]
    assert (outcome.kind, outcome.fine) == ("left out", True)
    assert "unknown_dataset" in outcome.reason


@pytest.mark.parametrize(
    ("now", "ended"),
    [
        (item(run=1), False),
        (item(run=2, state="planned"), False),
        (item(run=2, state="committing"), False),
        (item(run=2), True),
        (item(run=2, state="staged"), False),
        (item(run=2, state="failed"), True),
        (item(run=2, state="withheld"), True),
        (item(run=5), True),
        (None, True),
    ],
)
def test_an_object_has_ended_when_a_newer_run_has(now: Any, ended: bool) -> None:
    assert finished(entry(), now) is ended


# -- steps -----------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """Ledger, queue, bronze and the store of plans, in memory."""

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)
    versions: set[tuple[str, str]] = field(default_factory=set)
    sent: list[tuple[str, int]] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)
    die_at_send: int = 0
    overtake: bool = False

    def put(self, *items: dict[str, Any]) -> None:
        for each in items:
            self.items[each["object_id"]] = each
            self.versions.add((each["key"], each["version_id"]))

    # the ledger
    def received(self, dataset: str, window: Window) -> Iterator[dict[str, Any]]:
        yield from self.items.values()

    def objects(self, object_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        ids = list(object_ids)
        self.asked.append(ids)
        return {name: dict(self.items[name]) for name in ids if name in self.items}

    def object(self, object_id: str) -> dict[str, Any] | None:
        return dict(self.items[object_id]) if object_id in self.items else None

    def open_run(self, ref: ObjectRef, old: dict[str, Any], rules: RulesVersion, replay: str) -> dict[str, Any] | None:
        if self.overtake:
            self.items[old["object_id"]] |= {"run": old["run"] + 1, "state": "planned", "replay": "another"}
            return None
        if self.items[old["object_id"]]["run"] != old["run"]:
            return None
        self.items[old["object_id"]] |= {"run": old["run"] + 1, "state": "planned", "replay": replay, "rules": rules}
        self.items[old["object_id"]] |= {"key": ref.key, "version_id": ref.version_id}
        return dict(self.items[old["object_id"]])

    def open_chunks(self, one: dict[str, Any]) -> list[Chunk]:
        return [Chunk(i, 0, 0, one["chunk_count"]) for i in range(one["chunk_count"])]

    # the queue
    def send(self, one: dict[str, Any], chunks: list[Chunk]) -> int:
        if len(self.sent) + 1 == self.die_at_send:
            self.die_at_send = 0
            raise RuntimeError("died")
        self.sent.append((one["object_id"], one["run"]))
        return len(chunks)

    # bronze
    def exists(self, ref: ObjectRef) -> bool:
        return (ref.key, ref.version_id) in self.versions

    # the store
    def write(self, part: str, value: Any) -> None:
        self.written[part] = json.loads(json.dumps(value))

    def read(self, part: str) -> Any:
        return self.written[part]

    # transform
    def work(self, *, rows: int = 10) -> None:
        for one in self.items.values():
            if one["state"] == "planned":
                one |= {"state": "committed", "rows_in": rows, "rows_silver": rows, "rows_quarantined": 0}


@pytest.fixture
def world() -> World:
    return World()


def replay_of(world: World, name: str = "replay-x") -> Replay:
    requeuer = Requeuer(world, world, world, lambda: RULES)  # type: ignore[arg-type]
    return Replay(name, world, requeuer, world)  # type: ignore[arg-type]


RULES = RulesVersion("a" * 64, "rules-7")
EVERYTHING = Request.parse({"prefix": "bronze/"})


def planned(world: World, count: int, batch: int = 3) -> Replay:
    world.put(*(item(n) for n in range(count)))
    replay = replay_of(world)
    replay.plan(EVERYTHING, NOON, batch, RULES)
    return replay


def test_a_plan_is_cut_into_batches_and_only_their_numbers_travel(world: World) -> None:
    world.put(*(item(n) for n in range(7)))
    done = replay_of(world).plan(EVERYTHING, NOON, 3, RULES)
    assert done == {"dataset": "*", "objects": 7, "batches": [0, 1, 2], "next": 0}
    assert [len(world.written[plan_part(n)]) for n in range(3)] == [3, 3, 1]


def test_a_plan_holds_what_the_ledger_says_now_not_what_its_index_said(world: World) -> None:
    world.put(item(1))
    stale = replay_of(world)
    world.items[item(1)["object_id"]]["run"] = 4
    stale.plan(EVERYTHING, NOON, 3, RULES)
    assert world.written[plan_part(0)][0]["run"] == 4


def test_an_empty_plan_has_no_batches_and_comes_out_even(world: World) -> None:
    replay = replay_of(world)
    assert replay.plan(EVERYTHING, NOON, 3, RULES)["batches"] == []
    assert replay.check(0, 0, 1, 100, lambda: False)["done"]
    assert replay.reconcile(0, "*")["kind"] == "replay.done"


def test_a_plan_that_is_too_large_is_refused(world: World) -> None:
    world.put(*(item(n) for n in range(MAX_BATCHES + 1)))
    with pytest.raises(InvalidRequest, match=f"more than {MAX_BATCHES} objects"):
        replay_of(world).plan(EVERYTHING, NOON, 1, RULES)


def test_batch_numbers_of_the_largest_plan_fit_into_the_state() -> None:
    assert len(json.dumps(list(range(MAX_BATCHES)))) < 256 * 1024 / 10


def test_every_object_of_a_batch_is_sent_once_in_a_new_run(world: World) -> None:
    replay = planned(world, 4)
    assert replay.requeue(0) == {"batch": 0, "sent": 3, "gone": 0}
    assert world.sent == [(f"{n:032x}", 2) for n in range(3)]


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_step_that_dies_opens_no_second_run_when_it_is_tried_again(world: World, nth: int) -> None:
    replay = planned(world, 3)
    world.die_at_send = nth
    with pytest.raises(RuntimeError):
        replay.requeue(0)
    replay.requeue(0)
    assert {one["run"] for one in world.items.values()} == {2}
    assert {name for name, _ in world.sent} == set(world.items)


def test_what_is_committed_already_is_not_sent_again_by_a_retry(world: World) -> None:
    replay = planned(world, 3)
    replay.requeue(0)
    world.work()
    assert replay.requeue(0)["sent"] == 0
    assert {one["run"] for one in world.items.values()} == {2}


def test_a_run_that_another_replay_opened_is_left_to_it(world: World) -> None:
    replay = planned(world, 1)
    world.overtake = True
    assert replay.requeue(0)["sent"] == 0
    assert world.items[f"{0:032x}"] | {"run": 2, "replay": "another"} == world.items[f"{0:032x}"]


def test_a_version_that_is_gone_opens_no_run(world: World) -> None:
    replay = planned(world, 2)
    world.versions.discard((item(1)["key"], "v1"))
    assert replay.requeue(0)["gone"] == 1
    assert world.items[item(1)["object_id"]]["run"] == 1
    world.work()
    assert replay.check(1, 0, 1, 100, lambda: False)["done"]  # no step waits for it
    notice = replay.reconcile(1, "*")
    assert (notice["kind"], notice["problems"][0]["outcome"]) == ("replay.failed", "missing")
    assert "version v1 is gone" in notice["problems"][0]["reason"]


def test_the_origins_version_is_read_when_the_copy_is_gone(world: World) -> None:
    world.put(item(1, key="bronze/_requeue/x/part-1.jsonl", version_id="c1"))
    world.versions = {(item(1)["key"], "v1")}
    requeuer = Requeuer(world, world, world, lambda: RULES)  # type: ignore[arg-type]
    assert requeuer.requeue(item(1)["object_id"], 1, "r") == 1
    one = world.items[item(1)["object_id"]]
    assert (one["key"], one["version_id"]) == (item(1)["key"], "v1")


def test_an_object_that_vanished_from_the_ledger_is_not_sent(world: World) -> None:
    with pytest.raises(ObjectMissing):
        Requeuer(World({item(1)["object_id"]: item(1)}), world, world, lambda: RULES).requeue(
            item(1)["object_id"], 1, "r"
        )  # type: ignore[arg-type]
    assert Requeuer(world, world, world, lambda: RULES).requeue("0" * 32, 1, "r") == 0  # type: ignore[arg-type]


def test_a_look_goes_on_where_the_last_one_ended(world: World) -> None:
    replay = planned(world, 7)
    for batch in range(3):
        replay.requeue(batch)
    assert replay.check(3, 0, 1, 100, lambda: False) == {"next": 0, "done": False, "late": False, "wait_seconds": 1}
    for n in range(4):
        world.items[f"{n:032x}"]["state"] = "committed"
    assert replay.check(3, 0, 30, 100, lambda: False) == {"next": 1, "done": False, "late": False, "wait_seconds": 3}
    world.asked.clear()
    world.work()
    assert replay.check(3, 1, 5000, 100, lambda: False) == {"next": 3, "done": True, "late": True, "wait_seconds": 60}
    assert [len(ids) for ids in world.asked] == [3, 1]  # the first batch is not looked at again


def test_a_look_gives_back_when_the_functions_time_is_up(world: World) -> None:
    replay = planned(world, 3, batch=1)
    for batch in range(3):
        replay.requeue(batch)
    world.work()
    looks = iter([False, True])
    assert replay.check(3, 0, 1, 100, lambda: next(looks))["next"] == 1


def test_after_the_deadline_the_reconciliation_names_what_is_unfinished(world: World) -> None:
    replay = planned(world, 2)
    replay.requeue(0)
    world.items[f"{0:032x}"]["state"] = "committed"
    late = replay.check(1, 0, 101, 100, lambda: False)
    assert (late["done"], late["late"]) == (False, True)
    notice = replay.reconcile(1, "*")
    assert (notice["kind"], notice["outcomes"]) == ("replay.failed", {"committed": 1, "unfinished": 1})


def test_the_reconciliation_counts_before_and_after_by_dataset(world: World) -> None:
    world.put(item(1), item(2, dataset="flights"))
    world.put(item(3, state="failed", chunk_count=0, rows_in=0, rows_silver=0, rows_quarantined=0, failed_reason="x"))
    replay = replay_of(world)
    replay.plan(EVERYTHING, NOON, 10, RULES)
    replay.requeue(0)
    world.work(rows=12)
    notice = replay.reconcile(1, "*")
    assert (notice["kind"], notice["severity"], notice["problem_count"]) == ("replay.done", "info", 0)
    result = world.written[RESULT]
    assert result["before"] == {"rows_in": 20, "rows_silver": 18, "rows_quarantined": 2}
    assert result["after"] == {"rows_in": 24, "rows_silver": 24, "rows_quarantined": 0}
    assert {name: counts["outcomes"] for name, counts in result["datasets"].items()} == {
        "flights": {"committed": 1},
        "shipments": {"committed": 1, "left out": 1},
    }
    assert [line["object_id"] for line in result["left_out"]] == [f"{3:032x}"]
    assert world.written[gone_part(0)] == {}


def test_a_notice_names_a_few_and_the_result_all(world: World) -> None:
    replay = planned(world, 9, batch=10)
    world.written[gone_part(0)] = {}
    notice = replay.reconcile(1, "shipments")
    assert (notice["problem_count"], len(notice["problems"]), len(world.written[RESULT]["problems"])) == (9, 5, 9)
    assert notice["look"] == "sluice replay --show replay-x"
    assert len(json.dumps(notice)) < 256 * 1024
