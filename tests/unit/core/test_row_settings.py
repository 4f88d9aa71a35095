"""How a dataset says that its files are written: envelopes, CSV dialects, units and formats of time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.transform.timestamps import MAX_INSTANT, MIN_INSTANT, OutOfRange, epoch
from sluice_pipeline.catalog.datasets import Catalog, parse_catalog
from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.objects.failures import Failure, ObjectFailed
from tests.support.reading import ReadObject, read_object

FIELDS: dict[str, Any] = {"id": {"type": "string", "required": True}, "at": {"type": "timestamp", "required": True}}


def catalog(fields: dict[str, Any] | None = None, **settings: Any) -> Catalog:
    raw = {"dataset": "events", "partition_by": "at", "fields": FIELDS | (fields or {})} | settings
    return parse_catalog({"events": raw})


def read(body: bytes, name: str = "a.jsonl", fields: dict[str, Any] | None = None, **settings: Any) -> ReadObject:
    return read_object(f"bronze/events/{name}", body, 64, catalog(fields, **settings))


def ids(found: ReadObject) -> list[str]:
    return [row["id"] for row in found.rows("events")]


ONE, TWO, THREE = (f'{{"id": "{number}", "at": "2024-05-01"}}' for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("body", "good", "bad"),
    [
        (f'{{"Records": [{ONE}, {TWO}]}}', ["1", "2"], 0),
        (f'{{"x": [1], "Records": [{ONE}], "NextToken": "t"}}{{"Records": [{TWO}, {THREE}]}}', ["1", "2", "3"], 0),
        (f'{{"Records": [{ONE}]}}\n{{"Records": [{TWO}]}}\n', ["1", "2"], 0),
        (f'{{"Records": [{ONE}, {{"id" 2}}, {THREE}]}}', ["1", "3"], 1),
        (f'{{"Records": [{ONE}, {TWO}, ', ["1", "2"], 1),
        (f"{ONE}\n{TWO}\n", ["1", "2"], 0),  # objects without such an array are rows
        (f'[{{"Records": [{ONE}]}}]', ["1"], 0),
        ('{"Records": null}', [], 1),
        ('{"Records": []}', [], 0),
    ],
)
def test_rows_are_taken_out_of_their_envelopes(body: str, good: list[str], bad: int) -> None:
    found = read(body.encode(), "a.json", records_at="Records")
    assert (ids(found), len(found.bad)) == (good, bad)


def test_offsets_of_rows_in_envelopes_count_from_the_begin_of_the_object() -> None:
    body = f'{{"Records": [{ONE}, {TWO}]}}'
    assert read(body.encode(), records_at="Records").offsets == [(body.index(ONE), True), (body.index(TWO), True)]


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ({"delimiter": ";"}, "id;at\n1;2024-05-01\n2;2024-05-01\n"),
        ({"delimiter": "\t"}, "id\tat\n1\t2024-05-01\n2\t2024-05-01\n"),
        ({"delimiter": "|"}, "id|at\n1|2024-05-01\n2|2024-05-01\n"),
        ({"delimiter": "^"}, "id^at\n1^2024-05-01\n2^2024-05-01\n"),
        ({"quote": "'"}, "id,at\n'1',2024-05-01\n2,'2024-05-01'\n"),
        ({"header": ["id", "at"]}, "1,2024-05-01\n2,2024-05-01\n"),
        ({"header": ["at", "id"]}, "2024-05-01,1\n2024-05-01,2\n"),
    ],
)
def test_a_csv_file_is_read_in_the_dialect_of_its_dataset(dialect: dict[str, Any], body: str) -> None:
    found = read(body.encode(), "a.csv", csv=dialect)
    assert (ids(found), found.bad) == (["1", "2"], [])


def test_null_of_a_csv_file_is_what_its_dataset_says() -> None:
    fields = {"n": {"type": "int64"}, "s": {"type": "string"}}
    body = b'id,at,n,s\n1,2024-05-01,NULL,\\N\n2,2024-05-01,7,"NULL"\n3,2024-05-01,,x\n'
    found = read(body, "a.csv", fields, csv={"null": ["NULL", "\\N"]})
    assert [(row["n"], row["s"]) for row in found.rows("events")] == [(None, None), (7, "NULL")]
    assert [row.reasons for row in found.bad] == [(("n", "wrong_type"),)]  # nothing at all is no null here


def test_without_quotes_a_quote_is_a_character() -> None:
    body = b'id,at\n"1,2024-05-01\n2",2024-05-01\n'
    assert ids(read(body, "a.csv", csv={"quote": ""})) == ['"1', '2"']


def test_a_header_that_names_no_field_says_what_to_set() -> None:
    with pytest.raises(ObjectFailed, match=r"names no field of events.*csv\.delimiter, here ','") as failed:
        read(b"id;at\n1;2024-05-01\n", "a.csv")
    assert failed.value.code == Failure.UNREADABLE


@pytest.mark.parametrize(
    ("unit", "number", "instant"),
    [
        ("s", "1714557600", "2024-05-01 10:00:00.000000Z"),
        ("s", "1714557600.1234567", "2024-05-01 10:00:00.123456Z"),
        ("s", "-0.0000001", "1969-12-31 23:59:59.999999Z"),
        ("s", "1.7145576e9", "2024-05-01 10:00:00.000000Z"),
        ("ms", "1714557600123", "2024-05-01 10:00:00.123000Z"),
        ("us", "1714557600123456", "2024-05-01 10:00:00.123456Z"),
        ("ns", "1714557600123456789", "2024-05-01 10:00:00.123456Z"),
        ("ms", '"2024-05-01T10:00:00Z"', "2024-05-01 10:00:00.000000Z"),
    ],
)
def test_a_number_is_an_instant_in_the_fields_unit(unit: str, number: str, instant: str) -> None:
    fields = {"at": {"type": "timestamp", "required": True, "unit": unit}}
    rows = [f'{{"id":"{number_}","at":{text}}}' for number_, text in enumerate((number, number, "0"))]
    found = read("\n".join(rows).encode(), fields=fields)
    assert [row["at"] for row in found.rows("events")] == [instant, instant, "1970-01-01 00:00:00.000000Z"]
    table = f"id,at\n1,{number}\n".encode()
    if not number.startswith('"'):
        assert [row["at"] for row in read(table, "a.csv", fields).rows("events")] == [instant]


@pytest.mark.parametrize("number", ["1e400", "9" * 5000, "253402300800", "-62135596801", "true", '"0"', "null"])
def test_a_number_that_is_no_instant_costs_its_row(number: str) -> None:
    fields = {"at": {"type": "timestamp", "required": True, "unit": "s"}}
    found = read(f'{{"id":"1","at":0}}\n{{"id":"2","at":{number}}}\n{{"id":"3","at":1}}\n'.encode(), fields=fields)
    assert (ids(found), len(found.bad)) == (["1", "3"], 1)


def test_epochs_reach_from_the_first_to_the_last_instant() -> None:
    assert epoch(str(MIN_INSTANT), "us") == MIN_INSTANT
    assert epoch(str(MAX_INSTANT), "us") == MAX_INSTANT
    for beyond in (MIN_INSTANT - 1, MAX_INSTANT + 1):
        with pytest.raises(OutOfRange):
            epoch(str(beyond), "us")


@pytest.mark.parametrize(
    ("format_", "text", "instant"),
    [
        ("%d/%m/%Y %H:%M", "01/05/2024 10:00", "2024-05-01 10:00:00.000000Z"),
        ("%d/%m/%Y %H:%M %z", "01/05/2024 10:00 +0200", "2024-05-01 08:00:00.000000Z"),
        ("%Y-%m-%dT%H:%MZ", "2024-05-01T10:00Z", "2024-05-01 10:00:00.000000Z"),
        ("%Y-%m-%dT%H:%M:%S,%f", "2024-05-01T10:00:00,5", "2024-05-01 10:00:00.500000Z"),
        (["%d.%m.%Y", "rfc3339"], "01.05.2024", "2024-05-01 00:00:00.000000Z"),
        (["%d.%m.%Y", "rfc3339"], "2024-05-01T10:00:00Z", "2024-05-01 10:00:00.000000Z"),
    ],
)
def test_a_text_is_an_instant_in_the_fields_format(format_: Any, text: str, instant: str) -> None:
    fields = {"at": {"type": "timestamp", "required": True, "format": format_}}
    rows = [json.dumps({"id": str(number), "at": one}) for number, one in enumerate((text, "2024/05/01", text))]
    for name, body in (("a.jsonl", "\n".join(rows)), ("a.csv", f'id,at\n0,"{text}"\n1,2024/05/01\n2,"{text}"\n')):
        found = read(body.encode(), name, fields)
        assert [row["at"] for row in found.rows("events")] == [instant, instant]
        assert [row.reasons for row in found.bad] == [(("at", "wrong_type"),)]


def test_a_date_has_a_format_too() -> None:
    fields = {"day": {"type": "date", "format": "%d.%m.%Y"}}
    rows = ['{"id":"1","at":"2024-05-01","day":"31.12.1999"}', '{"id":"2","at":"2024-05-01","day":"1999-12-31"}']
    found = read("\n".join(rows).encode(), fields=fields)
    assert [row["day"] for row in found.rows("events")] == ["1999-12-31"]
    assert [row.reasons for row in found.bad] == [(("day", "wrong_type"),)]


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"records_at": ""}, "records_at"),
        ({"records_at": 5}, "records_at"),
        ({"csv": ";"}, "csv"),
        ({"csv": {"separator": ";"}}, "csv.separator"),
        ({"csv": {"delimiter": ""}}, "csv.delimiter"),
        ({"csv": {"delimiter": "\n"}}, "csv.delimiter"),
        ({"csv": {"delimiter": "§"}}, "csv.delimiter"),
        ({"csv": {"delimiter": '"'}}, "csv.quote"),
        ({"csv": {"quote": "''"}}, "csv.quote"),
        ({"csv": {"null": 0}}, "csv.null"),
        ({"csv": {"header": ["a", "a"]}}, "csv.header"),
        ({"fields": FIELDS | {"n": {"type": "int64", "unit": "s"}}}, "fields.n.unit"),
        ({"fields": FIELDS | {"n": {"type": "timestamp", "unit": "minutes"}}}, "fields.n.unit"),
        ({"fields": FIELDS | {"n": {"type": "string", "format": "%d"}}}, "fields.n.format"),
        ({"fields": FIELDS | {"n": {"type": "timestamp", "format": "%H:%M"}}}, "fields.n.format"),
        ({"fields": FIELDS | {"n": {"type": "timestamp", "format": []}}}, "fields.n.format"),
        ({"fields": FIELDS | {"n": {"type": "date", "format": "rfc3339"}}}, "fields.n.format"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(settings: dict[str, Any], setting: str) -> None:
    with pytest.raises(CatalogError) as refused:
        catalog(**settings)
    assert refused.value.field == setting


def test_a_byte_order_mark_within_a_csv_file_belongs_to_its_row_wherever_chunks_begin() -> None:
    body = "id,at\n1,2024-05-01\n\ufeff2,2024-05-01\n3,2024-05-01\n".encode()
    for size in range(1, len(body)):
        found = read_object("bronze/events/a.csv", body, size, catalog())
        assert (ids(found), found.bad) == (["1", "\ufeff2", "3"], []), size
