"""Rows to typed tables: bad ones leave, their neighbours stay, and a row's fate never depends on its neighbours."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.transform import shape
from core.transform.lines import csv_records, document_records, split_lines
from core.transform.readers import CsvReader, JsonReader, csv_header
from core.transform.rows import PartitionedRows, partition_mixed, partition_rows
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import Catalog, parse_catalog
from sluice_pipeline.objects.failures import Failure, ObjectFailed, Reason

ROOT = Path(__file__).parents[3]
CATALOG: Catalog = parse_catalog(compile_catalog(ROOT / "datasets"))
SHIPMENT: dict[str, Any] = {
    "record_type": "shipments",
    "event_time": "2024-05-01T10:00:00Z",
    "shipment_id": "S1",
    "origin": "AMS",
    "destination": "JFK",
    "carrier": "DHL",
    "weight_kg": 12.5,
}
INVOICE: dict[str, Any] = {
    "record_type": "invoice_lines",
    "event_time": "2024-05-01T10:00:00Z",
    "invoice_id": "I1",
    "sku": "A",
    "quantity": 2,
    "unit_price": 1.10,
    "line_total": 2.20,
}


def row(base: dict[str, Any] = SHIPMENT, **changes: Any) -> bytes:
    return json.dumps({k: v for k, v in (base | changes).items() if v is not ...}, ensure_ascii=False).encode()


def shipments(*rows: bytes) -> PartitionedRows:
    return partition_rows(split_lines(b"\n".join(rows), 0), CATALOG.datasets["shipments"], JsonReader())


BAD: list[tuple[bytes, str, Reason]] = [
    (b'{"record_type":', "", Reason.MALFORMED_JSON),
    (b"garbage", "", Reason.MALFORMED_JSON),
    (b"[1,2]", "", Reason.MALFORMED_JSON),
    (row()[:-1] + b',"weight_kg":1}', "weight_kg", Reason.WRONG_TYPE),  # given twice
    (row(weight_kg="12"), "weight_kg", Reason.WRONG_TYPE),
    (row(weight_kg=True), "weight_kg", Reason.WRONG_TYPE),
    (row(weight_kg=[1]), "weight_kg", Reason.WRONG_TYPE),
    (row(weight_kg=float("nan")), "weight_kg", Reason.WRONG_TYPE),
    (row(shipment_id=7), "shipment_id", Reason.WRONG_TYPE),
    (row(event_time="yesterday"), "event_time", Reason.WRONG_TYPE),
    (row(event_time=1714557600), "event_time", Reason.WRONG_TYPE),
    (row(carrier="x").replace(b'"x"', b'"\xff"'), "carrier", Reason.WRONG_TYPE),
    (row(carrier="x").replace(b'"x"', rb'"\ud800"'), "", Reason.MALFORMED_JSON),
    (row(shipment_id=...), "shipment_id", Reason.MISSING_REQUIRED),
    (row(shipment_id=None), "shipment_id", Reason.MISSING_REQUIRED),
    (b"{}", "event_time", Reason.MISSING_REQUIRED),
    (row(weight_kg=200.01), "weight_kg", Reason.OUT_OF_RANGE),
    (row(weight_kg=-0.01), "weight_kg", Reason.OUT_OF_RANGE),
    (row(record_type="parcels"), "record_type", Reason.NOT_ALLOWED),
]
GOOD = [
    row(),
    row(weight_kg=0),
    row(weight_kg=200),
    row(carrier=None),
    row(carrier=...),
    row(carrier="Köln – 東京 🚚"),
    row(event_time="2024-05-01 10:00:00.123456"),
    row(event_time="2024-05-01T10:00:00+02:00"),
    row(extra={"deep": [1, {"er": None}]}),
    b"  " + row() + b" ",
]


@pytest.mark.parametrize(("bad", "field", "reason"), BAD)
def test_a_bad_row_leaves_with_its_reason_and_its_neighbours_stay(bad: bytes, field: str, reason: Reason) -> None:
    result = shipments(row(shipment_id="before"), bad, row(shipment_id="after"))
    assert [(b.raw, b.reasons[0]) for b in result.bad] == [(bad, (field, reason))]
    assert result.bad[0].offset == len(row(shipment_id="before")) + 1
    assert result.tables["shipments"].column("shipment_id").to_pylist() == ["before", "after"]
    assert result.rows_in == 3


@given(st.lists(st.sampled_from([*GOOD, *(bad for bad, _, _ in BAD)]), max_size=25))
@settings(deadline=None, max_examples=60)
def test_a_rows_fate_does_not_depend_on_its_neighbours(rows: list[bytes]) -> None:
    result = shipments(*rows)
    assert result.rows_in == len(rows)
    assert [b.raw for b in sorted(result.bad, key=lambda b: b.offset)] == [raw for raw in rows if raw not in GOOD]
    good = result.tables["shipments"].num_rows if result.tables else 0
    assert good == sum(raw in GOOD for raw in rows)


def test_types_are_real_types() -> None:
    table = shipments(row(event_time="2024-05-01T12:00:00+02:00")).tables["shipments"]
    assert table.schema.field("event_time").type == pa.timestamp("us", tz="UTC")
    assert table.column("event_time")[0].as_py().isoformat() == "2024-05-01T10:00:00+00:00"
    invoices = partition_rows(split_lines(row(INVOICE), 0), CATALOG.datasets["invoice_lines"], JsonReader())
    assert str(invoices.tables["invoice_lines"].column("unit_price")[0].as_py()) == "1.10"


def test_money_with_more_than_two_decimals_is_no_money() -> None:
    result = partition_rows(
        split_lines(row(INVOICE, unit_price=1.005), 0), CATALOG.datasets["invoice_lines"], JsonReader()
    )
    assert result.bad[0].reasons == (("unit_price", Reason.WRONG_TYPE),)


def test_all_that_is_wrong_with_a_row_is_said() -> None:
    result = shipments(row(weight_kg=900, shipment_id=None))
    assert set(result.bad[0].reasons) == {
        ("weight_kg", Reason.OUT_OF_RANGE),
        ("shipment_id", Reason.MISSING_REQUIRED),
    }


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_bom_and_blank_lines(end: bytes, bom: bytes, last: bool) -> None:
    data = bom + end.join([row(shipment_id="1"), b"", b"   ", row(shipment_id="2")]) + (end if last else b"")
    result = partition_rows(split_lines(data, 0), CATALOG.datasets["shipments"], JsonReader())
    table = result.tables["shipments"]
    assert result.rows_in == 2
    assert not result.bad
    assert [data[o:].startswith(b'{"record_type"') for o in table.column("_source_offset").to_pylist()] == [True, True]


def test_offsets_count_from_the_begin_of_the_object() -> None:
    result = partition_rows(split_lines(row() + b"\nbad\n", 1000), CATALOG.datasets["shipments"], JsonReader())
    assert result.tables["shipments"].column("_source_offset").to_pylist() == [1000]
    assert result.bad[0].offset == 1000 + len(row()) + 1


def test_ten_thousand_bad_rows_are_found_without_reading_them_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    read = JsonReader.read

    def counting(self: JsonReader, *args: Any) -> pa.Table:
        nonlocal reads
        reads += 1
        return read(self, *args)

    monkeypatch.setattr(JsonReader, "read", counting)
    result = shipments(*[row(weight_kg="heavy"), row(event_time="then"), b"{oops}", row()] * 2500)
    assert len(result.bad) == 7500
    assert result.tables["shipments"].num_rows == 2500
    assert reads < 100


def test_mixed_rows_are_routed_by_record_type() -> None:
    rows = [row(), row(INVOICE), row(record_type="pigeons"), row(record_type=...), b"{x", row(INVOICE, quantity=0)]
    result = partition_mixed(split_lines(b"\n".join(rows), 0), CATALOG, JsonReader(), "mixed")
    assert {name: table.num_rows for name, table in result.tables.items()} == {"shipments": 1, "invoice_lines": 1}
    assert {(b.dataset, b.raw, b.reasons[0][1]) for b in result.bad} == {
        ("mixed", rows[2], Reason.UNKNOWN_RECORD_TYPE),
        ("mixed", rows[3], Reason.MISSING_REQUIRED),
        ("mixed", rows[4], Reason.MALFORMED_JSON),
        ("invoice_lines", rows[5], Reason.OUT_OF_RANGE),
    }
    assert result.rows_in == 6


@pytest.mark.parametrize(
    "document",
    [
        "[\n" + ",\n".join(json.dumps(SHIPMENT | {"carrier": "Ü\n"}, indent=2, ensure_ascii=False) for _ in "ab") + "]",
        json.dumps(SHIPMENT, indent=4) + "\n" + json.dumps(SHIPMENT, indent=4),
        "\ufeff" + json.dumps([SHIPMENT, SHIPMENT]) + "\n",
    ],
)
def test_documents_give_one_row_for_each_object(document: str) -> None:
    data = document.encode()
    result = partition_rows(document_records(data), CATALOG.datasets["shipments"], JsonReader())
    assert result.tables["shipments"].num_rows == 2
    assert all(data[o : o + 1] == b"{" for o in result.tables["shipments"].column("_source_offset").to_pylist())


@pytest.mark.parametrize("document", ['{"a":', "[}", "[" * 9999, "[1, 2", "[\n{broken\n]"])
def test_a_document_without_a_readable_row_fails_as_a_whole(document: str) -> None:
    with pytest.raises(ObjectFailed) as failed:
        document_records(document.encode())
    assert failed.value.code == Failure.UNREADABLE


@pytest.mark.parametrize(
    ("document", "rows"),
    [
        ('[{"a":1},', ['{"a":1}', ""]),  # it has no end: that is said in a row of its own
        ('[{"a":1}', ['{"a":1}', ""]),
        ('[{"a":1} {"a":2}]', ['{"a":1}', '{"a":2}']),
        ('[{"a":1}] x', ['{"a":1}', "x"]),
        ('[{"a":1},{"a":2,{"a":3}]', ['{"a":1}', '{"a":2', '{"a":3}']),
        ('[{"a":"1},{"a":2},{"a":3}]', ['{"a":"1}', '{"a":2}', '{"a":3}']),
        ('[{"a":1},\n{broken},\n{"a":3}]', ['{"a":1}', "{broken}", '{"a":3}']),
        ('{\n"a": 1\n}\n{\n"a" 2\n}\n{\n"a": 3\n}', ['{ "a": 1 }', '{\n"a" 2\n}', '{ "a": 3 }']),
    ],
)
def test_a_fault_in_a_document_costs_one_row(document: str, rows: list[str]) -> None:
    lines = document_records(document.encode())
    assert [lines.raw(index).decode() for index in range(len(lines))] == rows


def test_an_empty_array_has_no_rows() -> None:
    assert len(document_records(b" [ ] ")) == 0


def csv(text: str) -> PartitionedRows:
    records = csv_records(text.encode(), 0)
    reader = CsvReader(csv_header(records.raw(0)))
    return partition_rows(records.slice(1, len(records) - 1), CATALOG.datasets["shipments"], reader)


HEADER = "weight_kg,record_type,event_time,shipment_id,origin,destination,note,carrier\n"


def test_csv_columns_go_by_name_and_empty_means_missing() -> None:
    result = csv(HEADER + "1.5,shipments,2024-05-01T10:00:00Z,S1,AMS,JFK,,\n2,shipments,2024-05-01,S2,A,B,x,UPS\n")
    table = result.tables["shipments"]
    assert table.column("weight_kg").to_pylist() == [1.5, 2.0]
    assert table.column("carrier").to_pylist() == [None, "UPS"]
    assert not result.bad


def test_csv_newlines_inside_quotes_belong_to_their_row() -> None:
    text = HEADER + '1,shipments,2024-05-01T10:00:00Z,S1,"A\n\nM""S",JFK,,\n2,shipments,2024-05-01T10:00:00Z,S2,A,B,,\n'
    result = csv(text)
    table = result.tables["shipments"]
    assert table.column("origin").to_pylist() == ['A\n\nM"S', "A"]
    assert table.column("_source_offset").to_pylist() == [len(HEADER), text.index("2,shipments")]


def test_csv_bad_rows_leave_alone() -> None:
    good = "1,shipments,2024-05-01T10:00:00Z,S1,AMS,JFK,,\n"
    result = csv(HEADER + good + "x,shipments,2024-05-01T10:00:00Z,S2,A,B,,\n1,2\n201,shipments,soon,S3,A,B,,\n" + good)
    assert [b.reasons[0] for b in sorted(result.bad, key=lambda b: b.offset)] == [
        ("weight_kg", Reason.WRONG_TYPE),
        ("", Reason.MALFORMED_CSV),
        ("event_time", Reason.WRONG_TYPE),
    ]
    assert result.tables["shipments"].num_rows == 2


@pytest.mark.parametrize("few", [0, 5, 10_000])
def test_rows_of_several_shapes_are_read_alike_however_many_are_unlike(
    few: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shape, "_FEW", few)
    rows = [row(shipment_id=f"S{n}", **({"note": "x"} if n % 3 == 1 else {})) for n in range(301)]
    assert len({rows[at].count(b'"') for at in (0, 150, 300)}) == 1  # those that are looked at do not show it
    result = shipments(*rows)
    assert not result.bad
    assert result.tables["shipments"].column("shipment_id").to_pylist() == [f"S{n}" for n in range(301)]
    assert not caplog.records  # of a columnar reader that failed
