"""Refused rows: counted, chosen, and compared after a new run."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from sluice.console import SluiceError
from sluice.ops import quarantine as verbs
from sluice.ops.refused import Filter, Group, Quarantine, Retried
from tests.unit.data_fakes import OUTPUTS, FakeStack


class Requeuer:
    """Instead of a pipeline: a new run that refuses the rows it is told to."""

    def __init__(self, stack: FakeStack, still: set[str], state: str = "committed", new: int = 0) -> None:
        self.stack, self.still, self.state, self.new = stack, still, state, new
        self.asked: list[tuple[str, int, str]] = []

    def requeue(self, object_id: str, run: int, replay: str) -> int:
        self.asked.append((object_id, run, replay))
        item = self.stack.object_item(object_id)
        key = next(key for bucket, key in self.stack.s3.objects if object_id in key and bucket == "quarantine-b")
        before = item["rows_quarantined"]
        rows = [row for row in self.read(key) if row["record_id"] in self.still]
        rows += [{"record_id": f"new-{n}", "object_id": object_id, "source_key": item["key"], "dataset": "shipments",
                  "reason": "not_allowed"} for n in range(self.new)]  # fmt: skip
        put_rows(self.stack, key, rows)
        item |= {"run": run + 1, "state": self.state, "failed_reason": "gave_up"}
        item |= {"rows_silver": item["rows_silver"] + before - len(rows), "rows_quarantined": len(rows)}
        return 1

    def read(self, key: str) -> list[dict[str, Any]]:
        body = self.stack.s3.objects["quarantine-b", key][-1].body
        return [json.loads(line) for line in body.splitlines()]


class Ledger:
    def __init__(self) -> None:
        self.noted: list[Any] = []

    def note_resolved(self, object_id: str, entry: Any) -> bool:
        self.noted.append((object_id, entry))
        return True


def put_rows(stack: FakeStack, key: str, rows: list[dict[str, Any]]) -> None:
    body = "".join(json.dumps(row) + "\n" for row in rows)
    stack.s3.put_object(OUTPUTS["quarantine_bucket"], key, body.encode())


@pytest.fixture
def stack() -> FakeStack:
    """An object with four refused rows: three out of range, one no JSON; and another with one."""
    stack = FakeStack()
    for name, reasons in (("a", ["out_of_range"] * 3 + ["malformed_json"]), ("b", ["wrong_type"])):
        object_id = stack.take_in(f"bronze/shipments/{name}.jsonl", 10, len(reasons))
        rows = [
            {"record_id": f"{object_id}-{n}", "object_id": object_id, "source_key": f"bronze/shipments/{name}.jsonl",
             "dataset": "shipments", "reason": reason, "field": "weight_kg", "offset": n, "raw": '{"weight_kg": -5}'}
            for n, reason in enumerate(reasons)
        ]  # fmt: skip
        put_rows(stack, f"quarantine/shipments/{object_id}-00000.jsonl", rows)
    return stack


def opened(stack: FakeStack, **how: Any) -> tuple[Quarantine, Requeuer, Ledger]:
    found = Quarantine(stack)  # type: ignore[arg-type]
    requeuer, ledger = Requeuer(stack, **how), Ledger()
    found._requeuer, found._ledger = requeuer, ledger  # type: ignore[assignment]
    return found, requeuer, ledger


def name_of(stack: FakeStack, letter: str) -> str:
    items = stack.dynamodb.items
    return next(str(i["object_id"]) for i in items if i.get("key") == f"bronze/shipments/{letter}.jsonl")


# -- choosing ----------------------------------------------------------------------------------------------------------


def test_rows_are_counted_by_dataset_reason_and_object(stack: FakeStack) -> None:
    a, b = name_of(stack, "a"), name_of(stack, "b")
    found = Quarantine(stack).groups(Filter())  # type: ignore[arg-type]
    assert found == [
        Group("shipments", "out_of_range", a, "bronze/shipments/a.jsonl", 3),
        Group("shipments", "malformed_json", a, "bronze/shipments/a.jsonl", 1),
        Group("shipments", "wrong_type", b, "bronze/shipments/b.jsonl", 1),
    ]


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (Filter("shipments"), 5),
        (Filter("flights"), 0),
        (Filter(reason="out_of_range"), 3),
        (Filter(object_id="bronze/shipments/b.jsonl"), 1),
        (Filter(object_id="0000"), 0),
    ],
)
def test_a_filter_takes_what_it_names(stack: FakeStack, wanted: Filter, rows: int) -> None:
    assert len(list(Quarantine(stack).rows(wanted))) == rows  # type: ignore[arg-type]
    assert bool(wanted)
    assert not Filter()


def test_an_object_is_named_by_the_beginning_of_its_id(stack: FakeStack) -> None:
    name = name_of(stack, "b")
    assert len(list(Quarantine(stack).rows(Filter(object_id=name[:6].upper())))) == 1  # type: ignore[arg-type]


def test_a_file_that_goes_after_it_was_listed_has_no_rows(stack: FakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = stack.client("s3")
    read = s3.get_object

    def another_run_was_quicker(Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        if name_of(stack, "b") in Key:
            s3.delete(Bucket, Key)
        return read(Bucket, Key)  # type: ignore[no-any-return]

    monkeypatch.setattr(s3, "get_object", another_run_was_quicker)
    assert {group.key for group in Quarantine(stack).groups(Filter())} == {"bronze/shipments/a.jsonl"}  # type: ignore[arg-type]


# -- retrying ----------------------------------------------------------------------------------------------------------


def test_a_retry_says_what_was_resolved_and_marks_it(stack: FakeStack) -> None:
    a = name_of(stack, "a")
    found, requeuer, ledger = opened(stack, still={f"{a}-3"})
    [result] = found.retry(Filter(reason="out_of_range"), deadline=5)
    assert requeuer.asked[0][:2] == (a, 1)
    assert requeuer.asked[0][2].startswith("quarantine-")
    assert (result.resolved, result.still, result.newly) == ({"out_of_range": 3}, {"malformed_json": 1}, {})
    [(noted, entry)] = ledger.noted
    assert (noted, entry["run"], entry["rows"], entry["reasons"]) == (a, 2, 3, {"out_of_range": 3})
    assert not result.trouble


def test_a_stricter_rule_is_seen(stack: FakeStack) -> None:
    a = name_of(stack, "a")
    found, _, _ = opened(stack, still={f"{a}-{n}" for n in range(4)}, new=2)
    [result] = found.retry(Filter(object_id=a), deadline=5)
    assert (result.resolved, result.newly) == ({}, {"not_allowed": 2})
    assert not result.trouble


def test_rows_that_left_quarantine_and_did_not_reach_silver_are_trouble(stack: FakeStack) -> None:
    a = name_of(stack, "a")
    found, requeuer, ledger = opened(stack, still=set())
    work = requeuer.requeue

    def loses(object_id: str, run: int, replay: str) -> int:
        sent = work(object_id, run, replay)
        stack.object_item(object_id)["rows_silver"] -= 1
        return sent

    requeuer.requeue = loses  # type: ignore[method-assign]
    [result] = found.retry(Filter(object_id=a), deadline=5)
    assert result.trouble == "silver has 13 rows after 10, not 4 more"
    assert not ledger.noted


@pytest.mark.parametrize(("state", "trouble"), [("failed", "only a committed"), ("planned", "only a committed")])
def test_only_a_committed_object_is_retried(stack: FakeStack, state: str, trouble: str) -> None:
    a = name_of(stack, "a")
    stack.object_item(a)["state"] = state
    found, requeuer, _ = opened(stack, still=set())
    [result] = found.retry(Filter(object_id=a), deadline=5)
    assert trouble in result.trouble
    assert not requeuer.asked


def test_an_interrupted_retry_goes_on_in_its_own_name(stack: FakeStack) -> None:
    a = name_of(stack, "a")
    stack.object_item(a).update(state="planned", run=2, replay="quarantine-before")
    found, requeuer, _ = opened(stack, still=set())
    [result] = found.retry(Filter(object_id=a), deadline=5)
    assert requeuer.asked == [(a, 1, "quarantine-before")]
    assert not result.trouble


def test_a_run_that_fails_is_trouble_and_one_that_does_not_end_an_error(stack: FakeStack) -> None:
    a = name_of(stack, "a")
    found, _, _ = opened(stack, still=set(), state="failed")
    [result] = found.retry(Filter(object_id=a), deadline=5)
    assert result.trouble == "its new run is failed: gave_up"
    b = name_of(stack, "b")
    found, _, _ = opened(stack, still=set(), state="planned")
    with pytest.raises(SluiceError, match=f"1 of 1 objects are not finished, among them {b}"):
        found.retry(Filter(object_id=b), deadline=0)


# -- showing -----------------------------------------------------------------------------------------------------------


def test_the_faulty_value_is_shown_where_it_can_be_read() -> None:
    row = {"object_id": "a" * 32, "offset": 1, "dataset": "d", "reason": "r", "field": "x", "raw": '{"x": -5}'}
    assert verbs._row(row)[5] == "-5"
    assert verbs._row(row | {"raw": "no json", "field": None})[5] is None
    assert verbs._row({**row, "raw": None, "raw_base64": "//8="})[6] == "(base64) //8="


def test_the_report_says_that_a_rule_counts_once_deployed(capsys: pytest.CaptureFixture[str]) -> None:
    verbs._tell([Retried("a" * 32, "k", 2, still=Counter(out_of_range=2))])
    printed = capsys.readouterr()
    assert "make deploy" in printed.err
    assert "out_of_range" in printed.out
    verbs._tell([Retried("a" * 32, "k", 2, resolved=Counter(out_of_range=2))])
    assert "make deploy" not in capsys.readouterr().err
