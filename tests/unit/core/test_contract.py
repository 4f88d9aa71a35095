"""Contracts: what becomes of columns that no field names; what is seen depends on no reader, chunk or neighbour."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.transform.lines import csv_records, split_lines
from core.transform.readers import CsvReader, JsonReader
from core.transform.rows import PartitionedRows, partition_rows
from core.transform.unnamed import require_unfrozen
from sluice_pipeline.catalog.contract import UNNAMED
from sluice_pipeline.catalog.datasets import Catalog, Dataset, parse_dataset
from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.catalog.sights import MAX_SIGHTS, Sight, joined_type, widened_type
from sluice_pipeline.objects.failures import ObjectFailed, Reason
from tests.unit.core.test_row_properties import property_test, small_sets

DAY = '"day":"2024-05-01"'
COLUMNS = ("evolve", "freeze", "quarantine", "discard")


def dataset(columns: str = "discard", types: str = "freeze") -> Dataset:
    fields = {"day": {"type": "date", "required": True}, "n": {"type": "int64"}}
    contract = {"columns": columns, "types": types}
    return parse_dataset({"dataset": "d", "partition_by": "day", "fields": fields, "contract": contract}, "d.yaml")


def read(rows: list[str], of: Dataset) -> PartitionedRows:
    return partition_rows(split_lines("\n".join(rows).encode(), 0), of, JsonReader())


def row(*members: str) -> str:
    return "{" + ",".join((DAY, *members)) + "}"


def silver(found: PartitionedRows) -> list[dict[str, Any]]:
    return found.tables["d"].drop_columns(["day", "_source_offset"]).to_pylist() if "d" in found.tables else []


ROWS = [row('"n":1'), row('"n":2', '"x":1'), row('"x":null'), row('"n":"no"', '"y":"a"'), "no json"]
SEEN = {Sight("x", "int64"), Sight("y", "string")}


def test_discard_is_the_default_and_drops_knowingly() -> None:
    plain = parse_dataset(
        {"dataset": "d", "partition_by": "day", "fields": {"day": {"type": "date", "required": True}}}, "d"
    )
    assert str(plain.contract.columns) == "discard"
    found = read(ROWS, dataset())
    assert silver(found) == [{"n": 1}, {"n": 2}, {"n": None}]
    assert [bad.reasons for bad in found.bad] == [(("n", Reason.WRONG_TYPE),), (("", Reason.MALFORMED_JSON),)]
    assert set(found.sights["d"].first) == SEEN


def test_evolve_stores_what_no_field_names_in_a_column_of_its_own() -> None:
    found = read(ROWS, dataset("evolve"))
    assert silver(found) == [{"n": 1, UNNAMED: None}, {"n": 2, UNNAMED: '{"x":1}'}, {"n": None, UNNAMED: None}]
    assert set(found.sights["d"].first) == SEEN


def test_quarantine_rejects_rows_with_a_value_in_such_a_column_and_names_it() -> None:
    found = read(ROWS, dataset("quarantine"))
    assert silver(found) == [{"n": 1}, {"n": None}]
    assert [bad.reasons for bad in sorted(found.bad, key=lambda bad: bad.offset)] == [
        (("x", Reason.UNNAMED_COLUMN),),
        (("n", Reason.WRONG_TYPE), ("y", Reason.UNNAMED_COLUMN)),
        (("", Reason.MALFORMED_JSON),),
    ]


def test_freeze_fails_the_object_by_name() -> None:
    frozen = dataset("freeze")
    with pytest.raises(ObjectFailed, match="schema_frozen: the column 'x' is no field of d"):
        require_unfrozen(read(ROWS, frozen).sights, Catalog({"d": frozen}))
    require_unfrozen(read([row('"n":1'), row('"x":null')], frozen).sights, Catalog({"d": frozen}))


@pytest.mark.parametrize("columns", COLUMNS)
def test_csv_is_judged_alike(columns: str) -> None:
    body = b"day,n,x,\n2024-05-01,1,,\n2024-05-01,2,12,\n2024-05-01,3,a,\n"
    lines = csv_records(body, 0)
    found = partition_rows(lines.slice(1, 3), dataset(columns), CsvReader(("day", "n", "x", "")))
    kept = {"evolve": [None, '{"x":"12"}', '{"x":"a"}']}.get(columns)
    good = [1] if columns == "quarantine" else [1, 2, 3]
    assert [one["n"] for one in silver(found)] == good
    assert kept is None or [one[UNNAMED] for one in silver(found)] == kept
    assert found.sights["d"].first == {Sight("x", "int64"): 24, Sight("x", "string"): 41}


def test_values_are_kept_as_json_that_every_reader_accepts() -> None:
    members = ['"a":1e400', '"b":{"k":[1.50,null]}', '"c":"\\u0000"', '"d":12345678901234567890', '"e é":true']
    [kept] = silver(read([row(*members)], dataset("evolve")))
    expected = {"a": "1e400", "b": {"k": [1.5, None]}, "c": "\ufffd", "d": 12345678901234567890, "e é": True}
    assert json.loads(kept[UNNAMED]) == expected


def test_widen_records_values_that_a_wider_type_takes_and_rejects_their_rows_meanwhile() -> None:
    rows = [row('"n":1.5'), row('"n":"a"'), row('"n":[1]'), row('"n":1')]
    for types, seen in (
        ("freeze", set()),
        ("widen", {Sight("n", kind, "int64") for kind in ("float64", "string", "json")}),
    ):
        found = read(rows, dataset(types=types))
        assert [bad.reasons for bad in found.bad] == [(("n", Reason.WRONG_TYPE),)] * 3
        assert set(found.sights["d"].first if found.sights else ()) == seen


def test_a_hostile_file_gives_a_bounded_number_of_sights() -> None:
    found = read([row(f'"c{index}":1') for index in range(3 * MAX_SIGHTS)], dataset())
    assert len(found.sights["d"].first) == MAX_SIGHTS
    assert found.sights["d"].left_out == 2 * MAX_SIGHTS
    assert found.rows_in == 3 * MAX_SIGHTS


@pytest.mark.parametrize(
    ("types", "joined"),
    [
        (["int64"], "int64"),
        (["int64", "float64"], "float64"),
        (["bool", "int64"], "string"),
        (["json", "string"], "json"),
    ],
)
def test_the_types_that_were_seen_have_one_type_in_common(types: list[str], joined: str) -> None:
    assert joined_type(types) == joined


def test_only_numbers_and_booleans_widen() -> None:
    assert widened_type("int64", ["float64"]) == "float64"
    assert widened_type("timestamp", ["string"]) == "timestamp"


@pytest.mark.parametrize(
    ("raw", "where"),
    [([], "contract"), ({"columns": "drop"}, "contract.columns"), ({"types": None}, "contract.types"),
     ({"rows": 1}, "contract.rows"), ({"columns": ["evolve"]}, "contract.columns")],
)  # fmt: skip
def test_an_unknown_word_is_named(raw: Any, where: str) -> None:
    with pytest.raises(CatalogError) as error:
        parse_dataset({"dataset": "d", "partition_by": "day", "fields": {"day": {"type": "date", "required": True}},
                       "contract": raw}, "d.yaml")  # fmt: skip
    assert error.value.field == where


extras = st.sampled_from(
    ["", "", '"x":1', '"x":1.5', '"x":"s"', '"x":"\\u0041"', '"y":{"n":1}', '"x":null', '"x":true', '"n":1.5', '"":1',
     '"day":"2024-05-02"', '"z":"q\\":null"', '"x" : 7', '"x":NaN', '"x":1,"x":2']
)  # fmt: skip


@property_test
@given(st.lists(extras, min_size=1, max_size=30), st.sampled_from(COLUMNS), st.booleans(), st.integers(1, 30))
def test_a_rows_fate_and_what_it_shows_are_its_own(given: list[str], columns: str, small: bool, cut: int) -> None:
    """All rows together, in two chunks, and each alone: the same silver, the same rejected rows, the same sights."""
    rows = [row(f'"n":{index}', *([extra] if extra else [])) for index, extra in enumerate(given)]
    of = dataset(columns, "widen")

    def outcome(parts: list[list[str]]) -> Any:
        found = [read(part, of) for part in parts if part]
        good = [one for part in found for one in silver(part)]
        bad = sorted((bad.raw, bad.errors) for part in found for bad in part.bad)
        seen = {sight for part in found for sights in part.sights.values() for sight in sights.first}
        return good, bad, seen

    alone = outcome([[one] for one in rows])
    assert outcome([rows[:cut], rows[cut:]]) == alone
    if small:
        with small_sets():
            assert outcome([rows]) == alone
    assert outcome([rows]) == alone


# -- together with aliases, checks of fields and rows, and unique ------------------------------------------------------


def strict(columns: str, specs: dict[str, Any] | None = None, checks: list[str] | None = None) -> Dataset:
    fields = {
        "day": {"type": "date", "required": True, "aliases": ["Day"]},
        "n": {"type": "int64", "aliases": ["N", "number"]},
        "code": {"type": "string", "aliases": ["Code"]},
        "more": {"type": "json", "aliases": ["More"]},
    }
    for name, spec in (specs or {}).items():
        fields[name] = fields[name] | spec
    raw = {"dataset": "d", "partition_by": "day", "fields": fields, "contract": {"columns": columns, "types": "widen"}}
    return parse_dataset(raw | {"checks": checks or []}, "d.yaml")


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("copies", [1, 100])
def test_another_name_of_a_field_is_no_unnamed_column(columns: str, nested: bool, copies: int) -> None:
    """By shape, by Arrow's reader (few rows, or a field of json), and exactly (with x, when it is judged by row)."""
    of = strict(columns)
    if not nested:
        of = dataclasses.replace(of, fields=of.fields[:-1])
    found = read(['{"Day":"2024-05-01","number":1,"Code":"a"}'] * copies, of)
    assert ([one["n"] for one in silver(found)], found.sights, found.bad) == ([1] * copies, {}, [])
    found = read(['{"Day":"2024-05-01","number":1,"Code":"a","x":2}'] * copies, of)
    assert set(found.sights["d"].first) == {Sight("x", "int64")}
    if columns == "evolve":
        assert {one[UNNAMED] for one in silver(found)} == {'{"x":2}'}


@pytest.mark.parametrize("columns", COLUMNS)
def test_another_name_of_a_field_is_no_unnamed_column_of_csv(columns: str) -> None:
    lines = csv_records(b"Day,number,Code,x\n2024-05-01,1,a,\n2024-05-01,2,b,7\n2024-05-01,c,b,\n", 0)
    found = partition_rows(lines.slice(1, 3), strict(columns), CsvReader(("Day", "number", "Code", "x")))
    assert set(found.sights["d"].first) == {Sight("x", "int64"), Sight("n", "string", "int64")}
    assert [one["n"] for one in silver(found)] == ([1] if columns == "quarantine" else [1, 2])


def test_a_value_of_another_type_under_another_name_is_noted_as_its_fields() -> None:
    found = read(['{"Day":"2024-05-01","number":1.5}'], strict("discard"))
    assert set(found.sights["d"].first) == {Sight("n", "float64", "int64")}


def test_conditions_are_not_judged_on_rows_that_the_contract_rejects() -> None:
    rows = ['{"day":"2024-05-01","n":-1,"code":"toolong","x":1}', '{"day":"2024-05-01","n":-1}']
    found = read(rows, strict("quarantine", {"code": {"length": 3}}, ["n > 0"]))
    assert [bad.reasons for bad in found.bad] == [
        (("x", Reason.UNNAMED_COLUMN), ("code", Reason.WRONG_LENGTH)),
        (("n", Reason.CHECK_FAILED),),
    ]


def test_a_row_that_a_check_rejects_shows_its_columns() -> None:
    found = read(['{"day":"2024-05-01","n":-1,"x":1}'], strict("discard", checks=["n > 0"]))
    assert (found.rows_in, len(found.bad), set(found.sights["d"].first)) == (1, 1, {Sight("x", "int64")})


@pytest.mark.parametrize(("columns", "kept"), [("evolve", [1, 2]), ("quarantine", [1, 2]), ("discard", [1, 2])])
def test_rows_repeat_only_what_the_contract_has_accepted(columns: str, kept: list[int]) -> None:
    """With quarantine the first n: 1 is rejected, so the second is no repeat; rows retain _unnamed."""
    rows = [f'{{"day":"2024-05-01","n":{n},"code":"{code}"{x}}}' for n, code, x in (
        (1, "a", ',"x":1'), (1, "b", ""), (2, "c", ""), (2, "d", ',"x":2'))]  # fmt: skip
    found = read(rows, strict(columns, {"n": {"unique": True}}))
    assert [one["n"] for one in silver(found)] == kept
    assert [one["code"] for one in silver(found)] == (["b", "c"] if columns == "quarantine" else ["a", "c"])
    repeats = [bad.raw for bad in found.bad if bad.reasons[0][1] == Reason.NOT_UNIQUE]
    assert len(repeats) == (0 if columns == "quarantine" else 2)
    if columns == "evolve":
        assert [one[UNNAMED] for one in silver(found)] == ['{"x":1}', None]


def test_a_later_chunk_records_no_sight_of_the_earlier_ones_rows() -> None:
    """A chunk of an object with unique rows is read from the object's begin."""
    rows = [row('"n":1', '"x":1'), row('"n":2', '"x":2', '"y":1')]
    found = read(rows, strict("discard", {"n": {"unique": True}}))
    found.begin_at(len(rows[0]) + 1)
    assert set(found.sights["d"].first) == {Sight("y", "int64")}
    assert found.rows_in == 1


field_checks = st.fixed_dictionaries(
    {},
    optional={
        "n": st.sampled_from([{"min": 3}, {"multiple_of": 2}, {"max": 9, "multiple_of": 3}]),
        "code": st.sampled_from([{"pattern": "a+b?"}, {"length": 2}, {"required": True}, {"allowed": ["ab", "aa"]}]),
    },
)
row_checks = st.lists(st.sampled_from(["n > 2", "code <> 'ab' or n is null", "code is not null"]), max_size=2)
members = st.fixed_dictionaries(
    {"day": st.sampled_from(["day", "Day"])},
    optional={
        "n": st.tuples(st.sampled_from(["n", "N", "number"]), st.sampled_from(["1", "4", "6", "1.5", "null", '"a"'])),
        "again": st.tuples(st.sampled_from(["n", "N"]), st.sampled_from(["6", "null"])),
        "code": st.tuples(st.sampled_from(["code", "Code"]), st.sampled_from(['"a"', '"ab"', '"\\u0061a"', "1"])),
        "more": st.tuples(st.sampled_from(["more", "More"]), st.sampled_from(['{"k":1}', "[1]", "null"])),
        "extra": st.tuples(st.sampled_from(["x", "y", "DAY"]), st.sampled_from(["1", "1.5", '"s"', "null", "[]"])),
    },
)


def rendered(made: dict[str, Any]) -> str:
    parts = [f'"{one[0]}":{one[1]}' for key, one in made.items() if key != "day"]
    return "{" + ",".join([f'"{made["day"]}":"2024-05-01"', *parts]) + "}"


@property_test
@given(
    st.lists(members, min_size=1, max_size=12), st.integers(1, 12), st.booleans(),
    st.sampled_from(COLUMNS), field_checks, row_checks, st.booleans(),
)  # fmt: skip
def test_contract_aliases_and_checks_together_leave_each_row_its_own_fate(
    made: list[dict[str, Any]],
    repeated: int,
    nested: bool,
    columns: str,
    specs: dict[str, Any],
    checks: list[str],
    small: bool,
) -> None:
    """All rows together (so many that some are read by their shape), and each alone: silver, errors and sights."""
    of = strict(columns, specs, checks)
    if not nested:
        of = dataclasses.replace(of, fields=of.fields[:-1])
    rows = [rendered(one) for one in made] * (repeated * 8)

    def outcome(parts: list[list[str]]) -> Any:
        found = [read(part, of) for part in parts]
        good = [one for part in found for one in silver(part)]
        bad = sorted((bad.raw, bad.errors) for part in found for bad in part.bad)
        seen = {sight for part in found for sights in part.sights.values() for sight in sights.first}
        return good, bad, seen

    distinct = {one: outcome([[one]]) for one in set(rows)}
    alone = (
        [one for text in rows for one in distinct[text][0]],
        sorted(bad for text in rows for bad in distinct[text][1]),
        set().union(*(seen for _, _, seen in distinct.values())),
    )
    names = {"x", "y", "DAY"} | ({"more", "More"} if not nested else set())
    assert {sight.column for sight in alone[2] if not sight.declared} <= names
    assert outcome([rows]) == alone
    if small:
        with small_sets():
            assert outcome([rows]) == alone
