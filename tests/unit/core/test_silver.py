"""Silver and quarantine files: one for each date, the same rows give the same bytes, each row says where it is from."""

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.transform import lines as lines_module
from core.transform import silver
from core.transform.exact import RowError
from core.transform.lines import split_lines
from core.transform.quarantine import quarantine_files
from core.transform.readers import JsonReader
from core.transform.rows import BadRow, partition_rows
from core.transform.silver import SilverFile, silver_files
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import parse_catalog
from sluice_pipeline.objects.failures import Reason
from sluice_pipeline.objects.identity import Origin

CATALOG = parse_catalog(compile_catalog(Path(__file__).parents[3] / "datasets"))
ORIGIN = Origin("b", "bronze/tracking_events/a.jsonl", "e", "v1")
TIMES = ["2024-02-29T23:59:59.999999Z", "2024-03-01T00:00:00Z", "2024-03-01T00:30:00+01:00", "2024-02-29T00:00:00Z"]


def data() -> bytes:
    base = {"record_type": "tracking_events", "shipment_id": "S", "status": "s"}
    return b"".join(json.dumps(base | {"event_time": time}).encode() + b"\n" for time in TIMES)


def files() -> list[SilverFile]:
    dataset = CATALOG.datasets["tracking_events"]
    table = partition_rows(split_lines(data(), 0), dataset, JsonReader()).tables[dataset.name]
    return list(silver_files(table, dataset, ORIGIN, 7))


def test_each_utc_date_is_a_file_with_its_rows_in_source_order() -> None:
    found = {f.output["dt"]: pq.read_table(io.BytesIO(f.body.to_pybytes())) for f in files()}
    assert sorted(found) == ["2024-02-29", "2024-03-01"]
    # half past midnight in +01:00 is still the day before in UTC
    length = len(data().splitlines(keepends=True)[0])
    offsets = found["2024-02-29"].column("_source_offset").to_pylist()
    assert offsets == sorted(offsets)
    assert offsets[0] == 0
    assert len(offsets) == 3
    assert found["2024-03-01"].column("_source_offset").to_pylist() == [length]


def test_names_are_deterministic_and_bytes_are_identical() -> None:
    first, second = files(), files()
    assert [f.output["key"] for f in first] == [
        f"silver/tracking_events/dt={dt}/{ORIGIN.object_id}-00007.parquet" for dt in ("2024-02-29", "2024-03-01")
    ]
    assert [f.body.to_pybytes() for f in first] == [f.body.to_pybytes() for f in second]
    assert [f.output["bytes"] for f in first] == [f.body.size for f in first]


def test_rows_carry_their_lineage() -> None:
    table = pq.read_table(io.BytesIO(files()[0].body.to_pybytes()))
    row = table.to_pylist()[0]
    assert row["_source_key"] == ORIGIN.key
    assert row["_source_version"] == "v1"
    assert row["_record_id"] == f"{ORIGIN.object_id}-0"
    assert table.schema.field("_source_offset").type == "int64"


def test_quarantine_lines_say_where_what_why_and_keep_the_raw_text() -> None:
    bad = [
        BadRow(
            "shipments",
            50,
            b"\xff raw",
            (RowError("weight_kg", Reason.WRONG_TYPE), RowError("carrier", Reason.WRONG_TYPE)),
        ),
        BadRow("shipments", 10, "{ü".encode(), (RowError("", Reason.MALFORMED_JSON),)),
        BadRow("mixed", 0, b"{}", (RowError("record_type", Reason.MISSING_REQUIRED),)),
    ]
    found = {
        entry["key"]: [json.loads(line) for line in body.splitlines()]
        for entry, body in quarantine_files(bad, ORIGIN, 0)
    }
    assert sorted(found) == [f"quarantine/{name}/{ORIGIN.object_id}-00000.jsonl" for name in ("mixed", "shipments")]
    first, second = found[f"quarantine/shipments/{ORIGIN.object_id}-00000.jsonl"]
    assert (first["offset"], first["raw"], first["reason"], first["field"]) == (10, "{ü", "malformed_json", "")
    assert second["raw_base64"] == "/yByYXc="
    assert [error["field"] for error in second["errors"]] == ["weight_kg", "carrier"]
    assert second["record_id"] == f"{ORIGIN.object_id}-50"


@given(data=st.text("ab\n\r\0", max_size=40).map(str.encode), block=st.integers(1, 12))
def test_lines_end_behind_each_line_feed_wherever_a_block_of_the_search_ends(data: bytes, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "_BLOCK", block)
        found = lines_module._ends(data, b"\n").to_pylist()
    given = [len(line) for line in io.BytesIO(data)]  # a line of a file ends at LF only
    assert found == [sum(given[:count]) for count in range(len(given) + 1)]


ROWS = 5000
COLUMNS: dict[str, tuple[pa.Array, str]] = {
    "unique text": (pa.array([f"id-{n}" for n in range(ROWS)]), "PLAIN"),
    "unique time": (pa.array([n * 977 for n in range(ROWS)], pa.timestamp("us", "UTC")), "DELTA_BINARY_PACKED"),
    "unique date": (pa.array(range(ROWS), pa.int32()).cast(pa.date32()), "DELTA_BINARY_PACKED"),
    "unique int64": (pa.array(range(ROWS), pa.int64()), "DELTA_BINARY_PACKED"),
    "unique float64": (pa.array([n / 7 for n in range(ROWS)], pa.float64()), "PLAIN"),
    "unique decimal": (pa.array([Decimal(n) / 100 for n in range(ROWS)], pa.decimal128(12, 2)), "PLAIN"),
    "unique json": (pa.array([f"[{n}]" for n in range(ROWS)], pa.large_string()), "PLAIN"),
    "each four times, in order": (pa.array([n // 4 for n in range(ROWS)], pa.int64()), "RLE_DICTIONARY"),
    "few": (pa.array([f"carrier {n % 11}" for n in range(ROWS)]), "RLE_DICTIONARY"),
    "null": (pa.nulls(ROWS, pa.string()), "RLE_DICTIONARY"),
    "bool": (pa.array([n % 2 == 0 for n in range(ROWS)]), "PLAIN"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_has_a_dictionary_where_values_come_again(name: str) -> None:
    values, encoding = COLUMNS[name]
    table = pa.table(
        {name: values, silver.OFFSET: pa.array(range(ROWS)), silver.RECORD_ID: pa.nulls(ROWS, pa.string())}
    )
    body = silver._parquet(table)
    file: Any = pq.ParquetFile(pa.BufferReader(body))
    column = file.metadata.row_group(0).column(0)
    assert encoding in column.encodings
    assert ("RLE_DICTIONARY" in column.encodings) == (encoding == "RLE_DICTIONARY")
    assert column.statistics.has_min_max == (name != "null")
    assert file.read().equals(table)
    assert silver._parquet(table).equals(body)


def test_rows_of_a_day_stay_in_their_order_when_days_are_mixed() -> None:
    days = [n * 7919 % 3 for n in range(ROWS)]
    times = pa.array([day * 86_400_000_000 for day in days], pa.timestamp("us", "UTC"))
    table = pa.table({"at": times, silver.OFFSET: pa.array(range(ROWS), pa.int64())})
    found = {dt: part.column(silver.OFFSET).to_pylist() for dt, part in silver._by_date(table, "at")}
    assert found == {f"1970-01-0{day + 1}": [n for n in range(ROWS) if days[n] == day] for day in range(3)}
