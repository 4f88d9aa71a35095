"""Every call of gate, audit and publish is broken in four ways; what passes is visible once, what does not nowhere."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.changes import quick_redelivery, timeouts, wide_mapping
from tests.support.pipeline import Pipeline, Put, until
from tests.support.quality import DATASET, Quality, as_lines, flights
from tests.support.sweep import Outcome, RecordProperty, Scenario, assert_all_survive, sent_before_it_is_recorded

pytestmark = [pytest.mark.sweep, pytest.mark.usefixtures("quality_deployed")]

ROWS = flights(12, days=2)
GOOD = as_lines([*ROWS, {"year": 1}])
BAD = as_lines(row | ({"distance": 0} if row["flight"] == 5 else {}) for row in ROWS)
COUNTS = ("rows_in", "rows_silver", "rows_quarantined", "silver_files")


class Audited(Scenario):
    """Two objects of each copy: one passes, and one fails a hard expectation."""

    branch = "quality"
    functions = ("quality", "quality_audit", "quality_publish")
    once = frozenset({"quality_audit"})
    repeats = sent_before_it_is_recorded("events", "PutEvents") | sent_before_it_is_recorded("sns", "Publish")

    def __init__(self, pipe: Pipeline) -> None:
        super().__init__(pipe)
        self.quality = Quality(pipe)
        self.puts: dict[str, tuple[Put, Put]] = {}

    def _bodies(self, name: str) -> dict[str, bytes]:
        """By key; a good and a bad object of a copy are files of one name's length."""
        return {self.pipe.key(DATASET, f"{name}-{kind}.jsonl"): body for kind, body in (("a", GOOD), ("b", BAD))}

    def about(self, name: str) -> list[str]:
        return [self.pipe.origin_of(key, body).object_id for key, body in self._bodies(name).items()]

    def start(self, name: str) -> None:
        good, bad = (self.pipe.put_key(key, body) for key, body in self._bodies(name).items())
        self.puts[name] = (good, bad)

    def wait(self, names: Collection[str]) -> None:
        for name in names:
            good, bad = self.puts[name]
            for put in (good, bad):
                self.quality.ended(put, deadline=400)
            until("object.committed", lambda good=good: self.pipe.mail.committed(good.object_id), 400)
            until("the notice", lambda bad=bad: self.quality.notices(bad), 400)
        self.quality.idle(400)

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        listed = self.pipe.keys("silver")
        return [self._outcome(name, listed) for name in names]

    def _outcome(self, name: str, listed: list[str]) -> Outcome:
        state: dict[str, Any] = {}
        sent: Counter[str] = Counter()
        for kind, put in zip(("good", "bad"), self.puts[name], strict=True):
            entry = self.pipe.entry(put)
            state[f"{kind}: state"] = (entry.state, entry.item.get("error"), "notice_due" in entry.item)
            state[f"{kind}: counts"] = [entry.number(count) for count in COUNTS]
            state[f"{kind}: silver"] = self._silver(put, listed)
            state[f"{kind}: staged"] = [key.replace(put.object_id, "ID") for key in self.quality.staged(put)]
            state[f"{kind}: verdict"] = self._verdict(put)
            sent.update(f"{kind}: object.committed" for _ in self.pipe.mail.committed(put.object_id))
            sent.update(f"{kind}: {notice['kind']}" for notice in self.quality.notices(put))
        return Outcome(state, sent)

    def _silver(self, put: Put, listed: list[str]) -> dict[str, list[int]]:
        """Flights in each file, in order."""
        return {
            key.replace(put.object_id, "ID"): pq.read_table(io.BytesIO(body)).column("flight").to_pylist()
            for key, body in self.pipe.files(put, listed=listed).items()
        }

    def _verdict(self, put: Put) -> dict[str, Any]:
        """What it says of the expectations."""
        found = self.quality.verdict(put)
        failed = {one["name"]: one["failed"] for one in found["datasets"][DATASET]["expectations"]}
        return {"passed": found["passed"], "rows": found["rows"], "failed": failed}


@pytest.fixture
def quick(breakable: Pipeline) -> Iterator[Pipeline]:
    with (
        timeouts(breakable, quality=6, quality_audit=10, quality_publish=10),
        quick_redelivery(breakable, quality_queue_url="quality"),
        wide_mapping(breakable, "quality"),
    ):
        yield breakable
        breakable.clear_faults()


def test_no_call_that_dies_shows_or_loses_an_object(quick: Pipeline, record_property: RecordProperty) -> None:
    sweep = assert_all_survive(Audited(quick), record_property)
    state = sweep.expected.state
    assert state["good: state"] == ("committed", None, False)
    assert state["bad: state"] == ("withheld", "flies_somewhere: 1 of 12 rows", False)
    assert [len(state[f"{kind}: {place}"]) for kind in ("good", "bad") for place in ("silver", "staged")] == [
        2,
        0,
        0,
        2,
    ]
    assert sweep.expected.sent == {"good: object.committed": 1, "bad: quality.withheld": 1}
    assert {function for function, _, _ in sweep.calls.named} == set(Audited.functions)
    assert quick.depth("quality_dlq_url") == 0
    quick.verified(quick.key(DATASET, ""))
