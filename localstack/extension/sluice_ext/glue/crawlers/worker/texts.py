"""Types of text files, from their beginning: JSON lines and CSV.

https://docs.aws.amazon.com/glue/latest/dg/add-classifier.html#classifier-built-in
"""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sluice_ext.athena.worker.hive_types import Type
from sluice_ext.glue.crawlers.worker import schemas
from sluice_ext.glue.crawlers.worker.schemas import BIGINT, BOOLEAN, DOUBLE, INT, STRING, UNKNOWN, Columns

_DELIMITERS: Final = (",", "|", "\t", ";", "\x01")
_ROWS: Final = 1_000
_HEADING: Final = 150
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]*[A-Za-z_][^\x00-\x1f\x7f]*")
_INTEGER: Final = re.compile(r"[+-]?\d{1,19}")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Text:
    """What a text file is. ``records``: how many the sample has; ``details``: the parameters of its table."""

    format: str
    columns: Columns
    records: int
    details: dict[str, str] = field(default_factory=dict)


def json_lines(text: str, whole: bool) -> Text | None:
    """Objects, one after the other; None when it is something else. whole: the text is the file, not its beginning."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    columns: Columns = {}
    records = 0
    for value in _values(text, whole) or ():
        if isinstance(value, list):
            columns = schemas.merge_columns(columns, {"array": json_type(value)})
        elif isinstance(value, dict):
            columns = schemas.merge_columns(columns, schemas.folded((k, json_type(v)) for k, v in value.items()))
        else:
            return None
        records += 1
    return Text("json", columns, records) if records else None


def _values(text: str, whole: bool) -> list[Any] | None:
    """The JSON values; None when there is anything else. What the end of a sample cuts off does not count."""
    found: list[Any] = []
    at, decoder = 0, json.JSONDecoder()
    try:
        while len(found) < _ROWS:
            at = _next(text, at)
            if at == len(text):
                break
            value, at = decoder.raw_decode(text, at)
            found.append(value)
    except (ValueError, RecursionError):
        cut = not whole and found and "\n" not in text[at:].rstrip("\n")
        return found if cut else None
    return found


_BLANK = re.compile(r"[ \t\r\n]*")


def _next(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def json_type(value: Any) -> Type:
    """Type of a JSON value."""
    match value:
        case None:
            return UNKNOWN
        case bool():
            return BOOLEAN
        case int():
            return INT if -(2**31) <= value < 2**31 else BIGINT if -(2**63) <= value < 2**63 else DOUBLE
        case float():
            return DOUBLE
        case list():
            inner = UNKNOWN
            for one in value:
                inner = schemas.either(inner, json_type(one))
            return Type("array", children=(inner,))
        case dict():
            kinds = [json_type(one) for one in value.values()]
            # A struct without fields cannot be written in the catalog.
            return Type("row", children=tuple(kinds), fields=tuple(value)) if value else STRING
    return STRING


@dataclass(frozen=True)
class CsvRules:
    """A CSV classifier: what it fixes, the rest is found out."""

    delimiter: str | None = None
    quote: str | None = None
    header: str = "UNKNOWN"
    names: tuple[str, ...] = ()
    trimmed: bool = True
    single_column: bool = False
    serde: str | None = None
    kinds: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: dict[str, Any]) -> "CsvRules":
        """From the API's CsvClassifier."""
        return cls(
            given.get("Delimiter"),
            given.get("QuoteSymbol"),
            given.get("ContainsHeader") or "UNKNOWN",
            tuple(given.get("Header") or ()),
            not given.get("DisableValueTrimming"),
            bool(given.get("AllowSingleColumn")),
            None if given.get("Serde") in (None, "None") else given["Serde"],
            tuple(given.get("CustomDatatypes") or ()) if given.get("CustomDatatypeConfigured") else (),
        )


BUILT_IN: Final = CsvRules()


def comma_separated(text: str, whole: bool, rules: CsvRules = BUILT_IN) -> Text | None:
    """Rows of text; None when it is not a table of at least two columns and two rows."""
    if "\0" in text:
        return None
    for delimiter in [rules.delimiter] if rules.delimiter else _DELIMITERS:
        rows = _rows(text, whole, delimiter, rules)
        width = len(rows[0]) if rows else 0
        enough = width >= (1 if rules.single_column else 2) and len(rows) >= (1 if rules is not BUILT_IN else 2)
        if not enough or any(len(row) != width for row in rows):
            continue
        return _table(text, rows, delimiter, rules)
    return None


def _rows(text: str, whole: bool, delimiter: str, rules: CsvRules) -> list[list[str]]:
    lines = text.splitlines(keepends=True)
    if not whole and lines:
        lines.pop()  # cut off somewhere
    found: list[list[str]] = []
    reader = csv.reader(lines, delimiter=delimiter, quotechar=rules.quote or '"', skipinitialspace=rules.trimmed)
    try:
        for row in reader:
            if row:
                found.append([value.strip() for value in row] if rules.trimmed else row)
            if len(found) > _ROWS:
                break
    except csv.Error:
        return []
    return found


def _table(text: str, rows: list[list[str]], delimiter: str, rules: CsvRules) -> Text | None:
    headed = _has_header(rows, rules)
    data = rows[1:] if headed else rows
    given = rules.names or tuple(rows[0] if headed else ())
    names = [given[at] if at < len(given) and given[at] else f"col{at}" for at in range(len(rows[0]))]
    kinds = [_column(data, at) for at in range(len(names))]
    if len(rules.kinds) == len(names):
        kinds = [_custom(kind) for kind in rules.kinds]
    quote = rules.quote or '"'
    details = {
        "delimiter": delimiter,
        "columnsOrdered": "true",
        "areColumnsQuoted": "true" if quote + delimiter in text else "false",
        "serde": rules.serde or ("OpenCSVSerDe" if rules.quote else "LazySimpleSerDe"),
        "quote": quote,
    }
    if headed:
        details["skip.header.line.count"] = "1"
    if details["serde"] == "OpenCSVSerDe" and not rules.kinds:
        kinds = [STRING] * len(names)  # that SerDe reads text alone
    return Text("csv", _unique(names, kinds), len(data), details)


def _unique(names: Sequence[str], kinds: Sequence[Type]) -> Columns:
    """Columns stay at their places: a name that comes again is given another one."""
    made: Columns = {}
    for at, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        shown = name.lower()
        while shown in made:
            shown = f"{shown}_{at}"
        made[shown] = kind
    return made


def _has_header(rows: list[list[str]], rules: CsvRules) -> bool:
    if rules.header != "UNKNOWN":
        return rules.header == "PRESENT"
    first, rest = rows[0], rows[1:]
    if rules.names and [name.lower() for name in first] == [name.lower() for name in rules.names]:
        return True
    named = all(text_type(value) == STRING and len(value) < _HEADING and _NAME.fullmatch(value) for value in first[:-1])
    last = not first[-1] or (text_type(first[-1]) == STRING and _NAME.fullmatch(first[-1]) is not None)
    # Only a column that is not text tells the names from the data.
    return bool(named and last and any(text_type(value) not in (STRING, UNKNOWN) for row in rest for value in row))


def _column(rows: list[list[str]], at: int) -> Type:
    kind = UNKNOWN
    for row in rows:
        kind = schemas.either(kind, text_type(row[at]))
        if kind == STRING:
            break
    return STRING if kind == UNKNOWN else kind


def text_type(value: str) -> Type:
    """Type of a value of a CSV file. Dates and times stay text, as with AWS's own classifier."""
    if not value:
        return UNKNOWN
    if _INTEGER.fullmatch(value):
        return BIGINT if -(2**63) <= int(value) < 2**63 else DOUBLE
    if _NUMBER.fullmatch(value):
        return DOUBLE
    return BOOLEAN if value.lower() in ("true", "false") else STRING


_CUSTOM: Final = {
    "BINARY": "varbinary", "BOOLEAN": "boolean", "DATE": "date", "DECIMAL": "decimal", "DOUBLE": "double",
    "FLOAT": "float", "INT": "integer", "LONG": "bigint", "SHORT": "smallint", "STRING": "varchar",
    "TIMESTAMP": "timestamp",
}  # fmt: skip
CUSTOM_TYPES: Final = frozenset(_CUSTOM)


def _custom(kind: str) -> Type:
    name = _CUSTOM[kind.upper()]
    return Type(name, 38, 18) if name == "decimal" else Type(name)
