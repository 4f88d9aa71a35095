"""A result as Athena writes it: CSV with every value quoted, NULL left empty, and values in Trino's words.

https://docs.aws.amazon.com/athena/latest/ug/querying.html
"""

import math
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from sluice_ext.athena.worker import queries
from sluice_ext.athena.worker.hive_types import Type, quoted, result_type
from sluice_ext.athena.worker.queries import Found, Session

_ROWS = 5_000
_ZONED = "timestamp with time zone"
Formatter = Callable[[Any], str]


def write_csv(session: Session, found: Found, path: Path) -> tuple[list[dict[str, Any]], int]:
    """Computes the result and writes it. Returns ColumnInfo of each column, and the number of rows."""
    names, types = queries.column_names(found), [result_type(kind) for kind in found.types]
    found = _without_zones(session, found, types)
    formats = [formatter(kind) for kind in types]
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names) + "\n")
        for batch in _batches(session, found):
            rows += len(batch)
            file.writelines(
                ",".join(
                    "" if v is None else f'"{f(v).replace(chr(34), chr(34) * 2)}"'
                    for v, f in zip(row, formats, strict=True)
                )
                + "\n"
                for row in batch
            )
    return [column_info(name, kind) for name, kind in zip(names, types, strict=True)], rows


def _without_zones(session: Session, found: Found, types: list[Type]) -> Found:
    """Times with a zone as times in UTC: the client needs no library for zones."""
    if not any(kind.name == _ZONED for kind in types):
        return found
    shown = ", ".join(
        f"timezone('UTC', {quoted(n)}) AS {quoted(n)}" if k.name == _ZONED else quoted(n)
        for n, k in zip(found.columns, types, strict=True)
    )
    return queries.bind(session, found.project(shown))


def _batches(session: Session, found: Found) -> Iterator[list[tuple[Any, ...]]]:
    try:
        cursor = session.connection.execute(found.sql)
        while batch := cursor.fetchmany(_ROWS):
            yield batch
    except duckdb.Error as error:
        raise queries.failure(error) from error


def column_info(name: str, kind: Type) -> dict[str, Any]:
    """https://docs.aws.amazon.com/athena/latest/APIReference/API_ColumnInfo.html"""
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": kind.name,
        "Precision": kind.precision,
        "Scale": kind.scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": kind.name in ("varchar", "char", "json"),
    }


def formatter(kind: Type) -> Formatter:
    """How values of a type are written."""
    if kind.name == "array":
        inner = _nested(kind.children[0])
        return lambda value: "[" + ", ".join(map(inner, value)) + "]"
    if kind.name == "map":
        key, item = (_nested(child) for child in kind.children)
        return lambda value: "{" + ", ".join(f"{key(k)}={item(v)}" for k, v in value.items()) + "}"
    if kind.name == "row":
        inners = [_nested(child) for child in kind.children]
        return lambda value: (
            "{" + ", ".join(f"{n}={f(value[n])}" for n, f in zip(kind.fields, inners, strict=True)) + "}"
        )
    return _FORMATS.get(kind.name, str)


def _nested(kind: Type) -> Formatter:
    own = formatter(kind)
    return lambda value: "null" if value is None else own(value)


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _timestamp(value: datetime) -> str:
    return value.isoformat(" ", "milliseconds")


def _zoned(value: datetime) -> str:
    return _timestamp(value) + " UTC"


def _time(value: time) -> str:
    return value.isoformat("milliseconds")


def _binary(value: bytes) -> str:
    return value.hex(" ")


def _interval(value: timedelta) -> str:
    seconds, rest = divmod(value.seconds, 60)
    hours, minutes = divmod(seconds, 60)
    return f"{value.days} {hours:02}:{minutes:02}:{rest:02}.{value.microseconds // 1000:03}"


def _double(value: float) -> str:
    """As Java's Double.toString: 1.0, 1.0E10, NaN, Infinity."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    if 1e-3 <= abs(value) < 1e7:
        text = repr(value)
        return text if "e" not in text else f"{Decimal(text):f}"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    written = "".join(map(str, digits)).rstrip("0") or "0"
    power = len(digits) + int(exponent) - 1
    return f"{'-' if sign else ''}{written[0]}.{written[1:] or '0'}E{power}"


def _float(value: float) -> str:
    # DuckDB hands out a float as a double; its shortest form that is the same float is what Java prints.
    for digits in range(1, 18):
        text = f"{value:.{digits}g}"
        if _as_float(float(text)) == value:
            return _double(float(text))
    return _double(value)


def _as_float(value: float) -> float:
    import struct

    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.inf


_FORMATS: dict[str, Formatter] = {
    "boolean": _boolean,
    "date": lambda value: value.isoformat() if isinstance(value, date) else str(value),
    "decimal": lambda value: f"{value:f}",
    "double": _double,
    "float": _float,
    "interval day to second": _interval,
    "time": _time,
    "timestamp": _timestamp,
    "timestamp with time zone": _zoned,
    "varbinary": _binary,
}


def bounded(session: Session, found: Found) -> Found:
    """Sums of integers as bigint; a value beyond it is an error when the result is computed."""
    kinds = [str(kind) for kind in found.types]
    if not {"HUGEINT", "UBIGINT"} & set(kinds):
        return found
    shown = ", ".join(
        f"CAST({quoted(n)} AS BIGINT) AS {quoted(n)}" if k in ("HUGEINT", "UBIGINT") else quoted(n)
        for n, k in zip(found.columns, kinds, strict=True)
    )
    return queries.bind(session, found.project(shown))


TEXT = Type("string")


def trino_type(kind: Type) -> str:
    """A type in Trino's words: array(bigint), row(a varchar), decimal(10,2)."""
    if kind.name == "decimal":
        return f"decimal({kind.precision},{kind.scale})"
    if kind.name in ("array", "map"):
        return f"{kind.name}({', '.join(map(trino_type, kind.children))})"
    if kind.name == "row":
        inner = ", ".join(f"{n} {trino_type(c)}" for n, c in zip(kind.fields, kind.children, strict=True))
        return f"row({inner})"
    return {"float": "real"}.get(kind.name, kind.name)
