"""Sample files as rows: JSON lines, a JSON array, CSV and Parquet, with the types of their columns."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from sluice.console import fail

MAX_ROWS: Final = 10_000  # that are looked at
MAX_BYTES: Final = 64 * 1024 * 1024
_DELIMITERS: Final = ",;\t|"
_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INT64: Final = range(-(2**63), 2**63)

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """The narrowest type for all values; ``required``: every row has one; ``unique``: no two are the same."""

    type: str
    required: bool
    unique: bool


@dataclass(frozen=True)
class Sample:
    """``delimiter`` is empty unless it is CSV; a row of CSV holds texts."""

    rows: list[Row]
    columns: dict[str, Column]
    delimiter: str = ""


def read(path: Path) -> Sample:
    """The first MAX_ROWS rows. Ends with code 2 when it is not readable, or has no row."""
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES)
        if body.startswith(b"\x1f\x8b"):
            with gzip.open(path) as packed:
                body = packed.read(MAX_BYTES)
    except (OSError, EOFError) as error:
        fail(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")
    if body.startswith(b"PAR1"):
        return _parquet(path)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(body) < MAX_BYTES or error.start < MAX_BYTES - 4:
            fail(f"{path} is not UTF-8 (byte {error.start}): convert it, or give Parquet")
        text = body[: error.start].decode("utf-8-sig")
    cut = len(body) >= MAX_BYTES
    if text.lstrip()[:1] in ("{", "["):
        rows = _json(text, path, cut=cut)
        delimiter = ""
    else:
        rows, delimiter = _csv(text, path, cut=cut)
    if not rows:
        fail(f"{path} has no rows")
    return Sample(rows, _columns(rows, text=bool(delimiter)), delimiter)


def fixture(sample: Sample, count: int) -> tuple[str, bytes]:
    """(name, content) of a file with the first rows, in a form that is ingested."""
    rows = sample.rows[:count]
    if not sample.delimiter:
        lines = (json.dumps(row, ensure_ascii=False, default=_text) + "\n" for row in rows)
        return "rows.jsonl", "".join(lines).encode()
    out = io.StringIO()
    names = list(sample.columns)
    writer = csv.writer(out, delimiter=sample.delimiter, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([row.get(name) for name in names] for row in rows)
    return "rows.csv", out.getvalue().encode()


# -- formats -----------------------------------------------------------------------------------------------------------


def _json(text: str, path: Path, *, cut: bool) -> list[Row]:
    try:
        if text.lstrip().startswith("["):
            rows = json.loads(text)
        else:
            lines = text.splitlines() if not cut else text.splitlines()[:-1]
            rows = [json.loads(line) for line in [one for one in lines if one.strip()][:MAX_ROWS]]
    except ValueError as error:
        hint = "; only its first 64 MiB are read, and an array must end there" if cut else ""
        fail(f"{path} is neither JSON lines nor a JSON array: {error}{hint}")
    if not all(isinstance(row, dict) for row in rows):
        fail(f"{path} holds values that are no JSON objects")
    return list(rows[:MAX_ROWS])


def _csv(text: str, path: Path, *, cut: bool) -> tuple[list[Row], str]:
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = next(lines, [])
        if len(set(header)) < len(header) or not all(header):
            fail(f"{path}: the first line must name every column, each differently; it is {first[:200]!r}")
        rows: list[Row] = []
        for line in lines:
            if len(rows) == MAX_ROWS:
                break
            if not line:
                continue
            if len(line) != len(header):
                if cut and next(lines, None) is None:
                    break
                fail(f"{path}: line {lines.line_num} has {len(line)} values, the first line names {len(header)}")
            rows.append({name: value or None for name, value in zip(header, line, strict=True)})
    except csv.Error as error:
        fail(f"{path} is not CSV: line {lines.line_num}: {error}")
    return rows, delimiter


def _parquet(path: Path) -> Sample:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        batch = next(pq.ParquetFile(path).iter_batches(MAX_ROWS), None)
        rows: list[Row] = batch.to_pylist() if batch is not None else []
    except (pa.ArrowException, OSError, ValueError) as error:
        fail(f"{path} is not Parquet that can be read: {error}")
    if not rows or batch is None:
        fail(f"{path} has no rows")
    guessed = _columns(rows)
    known = {field.name: _parquet_type(field.type) for field in batch.schema}
    columns = {
        name: Column(known[name] or column.type, column.required, column.unique) for name, column in guessed.items()
    }
    return Sample(rows, columns)


def _parquet_type(kind: Any) -> str:
    """Empty where the values say more than the type, as for texts."""
    import pyarrow as pa

    if pa.types.is_decimal(kind) and kind.precision <= 38 and 0 <= kind.scale <= kind.precision:
        return f"decimal({kind.precision},{kind.scale})"
    return "float64" if pa.types.is_floating(kind) else ""


# -- types -------------------------------------------------------------------------------------------------------------


def _columns(rows: list[Row], *, text: bool = False) -> dict[str, Column]:
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    return {name: _column([row.get(name) for row in rows], text=text) for name in names}


def _column(values: list[Any], *, text: bool) -> Column:
    from sluice_pipeline.catalog.sights import joined_type

    held = [value for value in values if value is not None]
    kinds = {_type(value, text=text) for value in held}
    if kinds <= {"timestamp", "date"} and kinds:
        kind = "timestamp" if "timestamp" in kinds else "date"
    else:
        kind = joined_type("string" if one in ("timestamp", "date") else one for one in kinds) if kinds else "string"
    simple = kind in ("string", "int64")
    return Column(kind, len(held) == len(values), simple and len({str(value) for value in held}) == len(held))


def _type(value: Any, *, text: bool) -> str:
    """``text``: the value is written as text, as in CSV, so a number is what looks like one."""
    from sluice_pipeline.catalog.sights import type_of_text

    match value:
        case bool():
            return "bool"
        case int():
            return "int64" if value in _INT64 else "string"
        case float() | Decimal():
            return "float64"
        case datetime():
            return "timestamp"
        case date():
            return "date"
        case str() if _TIMESTAMP.fullmatch(value):
            return "timestamp"
        case str() if _DATE.fullmatch(value):
            return "date"
        case str():
            return type_of_text(value) if text else "string"
    return "json"


def _text(value: Any) -> Any:
    """Values of Parquet that JSON has not."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
