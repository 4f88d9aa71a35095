"""Properties of reading: all readers agree, nothing is lost beside a fault, and cutting an object changes no row."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from core.transform import columns, exact
from core.transform.columns import arrow_type
from core.transform.lines import Lines, split_lines
from core.transform.readers import CsvReader, JsonReader, Reader
from core.transform.rows import OFFSET, read_rows
from sluice.pipeline.source import count_rows
from sluice_pipeline.catalog.fields import Field
from sluice_pipeline.objects.failures import ObjectFailed
from tests.support.reading import read_object, small_sets

COMMITTED = 60  # the same ones on every run
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", COMMITTED))
pytestmark = pytest.mark.timeout(120 if EXAMPLES == COMMITTED else 3600)
property_test = settings(
    deadline=None,
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == COMMITTED,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

FIELDS = (
    Field("s", "string", required=True),
    Field("i", "int64", minimum=-5, maximum=2**62),
    Field("f", "float64", maximum=1e300),
    Field("b", "bool"),
    Field("m", "decimal(9,2)", minimum=0),
    Field("t", "timestamp"),
    Field("d", "date"),
    Field("u", "timestamp", unit="ms"),
    Field("o", "timestamp", format=("%d.%m.%Y %H:%M", "rfc3339")),
    Field("c", "string", allowed=("x", "y")),
)
WITH_JSON = (*FIELDS, Field("j", "json"))

# -- values as their text in JSON --------------------------------------------------------------------------------------

NUMBERS = [
    "0", "-0", "1", "12", "-7", "1.5", "1.50", "1.005", "1e2", "1E-3", "1.0", "01", "1.", ".5", "+1", "1e400", "-1e400",
    "1e-400", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "9" * 5000, "0." + "9" * 5000,
    "NaN", "Infinity", "-Infinity", "0x1F", "1_000", "1234567.89", "12345678.9", "9999999.99", "1714557600123",
    "-62135596800001", "253402300800000",
]  # fmt: skip
TIMES = [
    "2024-05-01T10:00:00Z", "2024-05-01 10:00:00", "2024-05-01T10:00:00.1234567Z", "2024-05-01t10:00:00z", "2024-05-01",
    "2024-05-01T10:00:00+00", "2024-05-01T10:00:00-0830", "2024-05-01T10:00:00+05:30", "2024-05-01T24:00:00Z",
    "2024-05-01T10:00Z",
    "2024-05-01T10Z", "2024-05-01T10:00:00,1Z", "20240501T100000Z", "2024-05-01T10:00:00Z ", "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59.9999999Z", "2016-12-31T23:59:60Z",
    "2024-02-30",
    "0000-01-01", "9999-12-31", "0001-01-01", "10000-01-01", "2024-5-1", "01.05.2024 10:00", "2024-05-01T10:00+05:30",
    "12", "+1",
]  # fmt: skip
STRINGS = [
    json.dumps(text, ensure_ascii=False)
    for text in ["", "x", "y", "é東🚚", "\ufffd", "\u2028", "a b", "a,b", "}{", '"', "null"]
]
ODD_STRINGS = [
    r'"\u00e9"', r'"\ud83d\ude00"', r'"\ud800"', r'"\udc00x"', r'"\u0000"', r'"a\/b"', r'"\x"', '"a\tb"', '"a\x01b"',
    '"\x7f"', "'x'", '"open',
]  # fmt: skip
OTHERS = [
    "null", "true", "false", "True", "[]", "{}", '{"k":[1,{"l":null}]}', "[1,]", "[1e400]", "[NaN]", "",
    "[" * 64 + "]" * 64, "[" * 65 + "]" * 65, "[" * 3000 + "]" * 3000,
]  # fmt: skip
values = st.sampled_from([*NUMBERS, *(f'"{time}"' for time in TIMES), *STRINGS, *ODD_STRINGS, *OTHERS])
good_values = {
    "s": st.sampled_from(STRINGS), "i": st.integers(-5, 10**6).map(str), "f": st.floats(-1e9, 1e9).map(repr),
    "b": st.sampled_from(["true", "false"]), "m": st.sampled_from(["0", "1.5", "99.99", '"3.10"']),
    "t": st.sampled_from([f'"{TIMES[0]}"', f'"{TIMES[1]}"']), "d": st.sampled_from(['"2024-05-01"', '"1969-12-31"']),
    "u": st.integers(0, 2 * 10**12).map(str), "o": st.sampled_from(['"01.05.2024 10:00"', f'"{TIMES[0]}"']),
    "c": st.sampled_from(['"x"', '"y"', "null"]), "j": st.sampled_from(['{"a":[1.5]}', "[]", "3", '"t"']),
}  # fmt: skip


@st.composite
def json_rows(draw: st.DrawFn, names: tuple[str, ...]) -> bytes:
    """A row as a machine writes it, with at most two things that are unusual."""
    members = [(name, draw(good_values[name])) for name in names]
    colon, comma = draw(st.sampled_from([(":", ","), (": ", ", ")]))
    oddities = draw(
        st.lists(
            st.sampled_from(["value", "value", "drop", "twice", "extra", "swap", "space", "comma", "bytes"]), max_size=2
        )
    )
    for oddity in oddities:
        at = draw(st.integers(0, len(members) - 1))
        if oddity == "value":
            members[at] = members[at][0], draw(values)
        elif oddity == "drop" and len(members) > 1:
            members.pop(at)
        elif oddity == "twice":
            members.insert(at, members[-1])
        elif oddity == "extra":
            members.insert(at, ("extra", draw(values)))
        elif oddity == "swap":
            members[at], members[0] = members[0], members[at]
    text = "{" + comma.join(f'"{name}"{colon}{value}' for name, value in members) + "}"
    if "space" in oddities:
        text = draw(
            st.sampled_from(
                [" " + text, text + " ", text + "\r", text.replace(":", " :", 1), text.replace(",", "\r,", 1)]
            )
        )
    if "comma" in oddities:
        text = draw(st.sampled_from([text[:-1] + ",}", text.replace(",", ",,", 1), text.replace(",", "", 1)]))
    raw = text.encode()
    if "bytes" in oddities:
        at = draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + draw(st.sampled_from([b"\xff", b"\0", b"\xed\xa0\x80", b"\xc3"])) + raw[at:]
    return raw.replace(b"\n", b" ")


def expected(raws: list[bytes], reader: Reader, fields: tuple[Field, ...]) -> tuple[list[Any], list[Any]]:
    """What the exact reader alone says of each row: its values or its errors."""
    good, bad = [], []
    for raw in raws:
        outcome = reader.read_exactly(raw.rstrip(b"\r\n"), fields, routing=False)
        if outcome.errors:
            bad.append((raw.rstrip(b"\r\n"), outcome.errors))
        else:
            good.append(outcome.values)
    return good, bad


def check(raws: list[bytes], lines: Any, reader: Reader, fields: tuple[Field, ...]) -> None:
    with small_sets():
        table, kept, bad = read_rows(lines, fields, reader)
    good, refused = expected(raws, reader, fields)
    event(f"good {len(good) * 4 // max(1, len(raws))}/4")
    arrays = {field.name: columns.array_of([row[field.name] for row in good], field) for field in fields}
    for field in fields:
        column = table.column(field.name).combine_chunks() if table.num_rows else arrays[field.name].slice(0, 0)
        assert column.type == arrow_type(field)
        assert column.equals(arrays[field.name]) or repr(column.to_pylist()) == repr(arrays[field.name].to_pylist()), (
            field
        )
    assert [(raw, errors) for _, raw, errors in sorted(bad)] == refused
    assert table.column(OFFSET).to_pylist() == kept.offset.to_pylist()


@pytest.mark.parametrize("fields", [FIELDS, WITH_JSON], ids=["flat", "json"])
@given(data=st.data())
@property_test
def test_all_json_readers_give_the_same_rows_and_reasons(fields: tuple[Field, ...], data: st.DataObject) -> None:
    names = tuple(field.name for field in fields)
    raws = data.draw(st.lists(json_rows(names), min_size=1, max_size=12))
    # a line that holds several rows or none is for another test
    raws = [raw for raw in raws if _is_row(raw) or (raw.strip(b" \r\0") and JsonReader().cut(raw, 0) is None)]
    check(raws, split_lines(b"".join(raw + b"\n" for raw in raws), 0), JsonReader(), fields)


def _is_row(raw: bytes) -> bool:
    return not exact.read_json(raw, ()).errors


texts = st.sampled_from(
    [
        *NUMBERS,
        *TIMES,
        "",
        "x",
        "y",
        "true",
        "FALSE",
        "nan",
        "inf",
        "1,5",
        ' "x"',
        'a"b',
        "é",
        "\ufffd",
        "null",
        '{"a":1}',
        "[1",
        "\\N",
    ]
)


@given(data=st.data())
@property_test
def test_the_csv_readers_give_the_same_rows_and_reasons(data: st.DataObject) -> None:
    header = ("s", "i", "extra", "f", "b", "m", "t", "d", "u", "o", "c", "j")
    plain = {
        "s": "x",
        "i": "1",
        "f": "1.5",
        "b": "true",
        "m": "1.10",
        "t": TIMES[0],
        "d": "2024-05-01",
        "u": "0",
        "o": TIMES[0],
    }
    raws: list[bytes] = []
    for _ in range(data.draw(st.integers(1, 8))):
        out = io.StringIO(newline="")
        quoting = data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        row = {**plain, **data.draw(st.dictionaries(st.sampled_from(header), texts, max_size=3))}
        csv.writer(out, quoting=quoting, lineterminator="").writerow([row.get(name, "") for name in header])
        raw = out.getvalue().encode()
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(raw)))
            raw = raw[:at] + data.draw(st.sampled_from([b'"', b",", b"\xff", b"\0", b"\\", b"'"])) + raw[at:]
        if data.draw(st.booleans()):
            raw += b","
        raws.append(data.draw(st.sampled_from([b"", b"", codecs.BOM_UTF8])) + raw)
    reader = CsvReader(header)
    starts = [sum(len(raw) + 1 for raw in raws[:number]) for number in range(len(raws))]
    lines = Lines(pa.array([raw + b"\n" for raw in raws], pa.large_binary()), pa.array(starts, pa.int64()))
    check(raws, lines, reader, WITH_JSON)


# -- faults and cuts ---------------------------------------------------------------------------------------------------

words = st.sampled_from(["AMS", "Köln", "a,b", 'say "x"', "東京", "}{", "[1]", "-", "\\", "5' 6", "a;b", " x "])


@st.composite
def shipments(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for number in range(draw(st.integers(1, 7))):
        row = {
            "record_type": "shipments",
            "event_time": draw(st.sampled_from(["2024-05-01T10:00:00Z", "2024-05-02 10:00:00+02", "2024-05-03"])),
            "shipment_id": f"S{number}",
            "origin": draw(words),
            "destination": "JFK",
            "weight_kg": draw(st.sampled_from([1, 12.5, 200])),
        }
        found.append(row | ({"extra": {"list": [{"m": 1}, {"m": 2}]}} if draw(st.integers(0, 3)) == 0 else {}))
    return found


FORMATS = (
    "lines",
    "concat",
    "array",
    "arrays",
    "array lines",
    "pretty",
    "pretty array",
    "envelope",
    "csv",
    "csv quoted",
)


def written(given_rows: list[dict[str, Any]], kind: str, end: str) -> tuple[str, bytes, list[tuple[int, int]]]:
    """Key, bytes, and where each row is in them."""
    if kind.startswith("csv"):
        names = ["record_type", "event_time", "shipment_id", "origin", "destination", "weight_kg"]
        lines = []
        for row in given_rows:
            out = io.StringIO(newline="")
            quoting = csv.QUOTE_ALL if kind == "csv quoted" else csv.QUOTE_MINIMAL
            csv.writer(out, quoting=quoting, lineterminator="").writerow([row[name] for name in names])
            lines.append(out.getvalue().encode())
        body = (",".join(names) + end).encode()
        spans = []
        for line in lines:
            spans.append((len(body), len(body) + len(line)))
            body += line + end.encode()
        return "a.csv", body, spans
    indent = 2 if kind.startswith("pretty") else None
    texts_ = [json.dumps(row, ensure_ascii=False, indent=indent).replace("\n", end).encode() for row in given_rows]
    before, between, after = {
        "lines": ("", end, end),
        "concat": ("", "", ""),
        "array": ("[", ", ", "]"),
        "arrays": ("[", "]" + end + "[", "]" + end),
        "array lines": ("[" + end, "," + end, end + "]" + end),
        "pretty": ("", end, end),
        "pretty array": ("[" + end, "," + end, end + "]"),
        "envelope": ('{"records": [', ", ", "]}"),
    }[kind]
    body, spans = before.encode(), []
    for number, text in enumerate(texts_):
        body += between.encode() if number else b""
        spans.append((len(body), len(body) + len(text)))
        body += text
    return "a.jsonl" if kind == "lines" else "a.json", body + after.encode(), spans


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [row["shipment_id"] for row in found]


@given(
    given_rows=shipments(),
    kind=st.sampled_from(FORMATS),
    end=st.sampled_from(["\n", "\r\n", "\r", "\r\r\n"]),
    size=st.integers(20, 2000),
)
@property_test
def test_any_format_and_line_end_gives_every_row_whatever_the_chunks(
    given_rows: list[dict[str, Any]], kind: str, end: str, size: int
) -> None:
    name, body, spans = written(given_rows, kind, end)
    found = read_object(f"bronze/shipments/{name}", body, size)
    assert ids(found.rows("shipments")) == ids(given_rows)
    assert [row["origin"] for row in found.rows("shipments")] == [row["origin"] for row in given_rows]
    assert found.bad == []
    assert [at for at, _ in found.offsets] == [start for start, _ in spans]


@given(
    given_rows=shipments(),
    kind=st.sampled_from(FORMATS),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    where=st.floats(0, 1, exclude_max=True),
    byte=st.sampled_from([*b'\0\n\r"{}[],:\\', 0x1B, 0xFF, 0x80, 0x20]) | st.integers(0, 255),
    size=st.integers(20, 2000),
)
@property_test
def test_a_corrupted_byte_costs_no_other_row(
    given_rows: list[dict[str, Any]], kind: str, end: str, where: float, byte: int, size: int
) -> None:
    name, body, spans = written(given_rows, kind, end)
    first = (
        spans[0][0] if kind in ("csv", "csv quoted", "envelope") else 0
    )  # a header or envelope is more than one row's
    last = spans[-1][1] if kind == "envelope" else len(body)
    at = first + int(where * (last - first))
    damaged = body[:at] + bytes([byte]) + body[at + 1 :]
    if kind.startswith("csv"):  # the end of a record belongs to both of its neighbours
        unhurt = [
            row
            for row, (start, stop) in zip(given_rows, spans, strict=True)
            if at < start - len(end) or at >= stop + len(end)
        ]
    else:
        unhurt = [row for row, (start, stop) in zip(given_rows, spans, strict=True) if not start <= at < stop]
    try:
        found = read_object(f"bronze/shipments/{name}", damaged, size)
    except ObjectFailed:
        assert not unhurt
        return
    silver = ids(found.rows("shipments"))
    assert [one for one in ids(unhurt) if one not in silver] == []
    assert len(silver) == len(set(silver))
    assert found.rows_in == len(silver) + len(found.bad) == count_rows(name, io.BytesIO(damaged))
    whole = read_object(f"bronze/shipments/{name}", damaged)
    assert (found.offsets, found.rows("shipments")) == (whole.offsets, whole.rows("shipments"))


@given(
    body=st.binary(max_size=400) | st.text('{}[]",:0\\\n\r a').map(str.encode),
    name=st.sampled_from(["a.jsonl", "a.json", "a.csv", "a"]),
)
@property_test
def test_any_bytes_are_rows_or_a_named_failure(body: bytes, name: str) -> None:
    try:
        found = read_object(f"bronze/shipments/{name}", body, 50)
    except ObjectFailed:
        return
    assert count_rows(name, io.BytesIO(body)) == found.rows_in
    assert not [row for row in found.bad for error in row.errors if error.reason == "unparseable"]
    for row in found.bad:
        assert row.raw in body.replace(b"\r", b" ").replace(b"\n", b" ") or row.raw in body
