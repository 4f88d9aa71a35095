"""Values of a row to the types of their fields, from JSON and from CSV text. docs/rows.md has the table."""

import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from core.transform import json_values, timestamps
from sluice_pipeline.catalog.fields import Field
from sluice_pipeline.objects.failures import Reason

MAX_DEPTH: Final = json_values.MAX_DEPTH  # of any value in a row
_INTEGER: Final = re.compile(r"-?\d+", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
SURROGATE: Final = re.compile("[\ud800-\udfff]")
_TIMES: Final = {
    timestamps.instant: "an RFC 3339 instant",
    timestamps.day: "a date YYYY-MM-DD",
    timestamps.formatted: "a time in a format of the field",
}
_BOOLS: Final = {"true": True, "1": True, "false": False, "0": False}


class WrongValue(ValueError):
    """A value is not of its field's type; the message says what was expected."""

    def __init__(self, expected: str, reason: Reason = Reason.WRONG_TYPE) -> None:
        super().__init__(expected)
        self.reason = reason


class Number(str):
    """A JSON number as it is written."""

    __slots__ = ()


class Constant(str):
    """NaN, Infinity or -Infinity: no JSON."""

    __slots__ = ()


class _Mark:
    """Stands for a value that has too many levels."""


TOO_DEEP: Final = _Mark()


decode: Final = json.JSONDecoder(
    parse_int=Number, parse_float=Number, parse_constant=Constant, object_pairs_hook=json_values.members
).decode


def from_json(value: Any, field: Field) -> Any:
    """The typed value of a JSON value; raises WrongValue."""
    kind = field.type
    if kind == "json":
        return _json_text(value)
    if value is TOO_DEEP:
        raise WrongValue(f"a {kind}")
    if isinstance(value, bool):
        if kind == "bool":
            return value
        raise WrongValue(_expected(field))
    if isinstance(value, Number):
        if kind == "timestamp" and field.unit:
            return _time(timestamps.epoch, str(value), field.unit)
        if kind in ("int64", "float64") or field.decimal:
            return _number(str(value), field)
        raise WrongValue(_expected(field))
    if type(value) is not str or SURROGATE.search(value):
        raise WrongValue("text in UTF-8" if type(value) is str else _expected(field))
    if kind in ("int64", "float64", "bool"):
        raise WrongValue(_expected(field))
    return _from_string(value, field)


def _from_string(text: str, field: Field) -> Any:
    if field.type == "string":
        return text
    if field.type == "timestamp":
        if field.format:
            return _time(timestamps.formatted, text, field.format)
        return _time(timestamps.instant, text)
    if field.type == "date":
        if field.format:
            return _time(timestamps.formatted, text, field.format) // timestamps.DAY
        return _time(timestamps.day, text)
    return _number(text, field)


def _json_text(value: Any) -> str | None:
    """A value of the type json as compact text."""
    if value is TOO_DEEP:
        raise WrongValue(f"JSON of at most {MAX_DEPTH} levels")
    try:
        return json_values.text_of(_plain(value))
    except (json_values.NotJson, ValueError) as error:
        raise WrongValue(f"JSON; {error}") from error


def _plain(value: Any) -> Any:
    """A decoded value with Python's own numbers."""
    if isinstance(value, Constant):
        raise ValueError(f"{value} is not JSON")
    if isinstance(value, Number):
        return int(value) if _INTEGER.fullmatch(value) else float(value)
    if isinstance(value, str):
        if SURROGATE.search(value):
            raise ValueError("is not UTF-8")
        return value
    if isinstance(value, dict):
        return {_plain(name): _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def from_text(text: str, field: Field) -> Any:
    """The typed value of a CSV field's text; raises WrongValue."""
    if field.type == "bool":
        if text.lower() in _BOOLS:
            return _BOOLS[text.lower()]
        raise WrongValue(_expected(field))
    if field.type == "timestamp" and field.unit and _NUMBER.fullmatch(text):
        return _time(timestamps.epoch, text, field.unit)
    if field.type == "json":
        try:
            value = decode(text)
        except (ValueError, RecursionError) as error:
            raise WrongValue(f"JSON; {error}") from error
        return None if value is None else _json_text(value)
    return _from_string(text, field)


def _number(text: str, field: Field) -> Any:
    """An int64, float64 or decimal; raises WrongValue."""
    if field.type == "int64":
        if not _INTEGER.fullmatch(text):
            raise WrongValue(_expected(field))
        if len(text.lstrip("-0")) > 19 or not -(2**63) <= int(text) < 2**63:
            raise WrongValue("an integer of 64 bits", Reason.OUT_OF_RANGE)
        return int(text)
    if not _NUMBER.fullmatch(text):
        raise WrongValue(_expected(field))
    if field.type == "float64":
        value = float(text)
        if math.isinf(value):
            raise WrongValue("a number of 64 bits (double)", Reason.OUT_OF_RANGE)
        return value
    return _decimal(text, field)


def _decimal(text: str, field: Field) -> Decimal:
    precision, scale = field.decimal or (38, 0)
    try:
        value = Decimal(text)
    except InvalidOperation as error:  # an exponent of more than 18 digits
        raise WrongValue(_expected(field), Reason.OUT_OF_RANGE) from error
    if not value:
        return Decimal(0)
    if value.adjusted() >= precision - scale:
        raise WrongValue(f"at most {precision - scale} digits before the point", Reason.OUT_OF_RANGE)
    _, digits, exponent = value.as_tuple()
    surplus = -int(exponent) - scale
    if surplus > 0:
        if surplus > len(digits) or any(digits[-surplus:]):
            raise WrongValue(f"at most {scale} decimals")
        value = Decimal((int(value < 0), digits[:-surplus], -scale))
    return value


def _time(parse: Any, *arguments: Any) -> int:
    try:
        return int(parse(*arguments))
    except timestamps.OutOfRange as error:
        raise WrongValue("a time of the years 1 to 9999, UTC", Reason.OUT_OF_RANGE) from error
    except timestamps.BadTime as error:
        raise WrongValue(f"{_TIMES[parse]}; the text {error}") from error


def _expected(field: Field) -> str:
    article = "an" if field.type[0] in "aeiou" else "a"
    return f"{article} {field.type}"
