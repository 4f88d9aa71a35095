"""The demo's verdict: green when everything came out as the input says, and red for each number that is off."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sluice.demo import checks as demo_checks
from sluice.demo import inputs as demo_input
from sluice.demo.checks import Answer, Evidence
from sluice.demo.inputs import Input
from sluice.pipeline import query
from sluice.pipeline.ledger import Entry
from sluice.pipeline.queues import Depth
from sluice.pipeline.reconcile import Difference, ObjectResult
from sluice.pipeline.verify import Report


@pytest.fixture(scope="module")
def given() -> Input:
    return demo_input.make("r1", [2], 400)


@pytest.fixture
def evidence(given: Input) -> Evidence:
    """What a run finds when nothing went wrong."""
    items = {item.key: {"state": "committed", "run": 1} for item in given.uploads}
    items[given.poison.key] |= {"state": "failed", "failed_reason": "unreadable"}
    first = given.flights[0]
    row = ObjectResult("id", "flights", first.key, "committed", "", first.rows, first.rows, first.rows, 0, ())
    source = query.run(demo_input.source_tables([2]), query.BUSIEST_DAYS)
    return Evidence(
        entries={key: Entry(item) for key, item in items.items()},
        report=Report([row], {"chunks": Depth(0, 0, 0)}, []),
        rejected=[{"offset": b.offset, "reason": b.reason, "raw": b.raw.decode()} for b in given.feed.bad],
        dead_letters={given.poison.key: 1},
        silver_rows={"flights": given.flights_rows, **given.feed.good},
        answers=[Answer("a question", source, source)],
    )


def wrong(given: Input, evidence: Evidence) -> list[str]:
    found = demo_checks.checks(given, evidence, given.flights[0].key)
    return [check.what for check in found if not check.ok]


def test_a_run_without_a_fault_passes_every_check(given: Input, evidence: Evidence) -> None:
    assert wrong(given, evidence) == []
    assert demo_checks.to_dict(evidence, demo_checks.checks(given, evidence, given.flights[0].key))["ok"]


DAMAGE: dict[str, tuple[Callable[[Evidence], dict[str, Any]], str]] = {
    "a row of flights lost": (
        lambda e: {"silver_rows": {**e.silver_rows, "flights": e.silver_rows["flights"] - 1}},
        "flights: rows in silver",
    ),
    "a shipment doubled": (
        lambda e: {"silver_rows": {**e.silver_rows, "shipments": e.silver_rows["shipments"] + 1}},
        "shipments: rows in silver",
    ),
    "a bad line rejected at another offset": (
        lambda e: {"rejected": [{**e.rejected[0], "offset": 1}, *e.rejected[1:]]},
        "rejected rows with the right byte offset and text",
    ),
    "a dead-letter message too many": (
        lambda e: {"dead_letters": {**e.dead_letters, "bronze/flights/x": 1}},
        "dead-letter messages: the poison object's, no other",
    ),
    "no dead-letter message": (lambda _: {"dead_letters": {}}, "dead-letter messages: the poison object's, no other"),
    "a message left": (
        lambda e: {"report": replace(e.report, queues={**e.report.queues, "chunks": Depth(0, 1, 0)})},
        "messages left in the chunk queue",
    ),
    "a difference": (
        lambda e: {"report": replace(e.report, differences=[Difference("x", "y", "z")])},
        "differences found by verify",
    ),
    "another answer": (
        lambda e: {"answers": [replace(e.answers[0], silver=query.Result([], []))]},
        "query 1: silver answers as the source",
    ),
    "no answers": (lambda _: {"answers": []}, "queries answered"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_number_that_is_off_fails_its_check(given: Input, evidence: Evidence, damage: str) -> None:
    change, check = DAMAGE[damage]
    assert wrong(given, replace(evidence, **change(evidence))) == [check]


def test_a_second_intake_of_the_doubled_event_is_seen(given: Input, evidence: Evidence) -> None:
    evidence.entries[given.flights[0].key].item["run"] = 2
    assert wrong(given, evidence) == ["delivered twice: times it was ingested"]


def test_poison_that_was_committed_is_seen(given: Input, evidence: Evidence) -> None:
    evidence.entries[given.poison.key].item["state"] = "committed"
    assert "poison object: state in the ledger" in wrong(given, evidence)
