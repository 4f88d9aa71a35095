"""Every call that reconcile makes is broken; each object without an event is ingested once, with one notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from fixtures import formats, shipping
from sluice_pipeline.runtime.clock import written
from tests.support.changes import changed_code, environment, timeouts, unannounced, unscheduled
from tests.support.pipeline import Pipeline, Put, until
from tests.support.sweep import (
    Call,
    Outcome,
    Point,
    RecordProperty,
    Scenario,
    Sweep,
    assert_all_survive,
    sent_before_it_is_recorded,
)

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.thorough(
        "tests/unit/core/test_reconcile.py::test_every_death_before_or_after_a_call_loses_nothing",
        "tests/e2e/core/test_reconcile.py::test_an_object_without_an_event_is_found_and_ingested_once",
        why="the unit test lets the function die before and after each call; here ingest and SNS are real, too",
    ),
]

ROWS = 10
BODY = formats.jsonl(shipping.records("shipments", 53, ROWS))
KIND = "object.unannounced"
TIMEOUT = 16  # longer than the SDK retries a throttled call, and shorter than it waits for one that hangs
PROGRESS = {"pk": {"S": "ledger#reconcile"}, "sk": {"S": "head"}}
OPEN = {"began", "found_count", "lease_until"}


class Reconciling(Scenario):
    """An object that S3 did not announce; a pass takes two runs, for the function has no minute to spare."""

    branch = "reconcile"
    functions = ("reconcile",)
    side_by_side = False  # a run compares the whole bucket
    starts_cold = False  # its environments call nothing when they start
    repeats = sent_before_it_is_recorded("sns", "Publish")

    def __init__(self, pipe: Pipeline) -> None:
        super().__init__(pipe)
        self.puts: dict[str, Put] = {}

    def about(self, name: str) -> list[str]:
        key = self.pipe.key("shipments", name)
        return [key, self.pipe.origin_of(key, BODY).object_id]

    def start(self, name: str) -> None:
        """It is uploaded, and reconcile makes the two runs of a pass; the copy's fault may end one of them.

        A lease that is there is of a call that hung, and that was carried out after its function had ended.
        """
        self.puts[name] = self.pipe.put("shipments", BODY, name)
        self.run_later()
        self.run_later()

    def wait(self, names: Collection[str]) -> None:
        """Runs it again and again, as its schedule does, until a pass has ended."""
        self.end_pass()
        puts = [self.puts[name] for name in names]
        self.pipe.wait(*puts, deadline=300)
        until("the notices", lambda: all(self._notices(put) for put in puts))

    def end_pass(self) -> None:
        def ended() -> bool:
            if not OPEN & self._progress():
                return True
            self.run_later()
            return False

        until("the end of a pass", ended, 300)

    def run_later(self) -> None:
        """A run after the lease of one that died."""
        before = written(datetime.now(UTC) - timedelta(minutes=1))
        if "lease_until" in self._progress():
            self.pipe.dynamodb.update_item(
                TableName=self.pipe.stack["ledger_table"],
                Key=PROGRESS,
                UpdateExpression="SET lease_until = :before",
                ExpressionAttributeValues={":before": {"S": before}},
            )
        self.pipe.lambda_.invoke(FunctionName=self.pipe.stack["reconcile_function"])

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        return [self._outcome(self.puts[name]) for name in names]

    def _outcome(self, put: Put) -> Outcome:
        entry = self.pipe.ledger.one(put.object_id)
        state = {
            "object": (entry.state, entry.item.get("rows_silver")) if entry else None,
            "events of its commit": len(self.pipe.mail.committed(put.object_id)),
            "what is left of the pass": sorted(OPEN & self._progress()),
        }
        return Outcome(state, Counter(str(one["kind"]) for one in self._notices(put)))

    def _progress(self) -> set[str]:
        """What the item has; a count of nothing is none."""
        answer = self.pipe.dynamodb.get_item(
            TableName=self.pipe.stack["ledger_table"], Key=PROGRESS, ConsistentRead=True
        )
        return {name for name, value in answer.get("Item", {}).items() if value != {"N": "0"}}

    def _notices(self, put: Put) -> list[dict[str, object]]:
        return [one for one in self.pipe.mail.notices(kind=KIND) if put.ref.key in one["keys"]]


@pytest.fixture
def reconciling(breakable: Pipeline) -> Iterator[Reconciling]:
    """S3 announces nothing, and reconcile looks at objects of any age."""
    pipe = breakable
    if not pipe.stack.outputs.get("reconcile_function"):
        pytest.skip("reconcile_schedule is off")
    # The last key of bronze is where the second run begins to list; it must not be that of a copy.
    pipe.wait(pipe.put("shipments", BODY, "zzz"))
    with (
        timeouts(pipe, reconcile=TIMEOUT),
        environment(pipe, "reconcile", MARGIN_MINUTES="0", TIMEOUT_SECONDS=str(TIMEOUT)),
        unscheduled(pipe, "reconcile"),
        unannounced(pipe),
    ):
        yield Reconciling(pipe)
        pipe.clear_faults()


def test_no_call_that_dies_loses_or_doubles_an_object(
    reconciling: Reconciling, record_property: RecordProperty
) -> None:
    sweep = assert_all_survive(reconciling, record_property)
    assert sweep.expected == Outcome(
        {"object": ("committed", ROWS), "events of its commit": 1, "what is left of the pass": []}, Counter({KIND: 1})
    )
    reconciling.pipe.verified(reconciling.pipe.key("shipments", ""))


def test_the_sweep_fails_when_the_code_is_wrong(reconciling: Reconciling) -> None:
    """An object that counts as announced before it is."""
    sweep = Sweep(reconciling)
    expected = sweep.baseline()
    right = "announcer.send(found)"
    wrong = "announcer.record(found); announcer.send(found)"
    with changed_code(reconciling.pipe, "reconcile", "core/reconcile/handler.py", right, wrong):
        sweep.break_copy("mutant", Point(Call("reconcile", "sqs", "SendMessageBatch"), "kill-before"))
        assert reconciling.pipe.unmet_faults() == []
        reconciling.pipe.clear_faults()
        reconciling.end_pass()
        [outcome] = reconciling.outcomes(["mutant"])
        assert outcome.difference(expected, more=1), "the sweep does not see an object that is never announced"
    put = reconciling.puts["mutant"]
    reconciling.pipe.deliver(put)  # so that other tests find no object without an entry
    reconciling.pipe.wait(put)
