"""One field of a text as the value of a column: what COPY takes and what it refuses.

https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-data-conversion.html
"""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from sluice_ext.redshift.copying import errors
from sluice_ext.redshift.copying.tables import Column

_WHOLE: Final = re.compile(r"[+-]?\d+")
_DECIMAL: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_RANGES: Final = {"int2": 1 << 15, "int4": 1 << 31, "int8": 1 << 63}
_NAMES: Final = {"int2": "Short", "int4": "Integer", "int8": "Long", "float4": "Float", "float8": "Double",
                 "numeric": "Decimal"}  # fmt: skip
_BOOLEANS: Final = {
    **dict.fromkeys(("t", "true", "y", "yes", "1"), "t"),
    **dict.fromkeys(("f", "false", "n", "no", "0"), "f"),
}
# https://docs.aws.amazon.com/redshift/latest/dg/r_DATEFORMAT_and_TIMEFORMAT_strings.html
_FORMATS: Final = (("YYYY", "%Y"), ("MONTH", "%B"), ("MON", "%b"), ("HH24", "%H"), ("HH12", "%I"), ("HH", "%H"),
                   ("MM", "%m"), ("MI", "%M"), ("DD", "%d"), ("SS", "%S"), ("YY", "%y"), ("AM", "%p"), ("PM", "%p"),
                   ("US", "%f"))  # fmt: skip
_AUTO_DATES: Final = ("%Y-%m-%d", "%Y%m%d", "%m/%d/%Y", "%Y/%m/%d", "%Y.%m.%d", "%d-%b-%Y", "%b %d %Y", "%B %d, %Y",
                      "%b-%d-%Y", "%d %b %Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y")  # fmt: skip


class BadValue(ValueError):
    """A field that the column does not take."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


Converter = Callable[[str | None], str | None]


def converter(column: Column, options: dict[str, Any]) -> Converter:
    """What makes a field the text of a value for PostgreSQL. None is NULL. Raises BadValue."""
    change = _change(column, options)
    text = column.kind in ("varchar", "bpchar", "text")
    null = options.get("null", "\\N").replace("\\0", "\0")
    blank, empty = bool(options.get("blanksasnull")), bool(options.get("emptyasnull"))

    def convert(field: str | None) -> str | None:
        if (
            field is None
            or field == null
            or (not field and (not text or empty))
            or (field.isspace() and (blank or not text))
        ):
            value = None
        else:
            value = change(field)
        if value is None and column.not_null:
            raise BadValue(errors.MISSING, "Missing data for not-null field")
        return value

    return convert


def _change(column: Column, options: dict[str, Any]) -> Callable[[str], str | None]:
    kind = column.kind
    if kind in _RANGES:
        return lambda field: _whole(field, kind)
    if kind in ("float4", "float8"):
        return lambda field: _real(field, kind)
    if kind == "numeric":
        return lambda field: _numeric(field, column, bool(options.get("roundec")))
    if kind == "bool":
        return _boolean
    if kind == "date":
        return _lenient(lambda field: _date(field, options.get("dateformat", "YYYY-MM-DD")), options)
    if kind in ("timestamp", "timestamptz"):
        return _lenient(lambda field: _timestamp(field, options.get("timeformat", "")), options)
    if kind in ("jsonb", "json"):
        return _json
    if kind == "bytea":
        return lambda field: "\\x" + _hex(field)
    if kind in ("varchar", "bpchar", "text"):
        return lambda field: _text(field, column, options)
    return lambda field: field


def _lenient(change: Callable[[str], str], options: dict[str, Any]) -> Callable[[str], str | None]:
    """ACCEPTANYDATE makes a date that is none NULL."""
    if not options.get("acceptanydate"):
        return change

    def convert(field: str) -> str | None:
        try:
            return change(field)
        except BadValue:
            return None

    return convert


def _invalid(field: str, kind: str) -> BadValue:
    place = next((at for at, one in enumerate(field) if not (one.isdigit() or one in "+-.")), 0)
    return BadValue(errors.INVALID_DIGIT, f"Invalid digit, Value '{field[place]}', Pos {place}, Type: {_NAMES[kind]} ")


def _whole(field: str, kind: str) -> str:
    field = field.strip()
    if not _WHOLE.fullmatch(field) or not field.isascii():
        raise _invalid(field, kind)
    if len(field) > 20 or not -_RANGES[kind] <= int(field) < _RANGES[kind]:
        raise BadValue(errors.OVERFLOW, f"Overflow, Column type: {_NAMES[kind]}")
    return field


def _real(field: str, kind: str) -> str:
    field = field.strip()
    if not field.isascii() or "_" in field:
        raise _invalid(field, kind)
    try:
        value = float(field)
    except ValueError:
        raise _invalid(field, kind) from None
    if math.isinf(value) and "inf" not in field.lower():
        raise BadValue(errors.OVERFLOW, f"Overflow, Column type: {_NAMES[kind]}")
    if kind == "float4" and math.isfinite(value) and abs(value) > 3.4028235e38:
        raise BadValue(errors.OVERFLOW, f"Overflow, Column type: {_NAMES[kind]}")
    return repr(value)


def _numeric(field: str, column: Column, rounded: bool) -> str:
    """More digits than the scale are cut off, or rounded with ROUNDEC."""
    field = field.strip()
    if not _DECIMAL.fullmatch(field) or not field.isascii() or len(field) > 100:
        raise _invalid(field, "numeric")
    size = re.search(r"\((\d+),(\d+)\)", column.shown)
    if not size or "e" in field.lower():
        return field
    precision, scale = int(size[1]), int(size[2])
    whole, _, fraction = field.lstrip("+-").partition(".")
    if len(whole.lstrip("0")) > precision - scale:
        raise BadValue(errors.OVERFLOW, "Numeric Overflow. Field with precision and scale does not fit the column")
    if not rounded and len(fraction) > scale:
        field = field[: len(field) - len(fraction) + scale].rstrip(".") or "0"
        return "0" if field in ("-", "+", "") else field
    return field


def _boolean(field: str) -> str:
    found = _BOOLEANS.get(field.strip().lower())
    if found is None:
        raise BadValue(errors.BAD_BOOLEAN, "Unknown boolean format")
    return found


def _python_format(shown: str) -> str:
    made = re.escape(shown.upper()).replace("%", "%%")
    for name, mark in _FORMATS:
        made = made.replace(name, mark)
    return re.sub(r"\\(.)", r"\1", made)


def _parsed(field: str, formats: tuple[str, ...]) -> datetime | None:
    for one in formats:
        try:
            return datetime.strptime(field, one)
        except ValueError:
            continue
    return None


def _date(field: str, shown: str) -> str:
    field = field.strip()
    if shown.lower() == "auto":
        found = _parsed(field, _AUTO_DATES) or _moment(field)
    else:
        found = _parsed(field[: len(field)], (_python_format(shown),))
        if found is None and shown == "YYYY-MM-DD":
            found = _moment(field)
    if found is None:
        raise BadValue(errors.BAD_DATE, f"Invalid Date Format - length must be 10 or more ({shown})")
    return found.date().isoformat()


def _moment(field: str) -> datetime | None:
    """YYYY-MM-DD, with a time and a zone when they are there."""
    if not re.match(r"\d{4}-\d\d-\d\d(?:$|[ T])", field):
        return None
    try:
        return datetime.fromisoformat(field.replace(" +", "+").replace(" UTC", "+00:00"))
    except ValueError:
        return None


def _timestamp(field: str, shown: str) -> str:
    field = field.strip()
    found: datetime | None
    if shown.lower() in ("epochsecs", "epochmillisecs"):
        divisor = 1 if shown.lower() == "epochsecs" else 1000
        try:
            found = datetime.fromtimestamp(float(field) / divisor, UTC).replace(tzinfo=None)
        except (ValueError, OverflowError, OSError):
            found = None
    elif not shown or shown.lower() == "auto":
        found = _moment(field)
        if found is None and shown:
            formats = tuple(
                f"{one}{time}" for one in _AUTO_DATES for time in ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p")
            )
            found = _parsed(field, formats)
    else:
        found = _parsed(field, (_python_format(shown), _python_format(shown) + ".%f"))
    if found is None:
        label = shown or "YYYY-MM-DD HH24:MI:SS"
        raise BadValue(errors.BAD_TIMESTAMP, f"Invalid timestamp format or value [{label}]")
    return found.isoformat(sep=" ")


def _json(field: str) -> str:
    try:
        json.loads(field, parse_constant=_refuse_constant)
    except ValueError:
        raise BadValue(errors.BAD_JSON, "Invalid JSON in a SUPER column") from None
    return field


def _refuse_constant(_: str) -> None:
    raise ValueError


def _hex(field: str) -> str:
    if len(field) % 2 or not re.fullmatch(r"[0-9a-fA-F]*", field):
        raise BadValue(errors.BAD_TEXT, "Invalid hexadecimal digits of a VARBYTE column")
    return field


def _text(field: str, column: Column, options: dict[str, Any]) -> str:
    """Lengths are of bytes in UTF-8."""
    if "\0" in field:
        if not options.get("acceptinvchars"):
            raise BadValue(errors.BAD_TEXT, "Missing newline: Unexpected character 0x00 found")
        field = field.replace("\0", options["acceptinvchars"])
    try:
        size = len(field.encode())
    except UnicodeEncodeError:
        if not options.get("acceptinvchars"):
            code = field.encode(errors="surrogateescape")
            shown = next(f"{code[at]:x}" for at in range(len(code)) if code[at] > 127)
            message = (
                f"String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence: {shown} (error 2)"
            )
            raise BadValue(errors.BAD_TEXT, message) from None
        field = re.sub("[\ud800-\udfff]", options["acceptinvchars"], field)
        size = len(field.encode())
    if options.get("trimblanks") and column.kind != "bpchar":
        field = field.rstrip(" ")
        size = len(field.encode())
    if column.size is not None and size > column.size:
        if column.kind == "bpchar" and len(field.rstrip(" ").encode()) <= column.size:
            return field.rstrip(" ")
        if not options.get("truncatecolumns"):
            raise BadValue(errors.TOO_LONG, "String length exceeds DDL length")
        field = field.encode()[: column.size].decode(errors="ignore")
    return field
