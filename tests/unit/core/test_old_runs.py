"""A run that stood still while a replay began and ended: nothing it still does replaces, removes or revives a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from core.transform.chunk import Buckets, ChunkProcessor, NotPlanned, Overwritten
from fixtures import formats, shipping
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.counting import ChunkResult
from sluice_pipeline.ledger.items import ChunkState
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.fencing import RUN, RunFiles, Superseded
from sluice_pipeline.objects.identity import ObjectRef
from tests.support.fakes import ConditionalS3
from tests.support.handlers import project_catalog
from tests.support.thorough import examples

KEY = "bronze/shipments/a.jsonl"
DAYS = 4
CATALOG = project_catalog()


class DiedError(BaseException):
    """The function's end."""


def body(days: tuple[int, ...], note: str, *, bad: bool) -> bytes:
    """A row of each of some days, and perhaps a line that is no row."""
    rows = []
    for day in days:
        row = shipping.records(shipping.SHIPMENTS, day, 1)[0]
        at = datetime(2025, 3, 1 + day, tzinfo=UTC) + timedelta(hours=1)
        rows.append(row | {"event_time": at.isoformat().replace("+00:00", "Z"), "carrier": note})
    return formats.jsonl(rows) + (b"no row\n" if bad else b"")


@dataclass
class World:
    """Buckets, and a ledger that holds one chunk. ``hooks``: what happens before the call of a number."""

    bodies: dict[int, bytes]
    s3: ConditionalS3 = field(default_factory=ConditionalS3)
    chunk_: dict[str, Any] = field(default_factory=dict)
    calls: int = 0
    hooks: dict[int, Callable[[], None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.s3.before = self.step
        self.processor = ChunkProcessor(
            self.s3,
            self,  # type: ignore[arg-type]
            SimpleNamespace(committed=lambda *_: None),  # type: ignore[arg-type]
            SimpleNamespace(read=lambda _rules: CATALOG),  # type: ignore[arg-type]
            Buckets("silver", "quarantine"),
            2**30,
            SimpleNamespace(commit=lambda *_: True),  # type: ignore[arg-type]
            SimpleNamespace(settle=lambda *_: None),  # type: ignore[arg-type]
        )
        for run, content in self.bodies.items():
            self.s3.bodies[f"v{run}"] = content
        self.begin(1)

    def step(self) -> None:
        self.calls += 1
        if hook := self.hooks.pop(self.calls, None):
            hook()

    def message(self, run: int) -> ChunkMessage:
        size = len(self.bodies[run])
        ref = ObjectRef("bronze", KEY, f"v{run}", "e", size)
        origin = ObjectRef("bronze", KEY, "v1", "e", len(self.bodies[1])).as_origin()
        return ChunkMessage(ref, origin, shipping.SHIPMENTS, Chunk(0, 0, size, 1), run=run)

    def begin(self, run: int) -> None:
        self.chunk_ |= {"run": run, "chunk_state": ChunkState.PENDING}

    def process(self, run: int, *, again: bool = False) -> None:
        self.processor.process(self.message(run), again=again)

    def replay(self) -> None:
        """The whole of run 2."""
        self.begin(2)
        self.process(2)

    def redeliver(self, run: int) -> None:
        """As the queue does with what was not acknowledged, until nothing is left to do."""
        if not self.processor.clear(self.message(run)):
            self.process(run, again=True)

    def files(self) -> dict[str, dict[str, bytes]]:
        return {bucket: self.s3.contents(bucket) for bucket in ("silver", "quarantine")}

    # -- the ledger --------------------------------------------------------------------------------------------------

    def chunk(self, _object_id: str, _index: int) -> dict[str, Any]:
        self.step()
        return {"outputs": [], "quarantine": []} | self.chunk_

    def complete_chunk(self, _object_id: str, _chunk: Chunk, run: int, result: ChunkResult) -> bool:
        self.step()
        if self.chunk_["run"] != run or self.chunk_["chunk_state"] == ChunkState.DONE:
            return False
        self.chunk_ |= {"chunk_state": ChunkState.DONE, "outputs": result.outputs, "quarantine": result.quarantine}
        return True

    def delete_former_pages(self, _chunk: Any, _run: int) -> None:
        self.step()

    def claim_commit(self, _object_id: str, _index: int) -> None:
        self.step()


DATES = st.lists(st.integers(0, DAYS - 1), min_size=1, max_size=DAYS, unique=True).map(tuple)
BODIES = st.builds(body, DATES, st.sampled_from(["Nordpost", "Rapido"]), bad=st.booleans())


def alone(bodies: dict[int, bytes]) -> dict[str, dict[str, bytes]]:
    """What is there after both runs, one after the other."""
    world = World(bodies)
    world.process(1)
    world.replay()
    return world.files()


@settings(max_examples=examples(60))
@given(old=BODIES, new=BODIES, at=st.integers(1, 16), dies=st.integers(0, 8))
def test_an_old_run_that_goes_on_after_a_replay_leaves_the_replays_files(
    old: bytes, new: bytes, at: int, dies: int
) -> None:
    """Run 2 begins and ends between any two calls of run 1, which goes on or dies some calls later, and comes again."""
    bodies = {1: old, 2: new}
    world = World(bodies)
    world.hooks[at] = world.replay

    def die() -> None:
        raise DiedError

    def arm_and_replay() -> None:
        world.replay()
        if dies:
            world.hooks[world.calls + dies] = die

    world.hooks[at] = arm_and_replay
    try:
        world.process(1)
    except (DiedError, Superseded):
        world.hooks.clear()
        world.redeliver(1)
    if world.chunk_["run"] == 1:  # it was done before its call of that number
        world.hooks.clear()
        world.replay()
    assert world.files() == alone(bodies)


@settings(max_examples=examples(60))
@given(old=BODIES, new=BODIES, at=st.integers(1, 20))
def test_a_replay_that_finds_an_old_run_in_between_has_its_own_files(old: bytes, new: bytes, at: int) -> None:
    """Run 1, which stood still before its first write, does all its work between any two calls of run 2."""
    bodies = {1: old, 2: new}
    world = World(bodies)
    held: list[BaseException] = []

    def old_run() -> None:
        world.chunk_, now = world.chunk_ | {"run": 1, "chunk_state": ChunkState.PENDING}, world.chunk_
        planned = dict(world.chunk_)
        world.chunk_ = now
        reads = iter([planned])
        chunk = world.chunk

        def stale(object_id: str, index: int) -> dict[str, Any]:
            return {"outputs": [], "quarantine": []} | next(reads, chunk(object_id, index))

        world.chunk = stale  # type: ignore[method-assign]
        try:
            world.process(1)
        except Superseded as superseded:
            held.append(superseded)
        finally:
            world.chunk = chunk  # type: ignore[method-assign]

    world.begin(2)
    world.hooks[at] = old_run
    world.process(2)
    if world.hooks:
        world.hooks.clear()
        old_run()
    assert held, "an old run that wrote knows in the end that it is old"
    world.redeliver(1)
    assert world.files() == alone(bodies)


def test_a_run_is_not_cleared_while_the_newer_one_has_not_written_its_files() -> None:
    world = World({1: body((0,), "Nordpost", bad=False), 2: body((1,), "Nordpost", bad=False)})
    world.begin(2)
    with pytest.raises(NotPlanned, match="run 2 of .* has not written its files yet"):
        world.processor.clear(world.message(1))
    assert world.processor.clear(world.message(2)) is False


def test_an_old_write_that_s3_takes_for_an_expected_one_is_found() -> None:
    """Run 3 gives the bytes of run 1 again, while run 2 is between its look at the file and its write."""
    first, other = body((0,), "Nordpost", bad=False), body((0,), "Rapido", bad=False)
    world = World({1: first, 2: other, 3: first})
    world.process(1)
    world.begin(2)

    def newest() -> None:
        world.begin(3)
        world.process(3)

    world.hooks[world.calls + 3] = newest  # run 2 reads its chunk, looks at the file, and is about to write it
    with pytest.raises(Superseded):
        world.process(2)
    with pytest.raises(Overwritten, match="was written by run 2 after a newer one: replay the object"):
        world.processor.clear(world.message(2))


# -- one file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["PreconditionFailed", "ConditionalRequestConflict"])
def test_a_write_that_loses_to_another_looks_again_and_fails_in_the_end(code: str) -> None:
    s3 = ConditionalS3()
    RunFiles(s3, "silver", 2).put("k", b"two")
    assert s3.contents("silver") == {"k": b"two"}
    s3.refuse = ClientError({"Error": {"Code": code}}, "PutObject")
    with pytest.raises(Superseded, match="changed by others 5 times"):
        RunFiles(s3, "silver", 3).put("k", b"three")
    s3.refuse = ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")
    with pytest.raises(ClientError, match="SlowDown"):
        RunFiles(s3, "silver", 3).put("k", b"three")


@pytest.mark.parametrize("metadata", [{}, {RUN: "no number"}, {RUN: "1"}])
def test_a_file_of_an_earlier_release_is_older_than_every_run(metadata: dict[str, str]) -> None:
    s3 = ConditionalS3()
    s3.put_object(Bucket="silver", Key="k", Body=b"old", Metadata=metadata)
    RunFiles(s3, "silver", 1).put("k", b"new")
    assert s3.contents("silver") == {"k": b"new"}


def test_a_delivery_that_comes_again_writes_only_what_is_not_there() -> None:
    """A chunk of very many files that its function had no time for gets further with each delivery."""
    s3 = ConditionalS3()
    RunFiles(s3, "silver", 1).put("a", b"one")
    written: list[str] = []
    put = s3.put_object
    s3.put_object = lambda Key, **given: (written.append(Key), put(Key=Key, **given))[1]  # type: ignore[method-assign]  # noqa: N803
    again = RunFiles(s3, "silver", 1, again=True)
    for key, body in (("a", b"one"), ("b", b"two"), ("a", b"other code wrote it")):
        again.put(key, body)
    assert written == ["b", "a"]
    RunFiles(s3, "silver", 2).put("a", b"other code wrote it")
    assert written == ["b", "a", "a"], "a replay's files have its run"


def test_a_file_is_deleted_by_its_own_and_newer_runs_only() -> None:
    s3 = ConditionalS3()
    RunFiles(s3, "silver", 2).put("k", b"two")
    RunFiles(s3, "silver", 1).delete("k")
    RunFiles(s3, "silver", 3).delete_own("k")
    assert s3.contents("silver") == {"k": b"two"}
    RunFiles(s3, "silver", 3).delete("k")
    RunFiles(s3, "silver", 3).delete("k")  # comes twice
    assert s3.contents("silver") == {}
