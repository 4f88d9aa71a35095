"""Rejected rows: counted, chosen, and compared after a new run."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from sluice import console
from sluice.commands import quarantine as verbs
from sluice.console import SluiceError
from sluice.pipeline.quarantine import Filter, Group, Quarantine, Retried
from tests.support.fakes import OUTPUTS, FakeStack


class Requeuer:
    """Instead of a pipeline: a new run that refuses the rows it is asked to."""

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
        item |= {"run": run + 1, "state": self.state, "failed_reason": "retries_exhausted"}
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
    """An object with four rejected rows: three out of range, one no JSON; and another with one."""
    stack = FakeStack()
    for name, reasons in (("a", ["out_of_range"] * 3 + ["malformed_json"]), ("b", ["wrong_type"])):
        object_id = stack.ingested(f"bronze/shipments/{name}.jsonl", 10, len(reasons))
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


def name_of(stack: FakeStack, file: str) -> str:
    items = stack.dynamodb.items
    return next(str(i["object_id"]) for i in items if i.get("key") == f"bronze/shipments/{file}.jsonl")


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
        (Filter(object_id="b.json"), 1),
        (Filter(object_id="nts/a"), 4),
    ],
)
def test_a_filter_takes_what_it_names(stack: FakeStack, wanted: Filter, rows: int) -> None:
    assert len(list(Quarantine(stack).rows(wanted))) == rows  # type: ignore[arg-type]
    assert bool(wanted)
    assert not Filter()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Filter("shipmnts"), "did you mean 'shipments'"),
        (Filter(object_id="0000"), "there is no object '0000'"),
        (Filter(object_id="c.jsonl"), "a.jsonl, b.jsonl"),
        (Filter(object_id="bronze/shipments/c.jsonl"), "a.jsonl, b.jsonl"),
        (Filter(object_id="jsonl"), "2 objects have 'jsonl' in their keys"),
    ],
)
def test_a_filter_that_names_nothing_is_wrong_use(stack: FakeStack, wanted: Filter, said: str) -> None:
    with pytest.raises(SluiceError) as error:
        list(Quarantine(stack).rows(wanted))  # type: ignore[arg-type]
    assert error.value.code == 2
    assert said in str(error.value)
    found, requeuer, _ = opened(stack, still=set())
    with pytest.raises(SluiceError):
        found.retry(wanted, deadline=1)
    assert requeuer.asked == []


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
    assert result.trouble == "its new run is failed: retries_exhausted"
    b = name_of(stack, "b")
    found, _, _ = opened(stack, still=set(), state="planned")
    with pytest.raises(SluiceError, match=f"1 of 1 objects are not finished, among them {b}"):
        found.retry(Filter(object_id=b), deadline=0)


# -- showing -----------------------------------------------------------------------------------------------------------


ROW = {
    "object_id": "a" * 32, "offset": 1638, "dataset": "shipments", "reason": "out_of_range", "field": "weight_kg",
    "source_key": "bronze/shipments/" + "long-folder/" * 20 + "a.csv", "raw": "SH-1,-5,nowhere",
    "errors": [
        {"field": "weight_kg", "reason": "out_of_range", "value": "-5", "expected": "at least 0"},
        {"field": "carrier", "reason": "missing_required", "value": "", "expected": "a string"},
        {"field": None, "reason": "malformed_csv", "value": None, "expected": "7 fields"},
    ],
}  # fmt: skip


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(console, "_wide", False)


@pytest.mark.usefixtures("screen")
def test_every_error_is_shown_with_its_value_and_rule(capsys: pytest.CaptureFixture[str]) -> None:
    verbs._show_row(ROW)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("shipments  aaaaaaaaaaaa")
    assert lines[0].endswith("a.csv")
    assert [line.split() for line in lines[1:4]] == [
        ["weight_kg", "out_of_range", "-5", "expected:", "at", "least", "0"],
        ["carrier", "missing_required", "expected:", "a", "string"],
        ["(the", "row)", "malformed_csv", "-", "expected:", "7", "fields"],
    ]
    assert lines[4:] == ["  SH-1,-5,nowhere"]


@pytest.mark.usefixtures("screen")
def test_a_hostile_row_is_shown_safely(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J\x07\r\n\u202e" + "x" * 1_000_000
    error = {"field": hostile, "reason": "wrong_type", "value": hostile, "expected": "an int64"}
    verbs._show_row(ROW | {"raw": hostile, "source_key": hostile, "errors": [error]})
    out = capsys.readouterr().out
    assert all(character == "\n" or character.isprintable() for character in out)
    assert max(map(len, out.splitlines())) <= 80
    assert len(out) < 10_000
    assert "wrong_type" in out
    assert "an int64" in out


def test_the_faulty_value_of_an_older_file_is_read_from_its_row() -> None:
    row = {"object_id": "a" * 32, "offset": 1, "dataset": "d", "reason": "r", "field": "x", "raw": '{"x": -5}'}
    assert verbs._errors(row) == [("  x", "r", "-5", "")]
    assert verbs._errors(row | {"raw": "no json", "field": None}) == [("  (the row)", "r", None, "")]


@pytest.mark.usefixtures("screen")
def test_bytes_that_are_no_text_are_shown_as_base64(capsys: pytest.CaptureFixture[str]) -> None:
    verbs._show_row({**ROW, "raw": None, "raw_base64": "//8="})
    assert "(base64) //8=" in capsys.readouterr().out


def test_the_report_says_that_a_rule_counts_once_deployed(capsys: pytest.CaptureFixture[str]) -> None:
    verbs._show_outcome([Retried("a" * 32, "k", 2, still=Counter(out_of_range=2))])
    printed = capsys.readouterr()
    assert "make deploy" in printed.err
    assert "out_of_range" in printed.out
    verbs._show_outcome([Retried("a" * 32, "k", 2, resolved=Counter(out_of_range=2))])
    assert "make deploy" not in capsys.readouterr().err
