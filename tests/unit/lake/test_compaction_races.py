"""Register and compaction side by side: in any order of their calls, dead at any of them, no row is missed.

The code of both runs against services in memory (tests/support/compaction_world.py); hypothesis chooses which call
comes next and whether it fails, or its process dies before or after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.compaction.fence import Fence
from lake.compaction.partition import Compaction, Limits
from lake.compaction.places import silver_folder
from lake.register.partitions import Partitions
from lake.register.register import Register
from sluice_pipeline.dynamo.table import Table as DynamoTable
from sluice_pipeline.events.committed import Committed
from tests.support.compaction_world import TABLE, Actor, Died, Dynamo, Glue, Ports, World
from tests.support.thorough import examples

pytestmark = pytest.mark.timeout(300)
DAYS = ("2026-03-01", "2026-03-02")
LIMITS = Limits(file_bytes=1000, min_files=1, small_bytes=1000)
type Turn = tuple[int, int, str, int]
HOWS = ("die-before", "die-after", "error-before", "error-after")


def object_id(number: int) -> str:
    return f"{number:032x}"


@dataclass
class Ledger:
    """Objects and their one chunk, as register reads them."""

    world: World
    runs: dict[str, tuple[int, bool, list[str]]] = field(default_factory=dict)

    def object(self, name: str) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            run, done, _ = self.runs[name]
            return {"object_id": name, "run": run, "chunk_count": 1, "chunks_done": int(done)}

        return self.world.call(read)

    def chunks(self, name: str) -> Iterator[dict[str, Any]]:
        def read() -> dict[str, Any]:
            run, done, days = self.runs[name]
            outputs = [{"dataset": "shipments", "dt": day} for day in days]
            return {"sk": "chunk#00000", "run": run, "chunk_state": "done" if done else "pending", "outputs": outputs}

        yield self.world.call(read)


class Counts:
    def __init__(self, world: World) -> None:
        self._world = world

    def write(self, item: dict[str, Any]) -> None:
        self._world.call(lambda: None)


class Play:
    """The actors of one example. Each turn says who goes on, for how many calls, how the last of them ends, and how
    much time passes then; after the last turn nothing is disturbed."""

    def __init__(self, turns: list[Turn], *, overlap: bool) -> None:
        self.world = World()
        self.ledger = Ledger(self.world)
        self.fence = Fence(DynamoTable(Dynamo(self.world), "ledger"), lambda: self.world.now)
        partitions = Partitions(Glue(self.world), "silver")
        ledger, counts = self.ledger, Counts(self.world)
        self.register = Register(ledger, self.fence, partitions, counts, frozenset(["shipments"]))  # type: ignore[arg-type]
        self.turns = turns
        self.overlap = overlap
        self.actors: list[Actor] = []
        self.events: list[Committed] = []
        self.tokens = 0

    # -- what they do --------------------------------------------------------------------------------------------------

    def write(self, number: int, runs: list[frozenset[str]]) -> None:
        """transform: an object's runs, each with rows of some days; what a run no longer has is deleted."""
        name = object_id(number)
        former: frozenset[str] = frozenset()
        for run, days in enumerate(runs, 1):
            self.world.call(lambda run=run, days=former: self._set(name, run, False, days))  # type: ignore[misc]
            for day in sorted(days):
                key = f"{silver_folder('shipments', day)}{name}-00000.parquet"
                self.world.call(lambda key=key, row=f"{number} {run}": self.world.put(key, [row]))  # type: ignore[misc]
            for day in sorted(former - days):
                key = f"{silver_folder('shipments', day)}{name}-00000.parquet"
                self.world.call(lambda key=key: self.world.files.pop(key))  # type: ignore[misc]
            self.world.call(lambda run=run, days=days: self._set(name, run, True, days))  # type: ignore[misc]
            self.events.append(Committed(name, run, "shipments", "bronze/shipments/a", None))
            former = days

    def _set(self, name: str, run: int, done: bool, days: frozenset[str]) -> None:
        self.ledger.runs[name] = (run, done, sorted(days))

    def compact(self) -> None:
        self.tokens += 1
        compaction = Compaction(Ports(self.world), self.fence, LIMITS, f"t{self.tokens}")
        items = {item["sk"]: item for item in self.fence.items("shipments")}
        for day, partition in sorted(self.world.partitions.items()):
            try:
                compaction.process(TABLE, day, partition["StorageDescriptor"]["Location"], items.get(day))
            except Exception:  # noqa: BLE001 - a run goes on with the next date
                continue

    # -- the schedule --------------------------------------------------------------------------------------------------

    def add(self, name: str, work: Callable[[], None]) -> None:
        self.actors.append(Actor(name, work))

    def play(self, compactions: int) -> None:
        handled: dict[Actor, Committed] = {}
        for who, calls, how, seconds in self.turns:
            while self.events:
                event = self.events.pop(0)
                self.add("register", lambda event=event: self.register.process(event) and None)  # type: ignore[misc]
                handled[self.actors[-1]] = event
            running = sum(one.name == "compaction" for one in self.actors)
            if compactions and self.world.partitions and (not running or self.overlap):
                compactions -= 1
                self.add("compaction", self.compact)
            if not self.actors:
                break
            actor = self.actors[who % len(self.actors)]
            for left in reversed(range(calls)):
                actor.step(how if not left and actor.name != "writer" else "go")
                self._look(actor, handled)
                if actor.ended:
                    break
            self.world.now += seconds
        self._end(handled)

    def _look(self, actor: Actor, handled: dict[Actor, Committed]) -> None:
        """An event whose worker failed or died is delivered again."""
        if not actor.ended:
            return
        self.actors.remove(actor)
        if actor in handled and actor.error is not None:
            self.events.append(handled[actor])
        elif actor.error is not None and not isinstance(actor.error, Died | Exception):
            raise actor.error

    def finish(self, *actors: Actor) -> None:
        """These go on to their ends, one after the other; then every event is handled that is left."""
        self.actors = list(actors)
        self._end({})

    def _end(self, handled: dict[Actor, Committed]) -> None:
        """Every actor goes on to its end; every event is handled at last."""
        while self.actors:
            actor = self.actors[0]
            if not actor.ended:
                actor.step()
            self._look(actor, handled)
        for event in self.events:
            for _ in range(6):
                try:
                    self.register.process(event)
                    break
                except Exception:  # noqa: BLE001 - a swap is waited for
                    self.world.now += 60
            else:
                raise AssertionError(f"{event} is not registered")

    def rows(self) -> dict[str, Counter[str]]:
        """What was committed last, by day."""
        found: dict[str, Counter[str]] = {day: Counter() for day in DAYS}
        for name, (run, _, days) in self.ledger.runs.items():
            for day in days:
                found[day][f"{int(name, 16)} {run}"] += 1
        return found

    def visible(self) -> dict[str, Counter[str]]:
        return {day: self.world.visible(day) for day in DAYS}


days = st.frozensets(st.sampled_from(DAYS), max_size=2)
objects = st.lists(st.lists(days, min_size=1, max_size=3), min_size=1, max_size=3)
turn = st.tuples(
    st.integers(0, 5), st.integers(1, 14), st.sampled_from(("go",) * 8 + HOWS), st.sampled_from((0, 0, 0, 60))
)
schedule = st.lists(turn, min_size=4, max_size=40)
thorough = settings(deadline=None, max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])


def played(written: list[list[frozenset[str]]], turns: list[Turn], compactions: int, *, overlap: bool = False) -> Play:
    play = Play(turns, overlap=overlap)
    for number, runs in enumerate(written):
        play.add("writer", lambda number=number, runs=runs: play.write(number, runs))  # type: ignore[misc]
    play.play(compactions)
    return play


@thorough
@given(objects, schedule, st.integers(0, 4))
def test_every_committed_row_is_visible_once(
    written: list[list[frozenset[str]]], turns: list[Turn], compactions: int
) -> None:
    """Compactions one after the other, as the job's limit of one run has it; no later one repairs anything."""
    play = played(written, turns, compactions)
    assert play.visible() == play.rows()


@thorough
@given(objects, schedule)
def test_compactions_that_overlap_are_repaired_by_the_next(
    written: list[list[frozenset[str]]], turns: list[Turn]
) -> None:
    """A run that was ended goes on for a while beside the next one: at the latest, one more run makes it right."""
    play = played(written, turns, 3, overlap=True)
    play.compact()
    assert play.visible() == play.rows()


CHANGES = {
    "another object": [[frozenset(DAYS)]],
    "a replay": [[frozenset(DAYS), frozenset(DAYS)]],
    "a replay that leaves a date": [[frozenset(DAYS), frozenset(DAYS[:1])]],
}


@settings(thorough, max_examples=examples(300))
@given(
    st.sampled_from(sorted(CHANGES)), st.booleans(), st.integers(0, 40), st.integers(0, 14), st.integers(0, 20),
    st.sampled_from(("die-before", "die-after", "error-before", "error-after", "go")), st.sampled_from((0, 60)),
)  # fmt: skip
def test_a_commit_at_any_point_of_a_compaction_that_ends_at_any_later_one(
    change: str, compacted: bool, listed: int, registered: int, left: int, how: str, seconds: int
) -> None:
    """A compaction makes some calls; an object is committed; register makes some calls; the compaction makes some more,
    the last of which fails or kills it; register goes on to its end."""
    play = Play([], overlap=False)
    for number in (0, 1, 2):
        play.write(number, [frozenset(DAYS)])
        play.register.process(play.events.pop())
    if compacted:
        play.compact()
        play.write(2, [frozenset(DAYS), frozenset(DAYS)])  # not registered yet: the compaction sees it first
    compaction = Actor("compaction", play.compact)
    steps(compaction, listed)
    play.write(0 if "replay" in change else 3, CHANGES[change][0])
    play.world.now += seconds

    def handle() -> None:
        while play.events:
            play.register.process(play.events[-1])
            play.events.pop()

    register = Actor("register", handle)
    steps(register, registered)
    steps(compaction, left, how)
    play.finish(register, *([] if how.startswith("die") else [compaction]))
    assert play.visible() == play.rows()


def steps(actor: Actor, count: int, how: str = "go") -> None:
    """Some calls of an actor that has not ended; ``how`` is of the last one."""
    for at in reversed(range(count)):
        if not actor.ended:
            actor.step("go" if at else how)


def test_a_compaction_alone_moves_a_partition_and_the_next_commit_moves_it_back() -> None:
    play = Play([], overlap=False)
    for number in range(3):
        play.write(number, [frozenset(DAYS)])
        play.register.process(play.events.pop())
    play.compact()
    locations = [play.world.partitions[day]["StorageDescriptor"]["Location"] for day in DAYS]
    assert all("/compacted/shipments/dt=" in location for location in locations)
    assert play.visible() == play.rows()
    play.write(0, [frozenset(DAYS), frozenset(DAYS[:1])])
    play.register.process(play.events[-1])
    locations = [play.world.partitions[day]["StorageDescriptor"]["Location"] for day in DAYS]
    assert locations == [TABLE.silver(day) for day in DAYS]
    assert play.visible() == play.rows()
    play.compact()
    play.compact()
    assert play.visible() == play.rows()
    assert TABLE.is_compacted(DAYS[0], play.world.partitions[DAYS[0]]["StorageDescriptor"]["Location"])
