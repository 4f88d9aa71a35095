"""Every call that register makes is broken in four ways; each partition and each count is there, once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import pytest

from fixtures import shipping
from lake.compaction.partition import Done
from tests.support import compacting
from tests.support.changes import quick_redelivery, timeouts, wide_mapping
from tests.support.lake import Lake
from tests.support.pipeline import Pipeline, Put
from tests.support.sweep import Outcome, RecordProperty, Scenario, assert_all_survive

pytestmark = [pytest.mark.sweep, pytest.mark.usefixtures("lake_deployed")]


class Registered(Scenario):
    """Each copy has a date of its own, so that its partition is created, and one that is there."""

    branch = "lake"
    functions = ("lake",)

    def __init__(self, pipe: Pipeline) -> None:
        super().__init__(pipe)
        self.lake = Lake(pipe)
        self.puts: dict[str, Put] = {}
        self.days: dict[str, str] = {}

    def _day(self, name: str) -> str:
        number = len(self.days) + 10_000 * (int(self.pipe.run, 16) % 90)
        return self.days.setdefault(name, f"{1100 + number // 360:04}-{number % 360 // 30 + 1:02}-{number % 28 + 1:02}")

    def _body(self, name: str) -> bytes:
        day = self._day(name)
        rows = shipping.records("shipments")[:6]
        days = [day, "1099-01-01"]
        rows = [
            row | {"shipment_id": f"{self.pipe.run}-{name}-{at}", "event_time": f"{days[at % 2]}T10:00:00Z"}
            for at, row in enumerate(rows)
        ]
        return "".join(json.dumps(row) + "\n" for row in rows).encode()

    def about(self, name: str) -> list[str]:
        key = self.pipe.key("shipments", f"{name}.jsonl")
        return [self.pipe.origin_of(key, self._body(name)).object_id, self.days[name]]

    def start(self, name: str) -> None:
        self.puts[name] = self.pipe.put("shipments", self._body(name), f"{name}.jsonl")

    def wait(self, names: Collection[str]) -> None:
        for name in names:
            self.lake.registered(self.puts[name], deadline=300)
        self.lake.idle(300)

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        partitions = self.lake.partitions("shipments")
        return [self._outcome(name, partitions) for name in names]

    def _outcome(self, name: str, partitions: dict[str, str]) -> Outcome:
        put, day = self.puts[name], self.days[name]
        own = ("object_id", "source_key", "received_at", "source_bytes")
        counts = {key: value for key, value in (self.lake.counts(put) or {}).items() if key not in own}
        sql = f"SELECT count(*) FROM shipments WHERE dt = DATE '{day}'"
        state = {
            "counts": counts,
            "location": partitions.get(day, "").replace(day, "DAY"),
            "rows": self.lake.ask(sql)[0][0],
        }
        return Outcome(state, Counter())


class BesideCompaction(Registered):
    """Each copy has a date that is compacted before the object is committed, with another object's rows."""

    def __init__(self, pipe: Pipeline) -> None:
        super().__init__(pipe)
        self.before: dict[str, list[Put]] = {}

    def prepare(self, names: Sequence[str]) -> None:
        """Two objects of each date, compacted."""
        for name in names:
            for at, row in enumerate(shipping.records("shipments")[:2]):
                line = row | {"shipment_id": f"{self.pipe.run}-{at}", "event_time": f"{self._day(name)}T08:00:00Z"}
                put = self.pipe.put("shipments", json.dumps(line).encode(), f"before-{name}-{at}.jsonl")
                self.before.setdefault(name, []).append(put)
        for name in names:
            for put in self.before[name]:
                self.lake.registered(put, deadline=300)
        self.lake.idle(300)
        for name in names:
            day = self._day(name)
            assert compacting.compact(self.pipe.stack, "shipments", day).done == Done.COMPACTED
            assert "/compacted/shipments/" in self.lake.partitions("shipments")[day]


@pytest.fixture
def quick(breakable: Pipeline) -> Iterator[Pipeline]:
    with (
        timeouts(breakable, lake=15),  # a cold start on a busy machine takes ten
        quick_redelivery(breakable, lake_queue_url="lake"),
        wide_mapping(breakable, "lake"),
    ):
        yield breakable
        breakable.clear_faults()


def test_no_call_that_dies_loses_a_partition_or_a_count(quick: Pipeline, record_property: RecordProperty) -> None:
    scenario = Registered(quick)
    scenario.start("shared")  # the second date is registered
    scenario.wait(["shared"])
    sweep = assert_all_survive(scenario, record_property)
    assert sweep.expected.state["rows"] == 3
    assert sweep.expected.state["counts"]["rows_silver"] == 6
    assert sweep.calls.named.total() >= 7
    assert quick.depth("lake_dlq_url") == 0


def test_no_call_that_dies_leaves_a_date_at_compacted_files_without_its_rows(
    quick: Pipeline, record_property: RecordProperty
) -> None:
    scenario = BesideCompaction(quick)
    scenario.start("shared")
    scenario.wait(["shared"])
    sweep = assert_all_survive(scenario, record_property)
    assert (sweep.expected.state["rows"], "/silver/shipments/" in sweep.expected.state["location"]) == (5, True)
    assert {"UpdateItem", "BatchGetItem", "BatchUpdatePartition"} <= {operation for *_, operation in sweep.calls.named}
    assert quick.depth("lake_dlq_url") == 0
