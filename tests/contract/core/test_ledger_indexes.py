"""The ledger's indexes on DynamoDB: whatever happens to objects, the lists say what a scan of the table says.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-indexes-general-sparse-indexes.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-indexes-gsi-sharding.html
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sluice.pipeline.ledger import LedgerView
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.dynamo.values import plain
from sluice_pipeline.ledger import counting, failing, ledger, planning, reindex, staged
from sluice_pipeline.ledger.counting import ChunkResult
from sluice_pipeline.ledger.indexes import Indexes, of_state
from sluice_pipeline.ledger.items import OBJECT_SK, State, object_pk
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.listing import ANY, LedgerList, Window
from sluice_pipeline.ledger.planning import BeingPublished
from sluice_pipeline.ledger.reindex import Reindex, is_right
from sluice_pipeline.ledger.shards import COMMITTED, HEAD, OPEN, RECEIVED
from sluice_pipeline.ledger.staged import StagedRuns
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef
from tests.support.engine_harness import Engine
from tests.support.ledger_table import ledger_table

RULES = RulesVersion("0" * 64, "v1")
DATASETS = ("shipments", "flights")
FAILURES = (State.FAILED, State.MISSING)


@pytest.fixture
def db(engine: Engine) -> Any:
    return engine.client("dynamodb")


@pytest.fixture
def table(db: Any) -> Iterator[str]:
    with ledger_table(db) as name:
        yield name


@pytest.fixture(autouse=True)
def moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two changes come at one time, so that there is one right order."""
    ticks = count()
    for module in (planning, counting, failing, ledger, staged):
        monkeypatch.setattr(module, "now", lambda: f"2026-11-27T12:00:{next(ticks):09d}Z")


class World:
    """Objects of a ledger. Each step is one call, by a function that has its own number of shards."""

    def __init__(self, db: Any, table: str) -> None:
        self.db, self.table = db, table
        for item in db.scan(TableName=table)["Items"]:  # of the example before
            db.delete_item(TableName=table, Key={name: item[name] for name in ("pk", "sk")})
        self.refs = [ObjectRef("b", f"bronze/{DATASETS[n % 2]}/{n}.jsonl", "v1", f"e{n}", 100) for n in range(4)]

    def do(self, step: str, number: int, shards: int) -> None:
        ledger, runs = Ledger(self.db, self.table, shards), StagedRuns(self.db, self.table, shards)
        ref = self.refs[number]
        origin, chunks = ref.as_origin(), number // 2 + 1
        object_id, parts = origin.object_id, [Chunk(n, n, n + 1, chunks) for n in range(chunks)]
        item = ledger.object(object_id)
        run = int(item["run"]) if item else 1
        match step:
            case "plan":
                ledger.create_plan(ref, origin, DATASETS[number % 2], parts, RULES)
            case "fail":
                state = FAILURES[number % 2]
                ledger.record_failure(ref, origin, DATASETS[number % 2], state, "unreadable", "no rows")
            case "open" if item and int(item["chunk_count"]):
                try:
                    ledger.open_run(ref, item, RULES)
                except BeingPublished:
                    return
                ledger.open_chunks(ledger.object(object_id) or item)
            case "complete" if item and int(item["chunk_count"]):
                for part in parts:
                    ledger.complete_chunk(object_id, part, run, ChunkResult(1, [], []))
            case "claim":
                ledger.claim_commit(object_id, 0)
            case "stage":
                ledger.stage(object_id, run)
            case "withhold":
                runs.withhold(object_id, run, "expectation", "not fresh")
            case "unaudited":
                runs.note_unaudited(object_id, run, "no_verdict", "timed out")
            case "commit" if item:
                ledger.commit(object_id, run, State(item["state"]))
            case "life":
                for one in ("plan", "complete", "claim", "commit"):
                    self.do(one, number, shards)
            case "load":
                ledger.note_loaded(object_id, run, 1, "b")

    def items(self) -> list[dict[str, Any]]:
        """All objects, by a scan of the table."""
        found = map(plain, self.db.scan(TableName=self.table, ConsistentRead=True)["Items"])
        return [item for item in found if item["sk"] == OBJECT_SK]

    def forget_keys(self, numbers: Sequence[int]) -> None:
        """As an earlier release has written these objects."""
        for number in numbers:
            pk = object_pk(self.refs[number].as_origin().object_id)
            self.db.update_item(
                TableName=self.table,
                Key={"pk": {"S": pk}, "sk": {"S": OBJECT_SK}},
                UpdateExpression=f"REMOVE {OPEN.key}, {COMMITTED.key}, {RECEIVED.key}",
                ConditionExpression="attribute_exists(pk)",
            )

    def check_lists(self) -> None:
        """Every reader says what a scan says."""
        items, view = self.items(), LedgerView(self.db, self.table)

        def ids(chosen: Callable[[dict[str, Any]], bool], order: str) -> list[str]:
            found = sorted(filter(chosen, items), key=lambda item: item[order], reverse=True)
            return [item["object_id"] for item in found]

        for state in State:
            wanted = ids(lambda item: item["state"] == state, "updated_at")  # noqa: B023
            assert [item["object_id"] for item in view.changed(state, page=1)] == wanted
            assert [item["object_id"] for item in view.recent(state=state, page=1)] == wanted
            assert [item["object_id"] for item in view.oldest(state, 2)] == wanted[::-1][:2]
            assert view.count(state) == len(wanted)
        for dataset in DATASETS:
            wanted = ids(lambda item: item["dataset"] == dataset, "received_at")  # noqa: B023
            assert [item["object_id"] for item in view.received(dataset, page=1)] == wanted
            assert [item["object_id"] for item in view.recent(dataset=dataset)] == wanted
            listed = LedgerList(self.db, self.table).received(dataset, Window())
            assert [item["object_id"] for item in listed] == wanted[::-1]
        everything = sorted(item["object_id"] for item in items)
        assert sorted(item["object_id"] for item in view.everything_received()) == everything
        listed = LedgerList(self.db, self.table).received(ANY, Window())
        assert sorted(item["object_id"] for item in listed) == everything

    def check_keys(self) -> None:
        """The sparse indexes have exactly what belongs in them."""
        items = self.items()
        assert all(map(is_right, items))
        for index, chosen in (
            (OPEN, [item for item in items if item["state"] != State.COMMITTED]),
            (COMMITTED, [item for item in items if item["state"] == State.COMMITTED]),
            (RECEIVED, items),
        ):
            found = self.db.scan(TableName=self.table, IndexName=index.name)["Items"]
            assert sorted(item["object_id"]["S"] for item in found) == sorted(item["object_id"] for item in chosen)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["plan", "life", "complete", "commit", "claim", "stage", "withhold", "unaudited", "fail",
                         "open", "load"]),
        st.integers(0, 3),
        st.integers(1, 3),
    ),
    max_size=20,
)  # fmt: skip


GATED = ["plan", "complete", "claim", "stage", "unaudited", "withhold", "commit", "load", "open"]


@given(STEPS)
@example([("life", 0, 1), ("open", 0, 2), ("fail", 0, 1), ("open", 0, 3), ("complete", 0, 1), ("commit", 0, 2)])
@example([(step, 2, number % 3 + 1) for number, step in enumerate(GATED)])
@example([("fail", 1, 3), ("plan", 1, 2), ("fail", 3, 1), ("plan", 3, 1), ("life", 2, 3)])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_to_objects_the_indexes_have_what_a_scan_says(
    db: Any, table: str, steps: list[tuple[str, int, int]]
) -> None:
    world = World(db, table)
    for step in steps:
        world.do(*step)
        assert all(map(is_right, world.items()))
    world.check_keys()
    world.check_lists()


def lived(world: World) -> None:
    """Four objects in four states, written with three numbers of shards."""
    for number in range(4):
        world.do("plan", number, 3)
    world.do("complete", 0, 1)
    world.do("commit", 0, 2)
    world.do("complete", 1, 1)
    world.do("fail", 3, 1)


@given(st.sets(st.integers(0, 3)), st.lists(st.integers(0, 3), max_size=2))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_objects_of_an_earlier_release_are_found_before_and_after_they_are_indexed(
    db: Any, table: str, old: set[int], broken_off: list[int]
) -> None:
    """The migration is broken off after so many pages of one item, more than once, and gone on with."""
    world = World(db, table)
    lived(world)
    world.forget_keys(sorted(old))
    world.check_lists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reindex, "REST_SECONDS", 0)
        patch.setattr(reindex, "_READ", 1)
        for pages in broken_off:
            left = iter([False] * pages)
            assert not Reindex(db, table, 2).run(lambda: next(left, True))  # noqa: B023
        world.check_lists()
        while not Reindex(db, table, 2).run(lambda: False):
            pass
    world.check_keys()
    world.check_lists()
    assert Indexes(db, table).complete


def test_a_pass_that_changed_something_is_followed_by_one_when_no_function_of_then_can_run(
    db: Any, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function of the release before still writes after the first pass; the second finds it."""
    world = World(db, table)
    lived(world)
    world.forget_keys([0])
    assert not Reindex(db, table).run(lambda: False)
    world.forget_keys([1])
    assert not Reindex(db, table).run(lambda: False)
    assert not all(map(is_right, world.items())), "it is too early"
    monkeypatch.setattr(reindex, "now", lambda: "2999-01-01T00:00:00.000Z")
    assert not Reindex(db, table).run(lambda: False)
    world.check_keys()
    assert Reindex(db, table).run(lambda: False)
    assert Reindex(db, table).run(lambda: pytest.fail("it is done"))


class Meddling:
    """A client whose next scan is followed by something else before its answer comes."""

    def __init__(self, db: Any, then: Callable[[], object]) -> None:
        self._db, self._then = db, then

    def scan(self, **request: Any) -> Any:
        answer = self._db.scan(**request)
        self._then()
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


@pytest.mark.parametrize("release", ["this", "the one before"])
def test_an_object_that_changes_while_it_is_indexed_is_indexed_as_it_is_then(db: Any, table: str, release: str) -> None:
    world = World(db, table)
    lived(world)
    world.forget_keys([1, 2])

    def change() -> None:
        world.do("commit", 1, 1)
        world.do("complete", 2, 1)
        if release == "the one before":
            world.forget_keys([1, 2])

    Reindex(Meddling(db, change), table).run(lambda: False)
    world.check_keys()


def test_an_empty_ledger_is_read_again(db: Any, table: str) -> None:
    """It may be one of the release before, of which a function is about to write the first object."""
    world = World(db, table)
    assert not Reindex(db, table).run(lambda: False)
    world.do("plan", 0, 1)
    assert Reindex(db, table).run(lambda: False)


def test_the_greatest_number_of_shards_that_was_ever_written_with_is_read(db: Any, table: str) -> None:
    for shards, greatest in ((1, 1), (5, 5), (2, 5), (7, 7)):
        ledger, ref = Ledger(db, table, shards), ObjectRef("b", f"bronze/shipments/{shards}.jsonl", "v1", "e", 1)
        ledger.create_plan(ref, ref.as_origin(), "shipments", [Chunk(0, 0, 1, 1)], RULES)
        assert Indexes(db, table).shards == greatest


def test_a_function_announces_its_shards_once(db: Any, table: str) -> None:
    """An environment that has announced them makes no further call, and one shard needs no announcement."""
    calls = []

    class Counted(Meddling):
        def update_item(self, **request: Any) -> Any:
            calls.append(request["Key"]["pk"]["S"] == HEAD[0])
            return self._db.update_item(**request)

    for shards, expected in ((1, 0), (4, 1)):
        ledger = Ledger(Counted(db, lambda: None), table, shards)
        for _ in range(3):
            ledger.claim_commit("0" * 32, 0)
        assert sum(calls) == expected


def test_times_that_are_no_window_are_those_of_nothing(db: Any, table: str) -> None:
    """DynamoDB refuses a BETWEEN whose lower bound is greater.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
    """
    world = World(db, table)
    lived(world)
    late, early = "2026-11-28", "2026-11-26"
    listed = LedgerList(db, table)
    assert list(listed.received("shipments", Window(late, early))) == []
    assert len(list(listed.received("shipments", Window(early, late)))) == 2
    assert list(Indexes(db, table).read(of_state(State.FAILED, since=late))) == []
