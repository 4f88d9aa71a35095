"""Objects of the ledger expire: none is half there, whatever dies on the way and whichever items DynamoDB deletes.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.pipeline.ledger import LedgerView
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger import shards
from sluice_pipeline.ledger.counting import ChunkResult
from sluice_pipeline.ledger.expiry import EXPIRED, HEAD, REST, Expiry
from sluice_pipeline.ledger.items import EXPIRED_AT, EXPIRES_AT, OBJECT_SK, State, object_pk
from sluice_pipeline.ledger.listing import ANY, Window
from sluice_pipeline.ledger.planning import Expiring
from sluice_pipeline.ledger.reindex import Reindex
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.replays.request import entry_of, finished, outcome_of
from sluice_pipeline.replays.requeue import Requeuer
from sluice_pipeline.runtime import clock
from tests.unit.core.test_identity import Died, Pipe, rows

DAYS = 40
FAR = timedelta(days=DAYS + 1)
RULES = RulesVersion("a" * 64, "v1")


@dataclass
class Time:
    """The clock of functions and of S3."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="module")
def time() -> Iterator[Time]:
    moment = Time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "present", lambda: moment.now)
        yield moment


@dataclass
class World:
    """Bronze, the ledger, what was written to silver, and the time; a file is named after object and chunk."""

    time: Time
    chunk_bytes: int = 50_000
    silver: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    done: int = 0

    def __post_init__(self) -> None:
        self.pipe = Pipe(self.chunk_bytes)
        self.db, self.ledger = self.pipe.db, self.pipe.ledger
        self.modified: dict[str, datetime] = {}
        head = typed({"pk": shards.HEAD[0], "sk": shards.HEAD[1], "shards": 1, "complete": True})
        self.db.items[shards.HEAD] = head
        get = self.pipe.s3.get_object

        def get_object(VersionId: str, **request: Any) -> dict[str, Any]:  # noqa: N803
            return get(VersionId, **request) | {"LastModified": self.modified[VersionId]}

        self.pipe.s3.get_object = get_object  # type: ignore[method-assign]

    def upload(self, name: str, etag: str, size: int = 0) -> ObjectRef:
        ref = self.pipe.upload(rows(name, size), etag, f"bronze/shipments/{name}.jsonl")
        ref = replace(ref, since=clock.now())
        self.modified[ref.version_id] = self.time.now
        return ref

    def announce(self, ref: ObjectRef) -> None:
        """The event, delivered until it is done: what expires at this moment has by the next delivery."""
        try:
            result = self.pipe.planner.plan(ref)
        except Expiring:
            self.expire()
            result = self.pipe.planner.plan(ref)
        known = self.ledger.object(result["object_id"])
        assert known is not None
        self.ledger.note_newest(known["object_id"], ref)

    def work(self) -> None:
        """transform: every chunk message, each twice; a file of a newer run is not replaced by an older one."""
        for body in self.pipe.sqs.bodies[self.done :] * 2:
            message = ChunkMessage.from_json(body)
            name, chunk = message.origin.object_id, message.chunk
            item = self.ledger.chunk(name, chunk.index)
            if item is None or int(item["run"]) != message.run:
                continue
            key = f"{name}-{chunk.index}"
            assert self.silver.get(key, (0, b""))[0] <= message.run, "the lake has a newer run of it"
            data = self.pipe.s3.versions[message.object.version_id][chunk.start : chunk.end]
            self.silver[key] = message.run, data
            output = {"key": key, "dataset": "shipments", "dt": "", "rows": data.count(b"\n"), "bytes": len(data)}
            result = ChunkResult(output["rows"], [output], [])  # type: ignore[list-item]
            self.ledger.complete_chunk(name, chunk, message.run, result)
            if self.ledger.claim_commit(name, chunk.index):
                self.ledger.commit(name, message.run)
        self.done = len(self.pipe.sqs.bodies)

    def expire(self, calls: int | None = None) -> int:
        """settle: dies before a call to DynamoDB when there is a number of them, and at a later time runs again."""
        left = calls

        def before(name: str) -> None:
            nonlocal left
            if left is not None and name != "GetItem":
                left -= 1
                if left < 0:
                    raise Died

        self.db.before = before
        try:
            return Expiry(self.db, "ledger", DAYS).run(lambda: False)
        except Died:
            return 0
        finally:
            self.db.before = lambda _: None

    def delete(self, chosen: list[bool]) -> None:
        """DynamoDB deletes some of the items whose time is over, in any order."""
        over = [place for place, item in sorted(self.db.items.items()) if EXPIRES_AT in item]
        for place, wanted in zip(over, chosen, strict=False):
            assert int(plain(self.db.items[place])[EXPIRES_AT]) <= self.time.now.timestamp()
            if wanted:
                del self.db.items[place]

    def heads(self) -> dict[str, dict[str, Any]]:
        return {pk: plain(item) for (pk, sk), item in self.db.items.items() if sk == OBJECT_SK}

    def check(self) -> None:
        """Every reader sees the same objects, and each of them as a whole."""
        heads = self.heads()
        present = {
            item["object_id"]: item for item in heads.values() if EXPIRED_AT not in item and EXPIRES_AT not in item
        }
        own = {name: item for name, item in present.items() if "same_as" not in item}
        view = LedgerView(self.db, "ledger")
        outlines = view.outlines().entries
        assert outlines.keys() == own.keys()
        listed = {item["object_id"] for item in self.pipe.list.received(ANY, Window()) if "dataset" in item}
        by_dataset = {item["object_id"] for item in view.received("shipments")}
        by_state = [item["object_id"] for state in State for item in view.recent(state=state)]
        assert by_dataset == own.keys()
        assert listed >= own.keys()
        assert sorted(by_state) == sorted(own)
        for name in outlines:
            entry = view.one(name)
            assert entry is not None
            assert len(entry.live_chunks) == entry.number("chunk_count") == len(entry.chunks)
            assert [chunk["sk"] for chunk in self.ledger.chunks(name)] == [chunk["sk"] for chunk in entry.chunks]
            assert not [chunk for chunk in entry.chunks if EXPIRES_AT in chunk]
            if entry.state == State.COMMITTED:
                assert entry.number("rows_in") == sum(int(chunk["rows_in"]) for chunk in entry.chunks)
                assert all(self.silver[key][0] == entry.number("run") for key in entry.files("outputs"))
        for name in [item["object_id"] for item in heads.values()]:
            seen = self.ledger.object(name)
            assert (seen is not None) == (name in present and (seen or {}).get("object_id") in own)
            one = view.one(name)
            assert (one and one.object_id) == (seen and seen["object_id"])


def run_of(world: World, ref: ObjectRef) -> int:
    item = world.ledger.object(ref.as_origin().object_id)
    assert item is not None
    return int(item["run"])


@pytest.fixture
def world(time: Time) -> World:
    return World(time)


def test_a_finished_object_expires_with_all_that_belongs_to_it(world: World) -> None:
    ref = world.upload("a", "e1")
    other = world.upload("a", "e2")
    world.announce(ref)
    world.announce(other)
    world.work()
    world.check()
    assert world.expire() == 0
    world.time.now += FAR
    assert world.expire() == 1
    world.check()
    names = {ref.as_origin().object_id, other.as_origin().object_id}
    assert not world.pipe.list.objects(names)
    left = {place[0].split("#")[0] for place, item in world.db.items.items() if EXPIRES_AT not in item}
    assert left == {"ledger"}, "no item of it stays for ever"
    assert all(item[EXPIRES_AT].keys() == {"N"} for item in world.db.items.values() if EXPIRES_AT in item)
    assert {item["state"] for item in world.heads().values() if "same_as" not in item} == {EXPIRED}


@pytest.mark.parametrize("state", [state for state in State if state != State.COMMITTED])
def test_what_is_not_committed_stays_for_ever(world: World, state: State) -> None:
    """A failed, missing or withheld object is a question to an operator, all others are being worked on."""
    ref = world.upload("a", "e1")
    world.announce(ref)
    place = object_pk(ref.as_origin().object_id), OBJECT_SK
    item = plain(world.db.items[place]) | {"state": state}
    world.db.items[place] = typed(item | shards.keys(state, 0))
    world.time.now += FAR
    assert world.expire() == 0
    world.check()


@pytest.mark.parametrize(
    ("facts", "loaded", "left_out", "expires"),
    [
        ({}, False, [], True),
        ({"notice_due": True}, False, [], False),
        ({"publishing": 1}, False, [], False),
        ({}, True, [], False),
        ({"loaded_run": 1}, True, [], True),
        ({"loaded_run": 0}, True, [], False),  # an older run is in the warehouse
        ({"load_error": "no connection"}, True, [], False),
        ({}, True, ["clicks", "shipments"], True),
        ({}, True, ["clicks"], False),
    ],
)
def test_what_is_open_of_a_committed_object_holds_it(
    world: World, facts: dict[str, Any], loaded: bool, left_out: list[str], expires: bool
) -> None:
    ref = world.upload("a", "e1")
    world.announce(ref)
    world.work()
    place = object_pk(ref.as_origin().object_id), OBJECT_SK
    world.db.items[place] = typed(plain(world.db.items[place]) | facts)
    world.time.now += FAR
    expiry = Expiry(world.db, "ledger", DAYS, loaded=loaded, left_out=left_out)
    assert expiry.run(lambda: False) == int(expires)


def test_an_upload_of_its_bytes_holds_an_object_as_if_it_came_then(world: World) -> None:
    """verify finds the younger version in bronze, and must find an object to which it belongs."""
    world.announce(world.upload("a", "e1"))
    world.work()
    world.time.now += timedelta(days=DAYS - 1)
    world.announce(world.upload("a", "e2"))
    world.time.now += timedelta(days=DAYS - 1)
    assert world.expire() == 0
    world.time.now += REST + timedelta(days=1, seconds=1)
    assert world.expire() == 1


@pytest.mark.parametrize("size", [0, 120_000], ids=["one chunk", "chunks"])
@pytest.mark.parametrize("chosen", [[], [True] * 20], ids=["still there", "deleted"])
def test_an_event_after_the_expiry_replaces_what_the_object_had_written(
    world: World, size: int, chosen: list[bool]
) -> None:
    """The keys are the same, and the run is newer than any before: what it finds in the lake and the warehouse, it
    replaces (fencing.py, the warehouse's loads).
    """
    ref = world.upload("a", "e1", size)
    world.announce(ref)
    world.work()
    for replay in ("r1", "r2"):
        _requeue(world, ref, replay)
        world.work()
    before = dict(world.silver)
    assert run_of(world, ref) == 3
    world.time.now += FAR
    assert world.expire() == 1
    world.delete(chosen)
    world.announce(ref)
    world.work()
    world.check()
    assert run_of(world, ref) > 3
    assert {key: data for key, (_, data) in world.silver.items()} == {key: data for key, (_, data) in before.items()}
    item = world.ledger.object(ref.as_origin().object_id)
    assert item is not None
    assert item["state"] == State.COMMITTED
    came = clock.written(world.modified[ref.version_id])
    assert item["received_at"] == came, "it came when its version did: its rows are no newer than that"


def _requeue(world: World, ref: ObjectRef, replay: str, run: int | None = None) -> int:
    class Versions:
        def exists(self, ref: ObjectRef) -> bool:
            return ref.version_id in world.pipe.s3.versions

    requeuer = Requeuer(world.ledger, world.pipe.planner._queue, Versions(), lambda: RULES)
    return requeuer.requeue(ref.as_origin().object_id, run_of(world, ref) if run is None else run, replay)


def test_a_replay_that_was_planned_before_the_expiry_changes_nothing_and_says_so(world: World) -> None:
    ref = world.upload("a", "e1")
    world.announce(ref)
    world.work()
    item = world.ledger.object(ref.as_origin().object_id)
    assert item is not None
    entry = entry_of(item)
    world.time.now += FAR
    world.expire()
    assert _requeue(world, ref, "r1", entry["run"]) == 0
    assert world.ledger.open_run(ref, item, RULES, "r1") is None, "read before the expiry, and opened after it"
    assert finished(entry, world.ledger.object(ref.as_origin().object_id))
    assert not outcome_of(entry, None, None).fine
    assert "expired" in outcome_of(entry, None, None).reason
    world.check()


def test_a_run_that_has_begun_holds_its_object(world: World) -> None:
    ref = world.upload("a", "e1")
    world.announce(ref)
    world.work()
    world.time.now += FAR
    _requeue(world, ref, "r1")
    assert world.expire() == 0
    world.work()
    assert world.expire() == 0, "its time begins again"


def test_a_failure_of_an_object_that_returns_is_recorded_and_notified(world: World) -> None:
    ref = world.upload("a", "e1")
    world.announce(ref)
    world.work()
    world.time.now += FAR
    world.expire()
    arguments = (ref, ref.as_origin(), "shipments", State.FAILED, "unreadable", "no rows")
    assert world.ledger.record_failure(*arguments)
    assert not world.ledger.record_failure(*arguments)
    item = world.ledger.object(ref.as_origin().object_id)
    assert item is not None
    assert (item["state"], item["notice_due"], int(item["chunk_count"])) == (State.FAILED, True, 0)
    assert EXPIRES_AT not in item
    world.check()
    world.announce(ref)
    world.work()
    world.check()
    assert world.ledger.object(ref.as_origin().object_id)["state"] == State.COMMITTED  # type: ignore[index]


def test_an_object_is_no_plan_while_it_expires(world: World) -> None:
    """Its chunks are being marked: those of a new plan must not be among them."""
    ref = world.upload("a", "e1")
    world.announce(ref)
    world.work()
    world.time.now += FAR
    world.expire(calls=1)
    assert world.heads()[object_pk(ref.as_origin().object_id)]["state"] == EXPIRED
    world.check()
    with pytest.raises(Expiring):
        world.pipe.planner.plan(ref)
    with pytest.raises(Expiring):
        world.pipe.planner.plan(world.upload("a", "e2"))
    with pytest.raises(Expiring):
        world.ledger.record_failure(ref, ref.as_origin(), "shipments", State.FAILED, "why", "because")
    world.check()
    assert world.expire() == 1
    world.announce(ref)
    world.work()
    world.check()


def test_an_upload_that_was_planned_as_the_same_just_before_the_expiry_comes_again(world: World) -> None:
    ref = world.upload("a", "e1")
    world.announce(ref)
    world.work()
    world.time.now += FAR
    world.expire()
    other = world.upload("a", "e2")
    with pytest.raises(Expiring):
        world.ledger.note_same(other.as_origin(), other, ref.as_origin().object_id)
    assert object_pk(other.as_origin().object_id) not in world.heads(), "no pointer leads to what has expired"
    world.check()


def test_a_ledger_of_an_earlier_release_expires_once_it_is_indexed(world: World) -> None:
    for name in "abc":
        world.announce(world.upload(name, "e1"))
    world.work()
    for item in world.db.items.values():
        for key in ("open_in", "committed_in", "received_in", "content_id"):
            item.pop(key, None)
    world.db.items[shards.HEAD].pop("complete")
    world.time.now += FAR
    assert world.expire() == 0
    assert not Reindex(world.db, "ledger").run(lambda: False)
    world.time.now += timedelta(minutes=16)
    assert Reindex(world.db, "ledger").run(lambda: False)
    assert world.expire() == 3
    world.check()


def test_a_pass_goes_on_where_the_last_one_was_broken_off_and_rests_at_its_end(world: World) -> None:
    for number in range(5):
        world.announce(world.upload(f"n{number}", "e1"))
        world.work()
        world.time.now += timedelta(seconds=1)
    world.time.now += FAR
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluice_pipeline.ledger.expiry._BATCH", 2)
        hurried = iter([False, False, False, True, True, True])
        assert Expiry(world.db, "ledger", DAYS).run(lambda: next(hurried)) == 4
        assert "position" in plain(world.db.items[HEAD])
        assert world.expire() == 1
    head = plain(world.db.items[HEAD])
    assert "position" not in head
    assert head["next_pass_at"] == clock.written(world.time.now + REST)


OPERATIONS = st.one_of(
    st.tuples(st.just("upload"), st.sampled_from("ab"), st.sampled_from(["e1", "e2"])),
    st.tuples(st.just("again"), st.integers(0, 9)),
    st.tuples(st.just("work")),
    st.tuples(st.just("wait"), st.sampled_from([1, 25, DAYS + 1])),
    st.tuples(st.just("expire"), st.one_of(st.none(), st.integers(0, 6))),
    st.tuples(st.just("delete"), st.lists(st.booleans(), max_size=12)),
    st.tuples(st.just("requeue"), st.integers(0, 9)),
)


@pytest.fixture(params=[100, 4], ids=["one transaction", "several"])
def limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """How many items one transaction holds."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("ledger.planning", "ledger.expiry", "dynamo.table"):
            patch.setattr(f"sluice_pipeline.{module}.TRANSACTION_LIMIT", request.param)
        yield


@pytest.mark.usefixtures("limit")
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATIONS, max_size=16), size=st.sampled_from([0, 400]))
def test_every_reader_is_right_after_any_order_of_events_deaths_and_deletions(
    operations: list[tuple[Any, ...]], size: int, time: Time
) -> None:
    time.now = datetime(2026, 1, 1, tzinfo=UTC)
    world, refs = World(time, 80), []
    for number, (name, *arguments) in enumerate(operations):
        time.now += timedelta(minutes=1)
        match name:
            case "upload":
                refs.append(world.upload(*arguments, size))
                world.announce(refs[-1])
            case "again" if refs:
                world.announce(refs[arguments[0] % len(refs)])
            case "work":
                world.work()
            case "wait":
                time.now += timedelta(days=arguments[0])
            case "expire":
                world.expire(*arguments)
            case "delete":
                world.delete(*arguments)
            case "requeue" if refs:
                ref = refs[arguments[0] % len(refs)]
                if known := world.ledger.object(ref.as_origin().object_id):
                    run = int(known["run"])
                    world.ledger.note_newest(known["object_id"], ref)
                    origin = replace(ref, etag=known["origin"]["etag"])
                    _requeue(world, origin, f"r{number}", run)
        world.check()
    world.work()
    time.now += FAR
    world.expire()
    time.now += REST
    world.expire()
    world.check()
    assert not world.pipe.list.objects(ref.as_origin().object_id for ref in refs)
    forgotten = [place for place, item in world.db.items.items() if EXPIRES_AT not in item]
    assert all(pk.startswith("ledger#") for pk, _ in forgotten), "nothing stays for ever"
    for ref in refs:
        world.announce(ref)
        world.work()
    world.check()
