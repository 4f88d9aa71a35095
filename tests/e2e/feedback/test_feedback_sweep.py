"""Every call that feedback makes is broken in four ways; no row is lost or doubled, no anomaly counted twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import pytest

from fixtures import feedback as rows_of
from tests.support.changes import quick_redelivery, timeouts, wide_mapping
from tests.support.feedback import CHECKS, Feedback
from tests.support.pipeline import Pipeline, Put, until
from tests.support.sweep import Outcome, RecordProperty, Scenario, assert_all_survive, sent_before_it_is_recorded

pytestmark = [pytest.mark.sweep, pytest.mark.usefixtures("feedback_deployed")]

ROWS = 110  # two transactions


class Rows(Scenario):
    """A file whose anomalies come in the quiet time after a notice: rows, counts and alerts."""

    branch = "feedback"
    functions = ("feedback",)

    def __init__(self, pipe: Pipeline) -> None:
        super().__init__(pipe)
        self.feedback = Feedback(pipe)
        self.puts: dict[str, Put] = {}

    def _body(self, name: str) -> bytes:
        rows = rows_of.records(self._prefix(name), 8, ROWS, customers=22)
        rows[3]["rating"] = 7
        for row in rows:
            row["created_at"] = "2026-03-02T10:00:00Z"
        rows[0]["customer_id"] = rows[1]["customer_id"]  # the sixth within the hour
        return rows_of.as_csv(rows)

    def _prefix(self, name: str) -> str:
        return f"{self.pipe.run}-{name}"

    def about(self, name: str) -> list[str]:
        key = self.pipe.key("feedback", f"{name}.csv")
        return [self._prefix(name), self.pipe.origin_of(key, self._body(name)).object_id]

    def start(self, name: str) -> None:
        self.puts[name] = self.pipe.put("feedback", self._body(name), f"{name}.csv")

    def wait(self, names: Collection[str]) -> None:
        for name in names:
            self.feedback.counted(self.puts[name], deadline=300)
        self.feedback.idle(300)

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        items = self.feedback.everything()
        return [self._outcome(name, items) for name in names]

    def _outcome(self, name: str, table: list[dict[str, object]]) -> Outcome:
        put, prefix = self.puts[name], self._prefix(name)
        counts = self.feedback.counted(put)
        items = [item for item in table if item["object_id"] == put.object_id]
        rows = sorted(json.dumps(item["row"], default=str, sort_keys=True) for item in items)
        state = {
            "rows": [row.replace(prefix, "NAME").replace(put.object_id, "ID") for row in rows],
            "count": counts["rows"],
            "counts": counts["counts"],
            "anomalies": sorted(str(item.get("anomalies")) for item in items),
        }
        sent = Counter(f"{one['check']}: {one['count']}" for one in self.feedback.anomaly_notices(prefix))
        return Outcome(state, sent)


class Notices(Rows):
    """The first anomaly after the quiet time: claimed, sent, settled. Alerts belong to all, so each copy runs alone."""

    branch = "feedback's notices"
    side_by_side = False
    operations = frozenset({("dynamodb", "UpdateItem"), ("dynamodb", "BatchGetItem"), ("sns", "Publish")})
    # Sent, and not recorded as sent: settling is the update after it.
    repeats = sent_before_it_is_recorded("sns", "Publish")

    def _body(self, name: str) -> bytes:
        rows = rows_of.records(self._prefix(name), 9, 3)
        rows[0]["rating"] = 6
        return rows_of.as_csv(rows)

    def start(self, name: str) -> None:
        self.feedback.forget_alerts()
        super().start(name)

    def wait(self, names: Collection[str]) -> None:
        super().wait(names)
        until("every notice", self.feedback.all_notified)


@pytest.fixture
def quick(breakable: Pipeline) -> Iterator[Pipeline]:
    with (
        timeouts(breakable, feedback=6),
        quick_redelivery(breakable, feedback_queue_url="feedback"),
        wide_mapping(breakable, "feedback"),
    ):
        yield breakable
        breakable.clear_faults()


def test_no_call_that_dies_loses_or_doubles_feedback(quick: Pipeline, record_property: RecordProperty) -> None:
    feedback = Feedback(quick)
    feedback.forget_alerts()
    rows = Rows(quick)
    rows.start("notified")  # the notices are sent; the copies come in the quiet time
    rows.wait(["notified"])
    sweep = assert_all_survive(rows, record_property)
    state = sweep.expected.state
    assert (len(state["rows"]), state["count"], sum(state["counts"].values())) == (ROWS, ROWS, 2)
    assert sweep.calls.named.total() >= 10
    assert quick.depth("feedback_dlq_url") == 0
    alerts = feedback.reader.alerts(CHECKS)
    assert {name: int(item["counted_total"]) for name, item in alerts.items()} == {
        "rating_out_of_range": len(rows.puts),
        "burst": len(rows.puts),
    }


def test_no_call_that_dies_loses_a_notice(quick: Pipeline, record_property: RecordProperty) -> None:
    sweep = assert_all_survive(Notices(quick), record_property)
    assert sweep.expected.sent == {"rating_out_of_range: 1": 1}
