"""A compaction that dies at any call hides no row and doubles none; the next one ends what it left.

The protocol is the job's, with its calls to the engine; the rows are copied, so that no Spark is needed
(test_compaction_job.py has the job with Spark, stopped at random).
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from lake.compaction.fence import SWAP_SECONDS, Fence
from lake.compaction.partition import Compaction, Done, Limits, Outcome
from lake.compaction.run import Run
from sluice_pipeline.dynamo.table import Table
from tests.support.compacting import Copies
from tests.support.compaction_lake import DAYS, Lake
from tests.support.engine_harness import Engine
from tests.support.sweep import FULL, SHARES, TODAY

pytestmark = pytest.mark.timeout(300)
DAY = DAYS[1]
NONE_KEPT = -1000.0  # seconds: what is out of use goes at once, whatever the clocks of this test say


class Dead(BaseException):
    """The process has ended: no ``except Exception`` runs any more, and no call is sent."""


class Process:
    """Clients that count their calls; the process dies at the n-th, before it is sent or before its answer is there."""

    def __init__(self, engine: Engine, nth: int = 0, *, carried_out: bool = False) -> None:
        self._engine, self._nth, self._carried_out = engine, nth, carried_out
        self.calls: list[str] = []

    def client(self, service: str) -> Any:
        made = self._engine.client(service)
        made.meta.events.register("before-send", self._sends)
        made.meta.events.register("response-received", self._hears)
        return made

    def _sends(self, event_name: str, **_: Any) -> None:
        if self._dead:
            raise Dead
        self.calls.append(event_name.removeprefix("before-send."))
        if self._dead and not self._carried_out:
            raise Dead

    def _hears(self, **_: Any) -> None:
        if self._dead:
            raise Dead

    @property
    def _dead(self) -> bool:
        return 0 < self._nth <= len(self.calls)


def compaction(lake: Lake, process: Process, *, keep_seconds: float = 3600, later: float = 0) -> list[Outcome]:
    """One run of the job over one date. later: seconds by which its clock is ahead."""
    aws = Copies(process.client("s3"), process.client("glue"), lake.bucket, lake.database)
    fence = Fence(Table(process.client("dynamodb"), lake.bucket), lambda: time.time() + later)
    run = Run(aws, fence, Compaction(aws, fence, Limits(2**22, 1, 2**20), f"run-{id(process)}"), keep_seconds)
    return run.process(aws.tables({}), DAY)


def assert_whole(lake: Lake, moment: str) -> None:
    location = lake.locations()[DAY]
    assert lake.rows(location) == lake.wanted(DAY), f"{moment}: {location}, {lake.states().get(DAY)}"


def filled(engine: Engine) -> Lake:
    lake = Lake(engine)
    for number in range(3):
        lake.commit(number, 4)
    return lake


def second_run_of(engine: Engine) -> tuple[Lake, Process]:
    """A date that was compacted, has changed since, and is to be compacted again: every call that there is."""
    lake = filled(engine)
    assert [one.done for one in compaction(lake, Process(engine))] == [Done.COMPACTED]
    lake.commit(3, 4)
    return lake, Process(engine)


def test_a_compaction_that_dies_at_any_call_hides_and_doubles_no_row(engine: Engine) -> None:
    lake, process = second_run_of(engine)
    assert [one.done for one in compaction(lake, process, keep_seconds=NONE_KEPT)] == [Done.COMPACTED]
    calls = process.calls
    assert len(calls) > 15
    assert {"s3.CopyObject", "s3.DeleteObjects", "glue.UpdatePartition", "dynamodb.UpdateItem"} <= set(calls)
    for nth, call in enumerate(calls, 1):
        for carried_out in (False, True):
            if not (FULL or (nth + carried_out + TODAY) % SHARES == 0):
                continue  # on the next day
            point = f"{'after' if carried_out else 'before'} call {nth}, {call}"
            lake, _ = second_run_of(engine)
            with pytest.raises(Dead):
                compaction(lake, Process(engine, nth, carried_out=carried_out), keep_seconds=NONE_KEPT)
            assert_whole(lake, point)
            # An object is committed, after a while if a swap is under way, as register does when it tries again.
            lake.fence = Fence(Table(lake.dynamodb, lake.bucket), lambda: time.time() + SWAP_SECONDS + 1)
            lake.commit(nth, 4, seed=nth)
            assert_whole(lake, f"a commit after {point}")
            ended = compaction(lake, Process(engine), keep_seconds=NONE_KEPT, later=2 * SWAP_SECONDS)
            assert [one.done for one in ended] == [Done.COMPACTED], (point, ended)
            assert_whole(lake, f"the compaction after {point}")
            location = lake.locations()[DAY]
            assert location.startswith("compacted/")
            assert {key.rsplit("/", 1)[0] + "/" for key in lake.keys("compacted/")} == {location}, point
