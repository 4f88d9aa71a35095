"""Checks of fields and rows: what they accept, on every path of reading, and what a dataset may say."""

from __future__ import annotations

import csv
import io
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.transform import columns
from core.transform.lines import split_lines
from core.transform.readers import CsvReader, JsonReader, Reader
from core.transform.row_by_row import judged
from core.transform.rows import OFFSET, read_rows
from sluice.pipeline.unlike import Columns
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import Catalog, parse_catalog
from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.catalog.fields import parse_field
from sluice_pipeline.objects.failures import Failure, ObjectFailed
from tests.support.reading import ReadObject, read_object, small_sets

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 60))
pytestmark = pytest.mark.timeout(120 if EXAMPLES == 60 else 3600)
property_test = settings(
    deadline=None,
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TWICE = {"type": "string", "aliases": ["x"]}
BASE: dict[str, Any] = {"at": {"type": "timestamp", "required": True}}
AT = "2024-05-01T10:00:00Z"


def raw_dataset(fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"dataset": "events", "partition_by": "at", "fields": BASE | fields} | more


def catalog(fields: dict[str, Any], **more: Any) -> Catalog:
    return parse_catalog({"events": raw_dataset(fields, **more)})


def read(
    given: list[dict[str, Any]], fields: dict[str, Any], *, form: str = "jsonl", chunk: int = 64, **more: Any
) -> ReadObject:
    """The rows as a file of this form, each with a time."""
    return read_object(f"bronze/events/a.{form}", body_of(given, form), chunk, catalog(fields, **more))


def body_of(given: list[dict[str, Any]], form: str) -> bytes:
    full = [{"at": AT} | row for row in given]
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in full).encode()
    if form == "json":
        return json.dumps(full).encode()
    header = list(dict.fromkeys(name for row in full for name in row))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([header, *([_csv_text(row.get(name)) for name in header] for row in full)])
    return out.getvalue().encode()


def _csv_text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def reasons(found: ReadObject) -> list[list[tuple[str, str, str]]]:
    """Field, reason and value of every error of the rejected rows."""
    return [[(error.field, str(error.reason), error.value) for error in row.errors] for row in found.bad]


FORMS = pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
MANY = 70  # rows that look alike are read by another reader from 64 on


# -- one field ---------------------------------------------------------------------------------------------------------

CASES: list[tuple[dict[str, Any], list[Any], list[Any], str]] = [
    ({"type": "string", "pattern": "[A-Z]{3}"}, ["AMS", None], ["AM", "AMST", "xAMS", "AMS\n", "ams"], "wrong_pattern"),
    ({"type": "string", "pattern": "a|bc"}, ["a", "bc"], ["ab", "abc"], "wrong_pattern"),
    ({"type": "string", "pattern": "(?i)é."}, ["É東", "éx"], ["é", "é東東"], "wrong_pattern"),
    ({"type": "string", "pattern": r"\d+"}, ["12"], ["٣", "1a"], "wrong_pattern"),
    ({"type": "string", "length": 2}, ["ab", "東京", "🚚🚚", None], ["a", "abc", "🚚"], "wrong_length"),
    ({"type": "string", "length": {"max": 2}}, ["a", "é東"], ["abc", "e\u0301e"], "wrong_length"),
    ({"type": "string", "length": {"min": 2, "max": 3}}, ["ab", "abc"], ["a", "abcd"], "wrong_length"),
    ({"type": "int64", "multiple_of": 6}, [0, -12, 9223372036854775806, None], [4, -7, 2**63 - 1], "not_a_multiple"),
    ({"type": "decimal(18,2)", "multiple_of": 0.05}, ["0.05", "-1.10", "9999999999999999.95", "7"], ["0.01", "1.12"],
     "not_a_multiple"),
    ({"type": "decimal(38,0)", "multiple_of": 7}, ["7" * 38, "0"], ["1" + "0" * 37, "9" * 38 ], "not_a_multiple"),
    ({"type": "decimal(38,38)", "multiple_of": 1e-38}, ["0." + "0" * 37 + "1"], [], ""),
]  # fmt: skip


@FORMS
@pytest.mark.parametrize("many", [1, MANY])
@pytest.mark.parametrize(("field", "good", "bad", "reason"), CASES)
def test_a_value_is_judged_alike_in_every_form(
    field: dict[str, Any], good: list[Any], bad: list[Any], reason: str, form: str, many: int
) -> None:
    given = [{"v": value, "n": str(n)} for n, value in enumerate([*good * many, *bad])]
    found = read(given, {"v": field, "n": {"type": "string"}}, form=form)
    assert [row["n"] for row in found.rows("events")] == [str(n) for n in range(len(good) * many)]
    shown = [str(value) if form == "csv" else json.dumps(value, ensure_ascii=False) for value in bad]
    assert reasons(found) == [[("v", reason, value)] for value in shown]
    assert found.rows_in == len(given)


def test_a_row_shows_all_of_its_errors_with_value_and_rule() -> None:
    fields = {
        "code": {"type": "string", "pattern": "[A-Z]+", "length": 3, "required": True},
        "price": {"type": "decimal(9,2)", "multiple_of": 0.05, "min": 1},
        "n": {"type": "int64"},
    }
    found = read([{"code": "ab", "price": "0.07", "n": "x"}], fields, checks=["price > 1", "n > 0"])
    assert [tuple(error) for error in found.bad[0].errors] == [
        ("price", "out_of_range", '"0.07"', "at least 1"),
        ("n", "wrong_type", '"x"', "an int64"),
        ("code", "wrong_pattern", '"ab"', "a text of the pattern [A-Z]+"),
        ("code", "wrong_length", '"ab"', "3 characters"),
        ("price", "not_a_multiple", '"0.07"', "a multiple of 0.05"),
        ("price", "check_failed", '"0.07"', "price > 1"),  # and n > 0 is not judged: n is no number
    ]


# -- conditions --------------------------------------------------------------------------------------------------------

TYPES = {
    "i": "int64", "k": "int64", "f": "float64", "m": "decimal(9,2)", "w": "decimal(38,10)", "s": "string",
    "u": "string", "b": "bool", "d": "date", "t": "timestamp", "j": "json",
}  # fmt: skip
TYPED = {name: {"type": kind} for name, kind in TYPES.items()}


@pytest.mark.parametrize(
    ("condition", "row", "stays"),
    [
        ("t >= d", {"t": "2024-05-01T00:00:00Z", "d": "2024-05-01"}, True),
        ("t >= d", {"t": "2024-04-30T23:59:59.999999Z", "d": "2024-05-01"}, False),
        ("t >= d", {"t": "2024-05-01T01:00:00+02:00", "d": "2024-05-01"}, False),
        ("t >= d", {"t": None, "d": "2024-05-01"}, True),
        ("t >= at", {"t": "2024-05-01T10:00:00Z"}, True),
        ("d >= '2024-05-02'", {"d": "2024-05-01"}, False),
        ("t < '2024-05-01T10:00:00+02:00'", {"t": "2024-05-01T08:00:00Z"}, False),
        ("i < k", {"i": 2**62, "k": 2**62 + 1}, True),
        ("i = k", {"i": 2**53, "k": 2**53 + 1}, False),
        ("i = f", {"i": 2**53 + 1, "f": 2.0**53}, True),  # beside a float64 both are doubles
        ("i <= m", {"i": 1, "m": "1.01"}, True),
        ("m == w", {"m": "1.10", "w": "1.1000000000"}, True),
        ("w > m", {"w": "1.1000000001", "m": "1.10"}, True),
        ("m = 0.1", {"m": "0.10"}, True),
        ("i > 0.5", {"i": 1}, True),
        ("-2 <= i", {"i": -3}, False),
        ("f <= 1", {"f": 1.0000001}, False),
        ("s <> u", {"s": "a", "u": "a"}, False),
        ("s < u", {"s": "Z", "u": "a"}, True),
        ("s = 'it''s'", {"s": "it's"}, True),
        ("s != 'a' or b = true", {"s": "a", "b": False}, False),
        ("not (s = 'a' and i is null)", {"s": "a"}, False),
        ("NOT (s = 'a' AND i IS NULL)", {"s": "a", "i": 1}, True),
        ("i is not null or k is not null", {}, False),
        ("i is not null or k is not null", {"k": 0}, True),
        ("i > 1 or k > 1", {"i": None, "k": 0}, True),  # null or false is null
        ("i > 1 and k > 1", {"i": None, "k": 0}, False),  # null and false is false
        ("i > 1 or s = 'x' and k > 1", {"i": 0, "s": "x", "k": 2}, True),
        ("j is null or i = 1", {"j": {"a": 1}, "i": 2}, False),
    ],
)
def test_a_condition_rejects_the_rows_for_which_it_is_false(condition: str, row: dict[str, Any], stays: bool) -> None:
    for many in (1, MANY):
        found = read([row] * many, TYPED, checks=[condition])
        assert len(found.rows("events")) == (many if stays else 0)
        assert len(found.bad) == (0 if stays else many)
        assert {str(error.reason) for bad in found.bad for error in bad.errors} <= {"check_failed"}


def test_the_error_of_a_condition_names_the_fields_with_their_values() -> None:
    error = read([{"t": "2024-05-01", "d": "2024-05-02"}], TYPED, checks=["t  >=\n d"]).bad[0].errors[0]
    assert tuple(error) == ("t", "check_failed", 't = "2024-05-01", d = "2024-05-02"', "t >= d")


@pytest.mark.parametrize(
    "condition",
    [
        "", " ", "i", "i >", "> 1", "i > 1 1", "i >> 1", "1 > 0", "x > 1", "i > 'a'", "s > 1", "s > i", "b > true",
        "b = 1", "i is", "i is not", "1 is null", "j = s", "f > m", "(i > 1", "i > 1)", "not", "i = null", "i > 1e5",
        "d > 'soon'", "i > 99999999999999999999", "m > 0." + "1" * 39, "i > 1; drop", "__import__('os')", "i = i.x",
        'i > "k"', "(" * 21 + "i > 1" + ")" * 21, "not " * 21 + "i > 1", "i > 1 or " * 200 + "i > 1", "t > d + 1",
        "i is null > 1",
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_with_its_place(condition: str) -> None:
    with pytest.raises(CatalogError) as refused:
        catalog(TYPED, checks=["i = 1", condition])
    assert (refused.value.file, refused.value.field) == ("events.yaml", "checks (2)")


@pytest.mark.parametrize(
    "pattern", ["(", "a)(b", r"\Qa", "a{1001}", "(a{100}){100}", "(?=a)", r"(a)\1", "[", r"(\pL{0,500}){0,2}\pL{1000}"]
)
def test_a_pattern_that_is_none_of_re2_or_too_large_is_refused_by_the_build(tmp_path: Path, pattern: str) -> None:
    raw = raw_dataset({"v": {"type": "string", "pattern": pattern}})
    (tmp_path / "events.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(CatalogError) as refused:
        compile_catalog(tmp_path)
    assert refused.value.field == "fields.v.pattern"


@pytest.mark.parametrize(
    ("fields", "more", "place"),
    [
        ({"v": {"type": "int64", "multiple_of": 2**63}}, {}, "fields.v.multiple_of"),
        ({"v": {"type": "decimal(9,2)", "multiple_of": 0.005}}, {}, "fields.v.multiple_of"),
        ({"v": {"type": "string", "length": {"min": 3, "max": 2}}}, {}, "fields.v.length"),
        ({"v": {"type": "json", "unique": True}}, {}, "fields.v.unique"),
        ({"v": {"type": "float64"}}, {"unique": ["v"]}, "unique (v)"),
        ({"v": {"type": "string"}}, {"unique": ["w"]}, "unique"),
        ({"v": {"type": "string", "aliases": ["v"]}}, {}, "fields.v.aliases"),
        ({"v": {"type": "string", "aliases": ["at"]}}, {}, "fields.v.aliases"),
        ({"v": TWICE, "w": TWICE}, {}, "fields.w.aliases"),
        ({"record_type": TWICE}, {"record_types": ["e"]}, "fields.record_type.aliases"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(
    fields: dict[str, Any], more: dict[str, Any], place: str
) -> None:
    with pytest.raises(CatalogError) as refused:
        catalog(fields, **more)
    assert refused.value.field == place


# -- other names -------------------------------------------------------------------------------------------------------

ALIASED = {
    "order_id": {"type": "string", "required": True, "aliases": ["orderId", "Order No."]},
    "n": {"type": "int64"},
}


@FORMS
@pytest.mark.parametrize("many", [1, MANY])
@pytest.mark.parametrize("name", ["order_id", "orderId", "Order No."])
def test_a_field_is_read_under_each_of_its_names(form: str, many: int, name: str) -> None:
    found = read([{name: str(n), "n": n} for n in range(many)], ALIASED, form=form)
    assert [(row["order_id"], row["n"]) for row in found.rows("events")] == [(str(n), n) for n in range(many)]
    assert (found.bad, set(found.rows("events")[0])) == ([], {"at", "order_id", "n", OFFSET})


@FORMS
def test_another_case_is_another_name(form: str) -> None:
    found = read([{"ORDERID": "1", "n": 1}], ALIASED, form=form)
    assert reasons(found) == [[("order_id", "missing_required", "null")]]


@pytest.mark.parametrize("many", [1, MANY])
def test_a_row_with_two_names_of_a_field_has_a_fault_unless_one_is_null(many: int) -> None:
    rows_ = [{"order_id": "a", "orderId": "a"}, {"order_id": None, "orderId": "b"}, {"Order No.": "c", "orderId": None}]
    found = read(rows_ * many, ALIASED)
    assert [row["order_id"] for row in found.rows("events")] == ["b", "c"] * many
    assert reasons(found) == [[("order_id", "wrong_type", '"a"')]] * many
    assert found.bad[0].errors[0].expected == "one value; the row has it as order_id, orderId"


def test_a_csv_header_with_two_names_of_a_field_fails_the_object() -> None:
    with pytest.raises(ObjectFailed) as failed:
        read([{"order_id": "a", "orderId": "a"}], ALIASED, form="csv")
    assert failed.value.code == Failure.UNREADABLE
    assert "two columns 'order_id' and 'orderId'" in failed.value.detail


def test_another_name_is_no_unlike_column() -> None:
    datasets = catalog(ALIASED)
    for form in ("jsonl", "csv"):
        body = body_of([{"orderId": "1", "n": 1, "other": 2}], form)
        from core.transform.content import partition, whole

        content = whole(f"bronze/events/a.{form}", body, 10**6, datasets, "events")
        looked = Columns(datasets, "events")
        looked.look(content, partition(content, datasets, "events"))
        assert [(one.name, one.in_file) for one in looked.unlike()] == [("other", True)]


def test_a_mixed_csv_file_has_names_of_each_of_its_datasets() -> None:
    def dataset(name: str, aliases: list[str]) -> dict[str, Any]:
        fields = BASE | {"record_type": {"type": "string"}, "v": {"type": "string", "aliases": aliases}}
        return {"dataset": name, "partition_by": "at", "record_types": [name], "fields": fields}

    both = parse_catalog({"a": dataset("a", ["x"]), "b": dataset("b", ["y", "z"])})
    body = f"record_type,at,x,y,z\na,{AT},1,2,3\nb,{AT},1,2,3\na,{AT},,,\n".encode()
    found = read_object("bronze/mixed/a.csv", body, catalog=both)
    assert [row["v"] for row in found.rows("a")] == ["1", None]
    assert reasons(found) == [[("v", "wrong_type", "3")]]


# -- unique ------------------------------------------------------------------------------------------------------------


@FORMS
@pytest.mark.parametrize("chunk", [40, 100, 10**6])
def test_of_equal_rows_the_first_is_kept_whatever_the_chunks(form: str, chunk: int) -> None:
    given = [{"v": v, "n": n} for n, v in enumerate(["a", "b", "a", None, None, "c", "b", "a"])]
    found = read(given, {"v": {"type": "string", "unique": True}, "n": {"type": "int64"}}, form=form, chunk=chunk)
    assert [row["n"] for row in found.rows("events")] == [0, 1, 3, 4, 5]
    value = (lambda text: text) if form == "csv" else json.dumps
    assert reasons(found) == [[("v", "not_unique", value(text))] for text in "aba"]
    first = found.rows("events")[0][OFFSET]
    assert found.bad[0].errors[0].expected == f"another v than the row at byte {first} has"
    assert found.rows_in == len(given)


def test_a_row_is_compared_with_those_that_are_good_only() -> None:
    fields = {"v": {"type": "string", "unique": True}, "k": {"type": "int64", "unique": True}, "n": {"type": "int64"}}
    given = [
        {"v": "a", "k": "x"}, {"v": "a", "k": 1}, {"v": "a", "k": 2}, {"v": "b", "k": 2}, {"v": "a", "k": 2, "n": 1},
    ]  # fmt: skip
    found = read(given, fields)
    assert [(row["v"], row["k"]) for row in found.rows("events")] == [("a", 1), ("b", 2)]
    assert [[error[:2] for error in row] for row in reasons(found)] == [
        [("k", "wrong_type")], [("v", "not_unique")], [("v", "not_unique"), ("k", "not_unique")],
    ]  # fmt: skip


def test_several_fields_are_unique_together_by_value() -> None:
    fields = {"t": {"type": "timestamp"}, "m": {"type": "decimal(9,2)"}}
    given = [
        {"t": "2024-05-01", "m": "1"}, {"t": "2024-05-01", "m": "2"}, {"t": "2024-05-01T02:00:00+02:00", "m": 1.00},
        {"t": "0001-01-01", "m": "1"}, {"t": None, "m": "1"}, {"t": None, "m": "1"},
    ]  # fmt: skip
    found = read(given, fields, unique=["t", "m"])
    assert len(found.rows("events")) == 5
    assert reasons(found) == [[("t", "not_unique", 't = "2024-05-01T02:00:00+02:00", m = 1.0')]]


def test_an_object_too_large_to_be_compared_fails_at_once_by_name() -> None:
    datasets = catalog({"v": {"type": "string", "unique": True}})
    body = body_of([{"v": str(n)} for n in range(10)], "jsonl")
    with pytest.raises(ObjectFailed) as failed:
        read_object("bronze/events/a.jsonl", body, 64, datasets, limit=len(body) - 1)
    assert failed.value.code == Failure.OVER_LIMIT
    assert len(read_object("bronze/events/a.jsonl", body, 64, datasets, limit=len(body)).rows("events")) == 10


# -- all of it together ------------------------------------------------------------------------------------------------

SPECS = {
    "s": [{}, {"pattern": "[a-c]*"}, {"length": {"max": 2}}, {"pattern": ".*", "length": 1}, {"unique": True}],
    "i": [{}, {"multiple_of": 3}, {"min": 0, "multiple_of": 2}, {"unique": True}],
    "m": [{}, {"multiple_of": 0.25}, {"max": 2, "multiple_of": 0.01}],
    "t": [{}, {"required": True}],
    "d": [{}],
    "f": [{}],
    "j": [{}],
}
CHECKS = [
    "t >= d", "d <> '2024-05-01'", "i < m", "i = f", "s = 'a' or i is null", "not (m > 1.5 and s <> 'b')",
    "j is null or s is not null", "i <= 3",
]  # fmt: skip
SAMPLES: dict[str, list[Any]] = {
    "s": ["a", "b", "abc", "é東", "", 5, None], "i": [0, 1, 2, 3, 6, 2**63 - 1, -3, "x", None, 1.5],
    "m": ["0.25", "1.10", 2, "1.005", "2.50", None], "t": [AT, "2024-04-30", "2024-05-02 01:00:00+02:00", "soon", None],
    "d": ["2024-05-01", "2024-05-02", None, "2024-13-01"], "f": [0.0, 1.5, 3.0, None], "j": [None, {"a": [1]}, 3],
}  # fmt: skip
CSV_ONLY = {"j": [None, "3"]}


@st.composite
def datasets(draw: st.DrawFn) -> dict[str, Any]:
    fields = {}
    for name, specs in SPECS.items():
        alias = draw(st.sampled_from([[], [name.upper()], [name.upper(), f"{name} 2"]]))
        fields[name] = {"type": TYPES[name]} | draw(st.sampled_from(specs)) | ({"aliases": alias} if alias else {})
    checks = draw(st.lists(st.sampled_from(CHECKS), max_size=3, unique=True))
    together = draw(st.sampled_from([[], [], ["s", "i"], ["t"]]))
    return {"fields": fields, "checks": checks, "unique": together}


@st.composite
def rows_of(draw: st.DrawFn, fields: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for _ in range(draw(st.integers(1, 14))):
        row = {}
        for name, spec in fields.items():
            for used in draw(st.sampled_from([[0], [0], [0], [-1], [0, -1], []])):
                row[[name, *spec.get("aliases", [])][used]] = draw(st.sampled_from(SAMPLES[name]))
        found.append(row)
    return found


def alone(raws: list[bytes], reader: Reader, parsed: Catalog) -> list[Any]:
    """What becomes of each row by itself, but for what is unique."""
    dataset = parsed.datasets["events"]
    outcomes = []
    for raw in raws:
        outcome = reader.read_exactly(raw, dataset.fields, routing=False)
        outcomes += judged([outcome], dataset.fields, dataset.checks)
    return outcomes


@given(data=st.data())
@property_test
def test_fast_and_exact_readers_agree_on_random_rules(data: st.DataObject) -> None:
    spec = data.draw(datasets())
    parsed = catalog(spec["fields"], checks=spec["checks"])
    dataset = parsed.datasets["events"]
    body = body_of(data.draw(rows_of(spec["fields"])), "jsonl")
    raws = body.split(b"\n")[:-1]
    with small_sets():
        table, kept, bad = read_rows(split_lines(body, 0), dataset.fields, JsonReader(), checks=dataset.checks)
    outcomes = alone(raws, JsonReader(), parsed)
    assert [(raw, errors) for _, raw, errors in sorted(bad)] == [
        (raw, outcome.errors) for raw, outcome in zip(raws, outcomes, strict=True) if outcome.errors
    ]
    for field in dataset.fields:
        values = [outcome.values[field.name] for outcome in outcomes if not outcome.errors]
        assert table.column(field.name).combine_chunks().equals(columns.array_of(values, field)), field
    assert table.column(OFFSET).to_pylist() == kept.offset.to_pylist()


@given(data=st.data())
@property_test
def test_rows_in_are_silver_and_quarantined_whatever_the_rules_the_form_and_the_chunks(data: st.DataObject) -> None:
    spec = data.draw(datasets())
    parsed = catalog(spec["fields"], checks=spec["checks"], unique=spec["unique"])
    given = data.draw(rows_of(spec["fields"]))
    form = data.draw(st.sampled_from(["jsonl", "json", "csv"]))
    if form == "csv":
        given = [
            {name: row.get(name) for name in spec["fields"]} | {"j": data.draw(st.sampled_from(CSV_ONLY["j"]))}
            for row in given
        ]
    body, key = body_of(given, form), f"bronze/events/a.{form}"
    whole = read_object(key, body, 10**6, parsed)
    with small_sets():
        cut = read_object(key, body, data.draw(st.integers(20, 300)), parsed)
    assert whole.rows_in == len(given) == len(whole.rows("events")) + len(whole.bad)
    assert (cut.rows_in, cut.rows("events")) == (whole.rows_in, whole.rows("events"))
    assert sorted(cut.bad, key=lambda row: row.offset) == whole.bad


def test_a_field_of_a_dataset_knows_its_multiple_exactly() -> None:
    field = parse_field("m", {"type": "decimal(9,2)", "multiple_of": 0.1}, "x.yaml")
    assert field.checks.multiple_of == Decimal("0.1")


def test_the_reader_of_a_csv_file_takes_aliases_from_the_header() -> None:
    dataset = catalog(ALIASED).datasets["events"]
    table, _, bad = read_rows(split_lines(b"2024-05-01,7,3\n", 0), dataset.fields, CsvReader(("at", "Order No.", "n")))
    assert (bad, table.column("order_id").to_pylist(), table.column("n").type) == ([], ["7"], pa.int64())
