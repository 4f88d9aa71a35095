"""The entity section of a dataset, values of the type json, and rows of a file's summary."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.transform import json_values
from core.transform.lines import csv_records, document_records, split_lines
from core.transform.readers import CsvReader, JsonReader
from core.transform.rows import PartitionedRows, partition_mixed, partition_rows
from sluice.pipeline.source import count_rows
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import Catalog, parse_catalog
from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.objects.failures import ObjectFailed, Reason
from sluice_pipeline.objects.formats import Format, detect
from sluice_pipeline.objects.keys import is_totals_key, quarantine_key, totals_key
from warehouse.entities.model import required_by_type
from warehouse.entities.schema import ENTITY

ROOT = Path(__file__).parents[3]
CATALOG = parse_catalog(compile_catalog(ROOT / "datasets"))
FIELDS = {
    "at": {"type": "timestamp", "required": True},
    "id": {"type": "string", "required": True},
    "shared": {"type": "string"},
    "kind": {"type": "string", "required": True, "allowed": ["person", "house"]},
    "name": {"type": "string"},
    "worth": {"type": "decimal(18,2)"},
    "begin": {"type": "date"},
    "more": {"type": "json"},
}
SECTION: dict[str, Any] = {"source_system": "town", "type": "person", "source_id": "id", "attributes": ["name", "more"]}
SUMS = {"dataset": "sums", "partition_by": "at", "record_types": ["sum"],
        "fields": {"record_type": {"type": "string"}, "at": FIELDS["at"], "n": {"type": "int64"}}}  # fmt: skip


def compiled(folder: Path, *sections: object) -> Catalog:
    """A catalog of the dataset of sums and one dataset for each section: one, two, ..."""
    (folder / "sums.yaml").write_text(yaml.safe_dump(SUMS))
    for name, section in zip(("one", "two"), sections, strict=False):
        raw = {"dataset": name, "partition_by": "at", "fields": FIELDS, "entity": section}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(raw))
    return parse_catalog(compile_catalog(folder))


def test_a_section_says_how_rows_become_entities(tmp_path: Path) -> None:
    section = SECTION | {
        "type": {"field": "kind"},
        "canonical_id": {"person": "shared"},
        "required": {"person": ["name"]},
        "tiers": {"field": "worth", "levels": {"low": 1, "high": 10}, "else": "none"},
        "relationships": {"lives_in": {"parent": "shared", "type": "house", "from": "begin", "exclusive": True}},
        "time_series": {"worth": "worth"},
        "totals": {"dataset": "sums", "sums": {"worth": "n"}, "required": True},
    }
    catalog = compiled(tmp_path, section)
    found = ENTITY.of(catalog.datasets["one"])
    assert found
    assert (found.types, found.type_field, found.updated_at) == (("person", "house"), "kind", "at")
    assert found.canonical_ids == (("person", "shared"),)
    assert found.tiers
    assert found.tiers.levels == (("high", 10.0), ("low", 1.0))
    assert found.links[0].exclusive
    assert found.time_series == (("worth", "worth"),)
    assert required_by_type([found]) == {"person": ["name"], "house": []}
    assert catalog.summaries_of("one") is catalog.datasets["sums"]
    assert catalog.summaries_of("sums") is None
    assert catalog.summaries_of("unheard_of") is None


@pytest.mark.parametrize(
    ("changes", "setting", "reason"),
    [
        ({"colour": 1}, "colour", "unknown"),
        ({"source_system": "A B"}, "source_system", "not a name"),
        ({"type": None}, "type", "not a name"),
        ({"type": {"field": "name"}}, "type.field", "is not required"),
        ({"type": {"field": "id"}}, "type.field", "needs `allowed`"),
        ({"source_id": "worth"}, "source_id", "names no string or int64 field"),
        ({"source_id": "shared"}, "source_id", "not required"),
        ({"canonical_id": "worth"}, "canonical_id", "names no"),
        ({"canonical_id": {"dog": "shared"}}, "canonical_id.dog", "no entity type"),
        ({"updated_at": "begin"}, "updated_at", "not required"),
        ({"status": "worth"}, "status", "names no string field"),
        ({"attributes": []}, "attributes", "missing or empty"),
        ({"attributes": ["no_field"]}, "attributes", "names no field"),
        ({"attributes": "name"}, "attributes", "not a list"),
        ({"required": ["worth"]}, "required", "not among the attributes"),
        ({"tiers": []}, "tiers", "not a mapping"),
        ({"tiers": {"field": "name", "levels": {}, "else": "x"}}, "tiers.field", "no number field"),
        ({"tiers": {"field": "worth", "levels": {"a": "b"}, "else": "x"}}, "tiers.levels.a", "not a number"),
        ({"tiers": {"field": "worth", "levels": {"a": 1}}}, "tiers.else", "not a name"),
        ({"relationships": {"r": {}}}, "relationships.r", "either the parent or the child"),
        ({"relationships": {"r": {"parent": "id", "child": "id", "type": "x"}}}, "relationships.r", "either"),
        ({"relationships": {"r": {"parent": "worth", "type": "x"}}}, "relationships.r.parent", "names no"),
        ({"relationships": {"r": {"parent": "id"}}}, "relationships.r.type", "not a name"),
        ({"relationships": {"r": {"parent": "id", "type": "x", "by": "name"}}}, "relationships.r.by", "neither"),
        ({"relationships": {"r": {"parent": "id", "type": "x", "from": "id"}}}, "relationships.r.from", "names no"),
        (
            {"relationships": {"r": {"child": "id", "type": "x", "exclusive": True}}},
            "relationships.r.exclusive",
            "name a parent",
        ),
        ({"time_series": {"m": "name"}}, "time_series.m", "no number field"),
        ({"totals": {"dataset": "nowhere", "records": "n"}}, "totals.dataset", "no other dataset"),
        ({"totals": {"dataset": "one", "records": "n"}}, "totals.dataset", "no other dataset"),
        ({"totals": {"dataset": "sums"}}, "totals", "compares nothing"),
        ({"totals": {"dataset": "sums", "records": "m"}}, "totals.records", "no number 'm'"),
        ({"totals": {"dataset": "sums", "sums": {"worth": "at"}}}, "totals.sums.worth", "no number 'at'"),
        ({"totals": {"dataset": "sums", "sums": {"name": "n"}}}, "totals.sums.name", "no number field"),
        ({"totals": {"dataset": "sums", "records": "n", "required": 1}}, "totals.required", "neither true nor false"),
    ],
)
def test_a_wrong_section_is_refused_with_its_setting_and_reason(
    tmp_path: Path, changes: dict[str, Any], setting: str, reason: str
) -> None:
    with pytest.raises(CatalogError) as refused:
        compiled(tmp_path, SECTION | changes)
    assert (refused.value.file, refused.value.field) == ("one.yaml", f"entity.{setting}")
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    ("other", "setting", "reason"),
    [
        (SECTION, "type", "one has the person of town already"),
        (SECTION | {"source_system": "person"}, "type", "is a source system"),
        (
            SECTION | {"source_system": "land", "canonical_id": "shared"},
            "attributes",
            "'name' of a person is given by one",
        ),
    ],
)
def test_two_datasets_do_not_contradict_each_other(
    tmp_path: Path, other: dict[str, Any], setting: str, reason: str
) -> None:
    with pytest.raises(CatalogError) as refused:
        compiled(tmp_path, SECTION | {"canonical_id": "shared"}, other)
    assert refused.value.field == f"entity.{setting}"
    assert reason in refused.value.reason


# -- json ------------------------------------------------------------------------------------------------------------


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(
        exclude_characters="\0", exclude_categories=["Cs"])), inner, max_size=4), max_leaves=30))  # fmt: skip
def test_a_json_value_stays_what_it_is(value: Any) -> None:
    assert json.loads(json_values.text_of(json_values.parse(json.dumps(value)))) == value


def test_what_postgresql_cannot_hold_is_replaced() -> None:
    text = json_values.text_of(json_values.parse(r'{"a\u0000": ["\u0000", "\\u0000", "\ud800", "\ud83d\ude00"]}'))
    assert json.loads(text) == {"a\ufffd": ["\ufffd", "\\u0000", "\ufffd", "😀"]}
    text.encode()


@pytest.mark.parametrize("text", ["", "{", "nul", "NaN", "Infinity", "-Infinity", "[" * 100_000, b"\xff", "9" * 5000])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(json_values.NotJson):
        json_values.parse(text)


def test_depth_and_size_of_numbers_are_limited() -> None:
    deepest = json_values.parse("[" * json_values.MAX_DEPTH + "]" * json_values.MAX_DEPTH)
    assert json_values.text_of(deepest).startswith("[[")
    assert json_values.text_of([[]] * 1000).count("[") == 1001
    for refused in ([deepest], {"a": deepest}, 1e400):
        with pytest.raises(json_values.NotJson):
            json_values.text_of(refused)


def crm(*rows: bytes) -> PartitionedRows:
    lines = split_lines(b"\n".join(rows), 0)
    return partition_rows(lines, CATALOG.datasets["crm"], JsonReader(), CATALOG.summaries_of("crm"))


def row(**changes: Any) -> bytes:
    return json.dumps({"updated_at": "2026-01-01", "customer_id": "c", "name": "n"} | changes).encode()


def test_any_json_value_is_a_value_of_a_json_field_and_a_bad_one_spoils_its_row_only() -> None:
    values: list[Any] = [{"b": [1, {"c": None}]}, [], "text", 0, False, None]
    deep = row()[:-1] + b', "profile": ' + b"[" * 65 + b"]" * 65 + b"}"
    result = crm(*(row(profile=value) for value in values), deep, row())
    found = [text and json.loads(text) for text in result.tables["crm"].column("profile").to_pylist()]
    assert found == [*values, None]
    assert [bad.reasons for bad in result.bad] == [(("profile", Reason.WRONG_TYPE),)]


def test_a_json_field_of_a_csv_file_is_parsed() -> None:
    records = csv_records(b'c1,2026-01-01,n,"{""a"": [1]}"\nc2,2026-01-01,n,{bad\nc3,2026-01-01,n,\n', 0)
    header = ("customer_id", "updated_at", "name", "profile")
    result = partition_rows(records, CATALOG.datasets["crm"], CsvReader(header))
    assert result.tables["crm"].column("profile").to_pylist() == ['{"a":[1]}', None]
    assert [bad.reasons for bad in result.bad] == [(("profile", Reason.WRONG_TYPE),)]


# -- summaries ---------------------------------------------------------------------------------------------------------

SUMMARY = b'{"record_type": "summary", "created_at": "2026-01-01", "record_count": 2, "total_amount": 1.5}'


SUMMARY_ROW = b'{"record_type": "summary", "n": 1}'


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_summary_goes_to_its_own_dataset_wherever_it_stands(place: int) -> None:
    rows = [row(customer_id="a"), row(customer_id="b", name="a summary")]
    result = crm(*rows[:place], SUMMARY, *rows[place:])
    assert result.rows_in == 3
    assert result.tables["control_totals"].column("record_count").to_pylist() == [2]
    assert result.tables["crm"].column("customer_id").to_pylist() == ["a", "b"]
    assert result.bad == []


RECORDS = [{"updated_at": "2026-01-01", "customer_id": name, "name": f"{name} ä"} for name in "ab"]
TOTALS = {"created_at": "2026-01-01", "record_count": 2}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("document", "records", "summaries"),
    [
        ({"summary": TOTALS, "records": RECORDS}, 2, 1),
        ({"records": RECORDS, "summary": TOTALS | {"record_type": "summary"}}, 2, 1),
        ({"records": RECORDS}, 2, 0),
        ({"summary": TOTALS, "records": []}, 0, 1),
        ({"records": []}, 0, 0),
    ],
)
def test_records_and_their_summary_may_be_one_document(
    document: dict[str, Any], records: int, summaries: int, indent: int | None
) -> None:
    body = json.dumps(document, indent=indent, ensure_ascii=False).encode()
    assert detect("bronze/crm/x.json", body) == Format.DOCUMENT
    assert count_rows("bronze/crm/x.json", io.BytesIO(body)) == records + summaries
    result = partition_rows(document_records(body), CATALOG.datasets["crm"], JsonReader(), CATALOG.summaries_of("crm"))
    assert (result.rows_in, result.bad) == (records + summaries, [])
    counts = {name: table.num_rows for name, table in result.tables.items()}
    assert (counts.get("crm", 0), counts.get("control_totals", 0)) == (records, summaries)
    for table in result.tables.values():
        assert {body[at : at + 1] for at in table.column("_source_offset").to_pylist()} == {b"{"}


@pytest.mark.parametrize(
    "document",
    [
        {"summary": TOTALS, "records": RECORDS, "more": 1},
        {"summary": [], "records": RECORDS},
        {"summary": TOTALS, "records": {}},
        {"summary": TOTALS},
    ],
)
def test_what_is_no_such_document_is_a_row(document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    assert len(document_records(body)) == 1
    assert count_rows("x.json", io.BytesIO(body)) == 1


def test_a_broken_document_is_unreadable() -> None:
    with pytest.raises(ObjectFailed, match="broken JSON document"):
        document_records(b'{"records" [{}]}')


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b'{"records": [{}', [b"{}", b""]),  # the array has no end: that is said in a row of its own
        (b'{"records": [{}]', [b"{}"]),
        (b'{"records": [{},]}', [b"{}"]),
        (b'{"records": [{}, {"a" 1}, {}], "summary": {"n": 1}}', [b"{}", b'{"a" 1}', b"{}", SUMMARY_ROW]),
        (b'{"summary": {"n": 1}, "records": [{}, {"a" 1}, {}]}', [b"{}", b'{"a" 1}', b"{}", SUMMARY_ROW]),
    ],
)
def test_a_fault_in_a_document_costs_one_record(body: bytes, rows: list[bytes]) -> None:
    lines = document_records(body)
    assert [lines.raw(index) for index in range(len(lines))] == rows


def test_two_documents_in_a_file_are_two_rows() -> None:
    assert len(document_records(b'{"records": []}\n{"records": []}')) == 2


def test_a_bad_summary_is_refused_as_one_and_a_broken_line_as_a_record() -> None:
    result = crm(row(), b'{"record_type": "summary", "record_count": 2}', b'{"record_type": "summary", ')
    assert {(bad.dataset, bad.reasons) for bad in result.bad} == {
        ("control_totals", (("created_at", Reason.MISSING_REQUIRED),)),
        ("crm", (("", Reason.MALFORMED_JSON),)),
    }


def test_mixed_files_route_records_and_summaries() -> None:
    lines = split_lines(b"\n".join([row(record_type="crm_customer"), SUMMARY]), 0)
    result = partition_mixed(lines, CATALOG, JsonReader(), "mixed")
    assert {name: table.num_rows for name, table in result.tables.items()} == {"crm": 1, "control_totals": 1}


def test_totals_are_beside_an_objects_rejected_rows_and_have_another_name() -> None:
    assert totals_key("crm", "ab") == "quarantine/crm/ab-totals.jsonl"
    assert is_totals_key(totals_key("crm", "ab"))
    assert not is_totals_key(quarantine_key("crm", "ab", 3))
