"""What branches decide without AWS: sections of a dataset's YAML, checks, items and their versions, cursors, events."""

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from checkins.schema import CHECKIN
from feedback.rows import item_of
from feedback.schema import FEEDBACK
from sluice_pipeline.catalog.checks import Check
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import parse_catalog
from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.dynamo.keys import key_part
from sluice_pipeline.dynamo.pages import InvalidQuery, Page, Place, page
from sluice_pipeline.dynamo.retries import TransactionRefused
from sluice_pipeline.dynamo.rows import row_item, version_of
from sluice_pipeline.dynamo.table import CONDITION_FAILED, Table
from sluice_pipeline.events.committed import Committed, NotCommitted, event_of, silver_of
from sluice_pipeline.events.messages import MalformedMessage

ROOT = Path(__file__).parents[3]
CATALOG = parse_catalog(compile_catalog(ROOT / "datasets"))

# -- sections --------------------------------------------------------------------------------------------------------

FIELDS = {
    "at": {"type": "timestamp", "required": True},
    "id": {"type": "string", "required": True},
    "who": {"type": "string", "required": True},
    "nick": {"type": "string"},
    "stars": {"type": "int64"},
}


def compiled(folder: Path, **sections: Any) -> Any:
    raw = {"dataset": "voices", "partition_by": "at", "key": ["id"], "fields": FIELDS} | sections
    (folder / "voices.yaml").write_text(yaml.safe_dump({k: v for k, v in raw.items() if v is not None}))
    return parse_catalog(compile_catalog(folder)).datasets["voices"]


def test_a_section_names_the_person_and_the_checks(tmp_path: Path) -> None:
    found = compiled(
        tmp_path,
        feedback={"customer": "who", "anomalies": {"low": {"field": "stars", "max": 2}}},
        checkin={"user": "who", "tests": {"one_each": {"unique": ["who", "at"], "hard": True}}},
    )
    feedback, checkin = FEEDBACK.of(found), CHECKIN.of(found)
    assert feedback
    assert checkin
    assert feedback.person == "who"
    assert feedback.checks == (Check("low", field="stars", maximum=2),)
    assert checkin.checks == (Check("one_each", unique=("who", "at"), hard=True),)


@pytest.mark.parametrize(
    ("section", "field", "reason"),
    [
        ([], "feedback", "not a mapping"),
        ({"customer": "who", "rules": {}}, "feedback.rules", "unknown"),
        ({}, "feedback.customer", "names no string field"),
        ({"customer": "stars"}, "feedback.customer", "names no string field"),
        ({"customer": "nick"}, "feedback.customer", "not required"),
        ({"customer": "who", "anomalies": []}, "feedback.anomalies", "not a mapping"),
        ({"customer": "who", "anomalies": {"A b": {}}}, "feedback.anomalies.A b", "not a name"),
        ({"customer": "who", "anomalies": {"a": 1}}, "feedback.anomalies.a", "not a mapping"),
        ({"customer": "who", "anomalies": {"a": {}}}, "feedback.anomalies.a", "either one field"),
        ({"customer": "who", "anomalies": {"a": {"field": "stars"}}}, "feedback.anomalies.a", "either one field"),
        ({"customer": "who", "anomalies": {"a": {"min": 1}}}, "feedback.anomalies.a", "either one field"),
        ({"customer": "who", "anomalies": {"a": {"field": "x", "min": 1}}}, "feedback.anomalies.a.field", "no field"),
        ({"customer": "who", "anomalies": {"a": {"field": "who", "min": 1}}}, "feedback.anomalies.a.min", "no bound"),
        ({"customer": "who", "anomalies": {"a": {"field": "stars", "max": True}}}, "feedback.anomalies.a.max", "bound"),
        (
            {"customer": "who", "anomalies": {"a": {"field": "stars", "min": 2, "max": 1}}},
            "feedback.anomalies.a.min",
            "greater",
        ),
        ({"customer": "who", "anomalies": {"a": {"burst": 3}}}, "feedback.anomalies.a.burst", "needs within_seconds"),
        (
            {"customer": "who", "anomalies": {"a": {"burst": 0, "within_seconds": 1}}},
            "feedback.anomalies.a.burst",
            "at least 1",
        ),
        ({"customer": "who", "anomalies": {"a": {"unique": ["id"]}}}, "feedback.anomalies.a.unique", "unknown"),
        (
            {"customer": "who", "anomalies": {"a": {"field": "who", "pattern": "("}}},
            "feedback.anomalies.a.pattern",
            "no regular expression",
        ),
        (
            {"customer": "who", "anomalies": {"a": {"field": "who", "allowed": [1]}}},
            "feedback.anomalies.a.allowed",
            "not a string",
        ),
        (
            {"customer": "who", "anomalies": {"a": {"field": "who", "not_empty": "yes"}}},
            "feedback.anomalies.a.not_empty",
            "not a bool",
        ),
    ],
)
def test_a_wrong_section_is_refused_with_its_setting_and_reason(
    tmp_path: Path, section: object, field: str, reason: str
) -> None:
    with pytest.raises(CatalogError) as refused:
        compiled(tmp_path, feedback=section)
    assert (refused.value.file, refused.value.field) == ("voices.yaml", field)
    assert reason in refused.value.reason


def test_a_section_needs_a_key(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="needs a key"):
        compiled(tmp_path, key=None, feedback={"customer": "who"})


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (Check("c", field="x", minimum=1, maximum=5), [1, 5, None, Decimal("4.9")], [0, 6, Decimal("5.1")]),
        (Check("c", field="x", not_empty=True), ["a", 0], [None, "", " \t"]),
        (Check("c", field="x", allowed=("a", "b")), ["a", None, ""], ["c", "A"]),
        (Check("c", field="x", pattern="[a-z]+"), ["abc", None], ["abc1", "A"]),
        (Check("c", unique=("x",)), [None, "a"], []),
    ],
)
def test_a_check_refuses_what_breaks_it(check: Check, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if check.is_broken_by({"x": value})] == []
    assert [value for value in bad if not check.is_broken_by({"x": value})] == []


# -- items -----------------------------------------------------------------------------------------------------------

ROW = {
    "created_at": datetime(2026, 3, 1, 12, tzinfo=UTC),
    "feedback_id": "f1",
    "customer_id": "c1",
    "rating": 9,
    "comment": None,
    "_record_id": "abc-70",
    "_source_offset": 70,
    "_source_key": "bronze/feedback/x.csv",
    "_source_version": "v",
}


def test_an_item_holds_the_row_and_what_is_unusual_in_it() -> None:
    dataset = CATALOG.datasets["feedback"]
    section = FEEDBACK.of(dataset)
    assert section
    assert item_of(dataset, section, ROW, "2026-03-02T00:00:00.000Z", 3) == {
        "pk": "row#feedback#f1",
        "sk": "f1",
        "row": {
            "created_at": "2026-03-01T12:00:00.000000Z",
            "feedback_id": "f1",
            "customer_id": "c1",
            "rating": 9,
        },
        "row_version": "2026-03-01T12:00:00.000000Z|2026-03-02T00:00:00.000Z|abc|0000000000000070",
        "object_id": "abc",
        "source_key": "bronze/feedback/x.csv",
        "run_key": "0000000003",
        "customer_key": "feedback#c1",
        "day_key": "feedback#2026-03-01",
        "time_key": "2026-03-01T12:00:00.000000Z#f1",
        "anomalies": ["rating_out_of_range", "empty_text"],
    }


def test_versions_sort_by_time_then_arrival_then_place() -> None:
    later = ROW | {"created_at": datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)}
    further = ROW | {"_source_offset": 700, "_record_id": "abc-700"}
    versions = [
        version_of(ROW, "created_at", "2026-03-01T00:00:00.000Z"),
        version_of(further, "created_at", "2026-03-01T00:00:00.000Z"),
        version_of(ROW, "created_at", "2026-03-02T00:00:00.000Z"),
        version_of(later, "created_at", "2026-03-01T00:00:00.000Z"),
    ]
    assert versions == sorted(versions)
    assert len(set(versions)) == 4


def test_a_key_is_never_empty_never_too_long_and_stays_unique() -> None:
    assert key_part("") == "(empty)"
    assert key_part("é" * 256) == "é" * 256
    one, two = key_part("x" * 2000 + "1"), key_part("x" * 2000 + "2")
    assert one != two
    assert len(one.encode()) < 512


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (1.5, Decimal("1.5")),
        (1e300, "1e+300"),
        (date(2026, 3, 1), "2026-03-01"),
        (Decimal("12.30"), Decimal("12.30")),
        (True, True),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_values_are_stored_as_dynamodb_can_hold_them(value: Any, stored: Any) -> None:
    found = row_item(ROW | {"v": value}, "p", "s", "created_at", "", 1)["row"]["v"]
    assert (found, type(found)) == (stored, type(stored))


# -- writing ---------------------------------------------------------------------------------------------------------


class Transactions:
    """DynamoDB's transactions: refuses those that hold a doomed item, and the first ones with a conflict."""

    def __init__(self, doomed: set[str], conflicts: int = 0, other: str = "") -> None:
        self.doomed, self.conflicts, self.other = doomed, conflicts, other
        self.written: list[str] = []
        self.sizes: list[int] = []

    def transact_write_items(self, TransactItems: list[dict[str, Any]], ClientRequestToken: str) -> None:  # noqa: N803
        names = [item["Put"]["Item"]["pk"]["S"] for item in TransactItems]
        self.sizes.append(len(names))
        codes = [CONDITION_FAILED if name in self.doomed else "None" for name in names]
        if self.conflicts:
            self.conflicts -= 1
            codes = ["TransactionConflict", *codes[1:]]
        if self.other:
            codes[-1] = self.other
        if set(codes) != {"None"}:
            response: Any = {
                "Error": {"Code": "TransactionCanceledException", "Message": "no"},
                "CancellationReasons": [{"Code": code} for code in codes],
            }
            raise ClientError(response, "TransactWriteItems")
        self.written += names


def puts(table: Table, count: int, size: int = 1) -> list[dict[str, Any]]:
    return [
        table.put_action({"pk": f"p{n}", "sk": "s", "text": "x" * size}, "attribute_not_exists(pk)")
        for n in range(count)
    ]


def test_each_write_stands_on_its_own_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice_pipeline.dynamo.retries.time.sleep", lambda _seconds: None)
    client = Transactions(doomed={"p1", "p150"}, conflicts=2)
    table = Table(client, "t")
    done = table.apply_each(puts(table, 250))
    assert [n for n, taken in enumerate(done) if not taken] == [1, 150]
    assert client.written == [f"p{n}" for n in range(250) if n not in (1, 150)]
    assert max(client.sizes) == 100
    assert table.apply_each([]) == []


def test_a_transaction_stays_below_four_megabytes() -> None:
    client = Transactions(set())
    table = Table(client, "t")
    assert table.apply_each(puts(table, 30, size=300_000)) == [True] * 30
    assert client.sizes == [11, 11, 8]


def test_a_permanent_error_is_raised() -> None:
    table = Table(Transactions(set(), other="ValidationError"), "t")
    with pytest.raises(TransactionRefused, match="ValidationError"):
        table.apply_each(puts(table, 2))


# -- pages -----------------------------------------------------------------------------------------------------------

PLACE = Place("t")
LAST = {"pk": {"S": "user"}, "sk": {"S": "2026-03-01"}}


class Queries:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def query(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        return {"Items": [LAST | {"n": {"N": "1"}}], "LastEvaluatedKey": LAST}


def test_a_page_is_one_query_and_its_cursor_leads_to_the_next() -> None:
    client = Queries()
    first = page(client, PLACE, "user", since="2026-02-01", until="2026-04-01", limit=1)
    assert isinstance(first, Page)
    second = page(client, PLACE, "user", since="2026-02-01", until="2026-04-01", limit=1, cursor=first.cursor)
    assert [asked.get("ExclusiveStartKey") for asked in client.asked] == [None, LAST]
    assert client.asked[0]["KeyConditionExpression"] == "pk = :value AND sk BETWEEN :since AND :until"
    assert second.items == [{"pk": "user", "sk": "2026-03-01", "n": Decimal(1)}]


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_outside_of_a_page_is_refused(limit: int) -> None:
    with pytest.raises(InvalidQuery, match="limit"):
        page(Queries(), PLACE, "user", limit=limit)


@pytest.mark.parametrize(
    "position",
    [
        [],
        "x",
        {},
        {"pk": "other", "sk": "2026-03-01"},
        {"pk": "user", "sk": 5},
        {"pk": "user", "sk": ""},
        {"pk": "user", "sk": "2026-03-01", "more": "x"},
        {"pk": "user", "sk": "2027-01-01"},
    ],
)
def test_a_forged_cursor_is_refused(position: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode()
    with pytest.raises(InvalidQuery):
        page(Queries(), PLACE, "user", since="2026-02-01", until="2026-04-01", cursor=cursor)


@pytest.mark.parametrize("cursor", ["ä", "%%%", "=", "A", "e30", "W" * 100_000])
def test_bytes_that_are_no_cursor_are_refused(cursor: str) -> None:
    with pytest.raises(InvalidQuery):
        page(Queries(), PLACE, "user", cursor=cursor)


# -- events ----------------------------------------------------------------------------------------------------------

ID = "7f1fb2a6-0dcd-5e0c-a4a6-59c5f0a3f7a1"
RUN_2 = Committed(ID, 2, "mixed", "bronze/mixed/rows.jsonl", None)


def test_an_event_names_object_run_and_datasets() -> None:
    event = event_of(ID, 2, "mixed")
    event["detail"] |= {"partitions": [{"dataset": "feedback", "dt": "2026-03-01", "rows": 3}], "partition_count": 1}
    assert Committed.from_json(json.dumps(event)) == Committed(
        ID, 2, "mixed", "bronze/mixed/by-hand", frozenset({"feedback"})
    )
    event["detail"]["partition_count"] = 2000  # the list was cut
    assert Committed.from_json(json.dumps(event)).datasets is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        '"x"',
        json.dumps({"source": "sluice", "detail-type": "object.lost", "detail": {}}),
        json.dumps(event_of("abc", 1, "d")),
        json.dumps(event_of(ID, 0, "d")),
        json.dumps({**event_of(ID, 1, "d"), "detail": None}),
        json.dumps({**event_of(ID, 1, "d"), "source": "other"}),
        json.dumps({**event_of(ID, 1, "d"), "detail": event_of(ID, 1, "d")["detail"] | {"origin": {}}}),
        json.dumps({**event_of(ID, 1, "d"), "detail": event_of(ID, 1, "d")["detail"] | {"object_id": 7}}),
        json.dumps({**event_of(ID, 1, "d"), "detail": event_of(ID, 1, "d")["detail"] | {"run": True}}),
    ],
)
def test_what_is_no_event_is_malformed(body: str) -> None:
    with pytest.raises(MalformedMessage):
        Committed.from_json(body)


class Ledger:
    def __init__(self, run: int, *chunk_runs: int, state: str = "done") -> None:
        self.run, self.chunk_runs, self.state = run, chunk_runs, state

    def object(self, object_id: str) -> dict[str, Any] | None:
        return {"object_id": object_id, "run": self.run} if self.run else None

    def chunks(self, _object_id: str) -> list[dict[str, Any]]:
        outputs = [{"key": "a", "dataset": "feedback"}, {"key": "b", "dataset": "other"}]
        return [
            {"sk": f"chunk#{n}", "run": run, "chunk_state": self.state, "outputs": outputs}
            for n, run in enumerate(self.chunk_runs)
        ]


def test_silver_of_a_run_is_what_its_chunks_wrote() -> None:
    ledger: Any = Ledger(2, 2, 2)
    found = silver_of(ledger, RUN_2, frozenset({"feedback"}))
    assert found
    assert [output["key"] for output in found.outputs] == ["a", "a"]
    everything = silver_of(ledger, RUN_2)
    assert everything
    assert [output["key"] for output in everything.outputs] == ["a", "b", "a", "b"]


@pytest.mark.parametrize("ledger", [Ledger(3, 2, 2), Ledger(2, 2, 3)])
def test_a_newer_run_has_the_work(ledger: Any) -> None:
    assert silver_of(ledger, RUN_2, frozenset({"feedback"})) is None


@pytest.mark.parametrize("ledger", [Ledger(0), Ledger(1, 1), Ledger(2, 1), Ledger(2, 2, state="pending")])
def test_an_event_ahead_of_the_ledger_waits(ledger: Any) -> None:
    with pytest.raises(NotCommitted):
        silver_of(ledger, RUN_2, frozenset({"feedback"}))
