"""The values of a query's answer: exact in Python, as JSON, and as CSV.

Numbers stay numbers, of whatever size. Times become text in ISO 8601 and nested values JSON, made by DuckDB: its own
way through Python needs another package for time zones, and Python has no dates beyond the year 9999.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

type Value = bool | int | float | Decimal | str | None


class Nested(str):
    """A list, struct or map as JSON."""

    __slots__ = ()


@dataclass(frozen=True)
class Reader:
    """What makes a value of what Arrow hands over, and whether the column holds numbers."""

    read: Callable[[Any], Value]
    numeric: bool = False


def _same(value: Any) -> Value:
    return value  # type: ignore[no-any-return]


def _instant(text: str | None) -> str | None:
    """DuckDB's ``2024-05-01 10:00:00+00`` (the session is in UTC) as ``2024-05-01T10:00:00Z``."""
    return None if text is None else re.sub(r"^(\d{4,}-\d\d-\d\d) ([\d:.]+)(\+00)?$", _iso, text)


def _iso(found: re.Match[str]) -> str:
    return f"{found[1]}T{found[2]}{'Z' if found[3] else ''}"


_INTEGERS = frozenset("tinyint smallint integer bigint utinyint usmallint uinteger ubigint".split())  # noqa: SIM905
_BIG = frozenset(("hugeint", "uhugeint", "bignum"))
_NESTED = frozenset(("list", "array", "struct", "map", "union", "tuple", "variant"))


def _unless_null[T](make: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None else make(value)


def reading(place: int, kind: str, declared: str) -> tuple[str, Reader]:
    """How the column at a place (from 1) of this DuckDB type is selected, and what reads it."""
    text = f"#{place}::VARCHAR AS c{place}"
    as_json = f"to_json(#{place})::VARCHAR AS c{place}"
    if declared == "JSON":
        return text, Reader(_unless_null(Nested))
    if kind in _INTEGERS or kind in ("double", "decimal"):
        return f"#{place} AS c{place}", Reader(_same, numeric=True)
    if kind in ("boolean", "varchar"):
        return f"#{place} AS c{place}", Reader(_same)
    if kind in _BIG:
        return text, Reader(_unless_null(int), numeric=True)
    if kind == "float":  # as a double it would have digits that were not written
        return text, Reader(_unless_null(Decimal), numeric=True)
    if kind in _NESTED:
        return as_json, Reader(_unless_null(Nested))
    return text, Reader(_instant if kind.startswith("timestamp") else _same)


def from_json(value: Any) -> Value:
    """A value of a JSON answer; objects and lists become JSON again."""
    return Nested(json.dumps(value, ensure_ascii=False)) if isinstance(value, dict | list) else value


def is_number(value: Value) -> bool:
    """Whether a value is aligned to the right."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def plain(value: Value) -> Any:
    """For JSON by way of Python: decimals as floats, nested values as objects and lists."""
    if isinstance(value, Nested):
        return json.loads(value)
    return float(value) if isinstance(value, Decimal) else value


def shown(value: Value) -> str:
    """A value as it is: no rounding, no separators."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) and value.is_finite() else str(value)


def as_json(columns: Sequence[str], row: Iterable[Value]) -> str:
    """A row as one line of JSON: numbers with all their digits, no number (NaN, infinity) as null.

    A column whose name another has, too, gets its place behind it.
    """
    names: dict[str, Value] = {}
    for place, (name, value) in enumerate(zip(columns, row, strict=True), 1):
        names[f"{name}_{place}" if name in names else name] = value
    return "{" + ", ".join(f"{_text(name)}: {_json(value)}" for name, value in names.items()) + "}"


def _json(value: Any) -> str:
    match value:
        case Nested():
            return _json(json.loads(value, parse_float=Decimal, parse_constant=lambda _: None))
        case Decimal() if value.is_finite():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case Decimal() | float():
            return "null"
        case dict():
            return "{" + ", ".join(f"{_text(str(name))}: {_json(part)}" for name, part in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _text(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def as_csv(row: Iterable[Value]) -> str:
    """A record of RFC 4180 without its line end. NULL is nothing, the empty text is ``""``."""
    return ",".join("" if value is None else _field(shown(value)) for value in row)


def _field(text: str) -> str:
    if text and not any(mark in text for mark in ',"\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'
