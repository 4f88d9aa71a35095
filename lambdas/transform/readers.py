"""Rows to typed columns, with Arrow's JSON and CSV readers: a set of rows is read whole, or refused.

A reader never guesses types and never drops a row: it either gives exactly one row for each line or raises
``Refused``. Which of the rows is to blame is found by reading smaller sets (``rows.py``), so a row's fate never
depends on its neighbours.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.json as pajson

import json_values
from lines import Lines
from pipeline.catalog import Field
from pipeline.failures import Reason

_BLOCK: Final = 1024 * 1024
TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
JSON: Final = pa.large_string()  # no other column has this type
WHOLE_ROW: Final = ""  # stands for a field where the row itself is malformed
Columns = Mapping[str, pa.DataType]
NO_COLUMN: Final[Columns] = {"no field has this name": pa.string()}  # reads the shape of a row, no value of it

type Errors = dict[int, list[tuple[str, Reason]]]
"""Position of a row -> the fields that are wrong ('' for the whole row), and why."""


class Refused(ValueError):
    """At least one of the rows cannot be read with these columns."""


class Reader(Protocol):
    @property
    def malformed(self) -> Reason:
        """What a row is that is none in this format."""
        ...

    def read(self, lines: Lines, columns: Columns) -> pa.Table:
        """One row for each line, one column for each of ``columns``; a missing value is null.

        Raises:
            Refused: a row is malformed or a value is not of its column's type.
        """
        ...

    def surely_bad(self, lines: Lines, columns: Columns) -> Errors:
        """Rows that ``read`` refuses whatever stands beside them; a quick look that may miss some, never one too many.

        Reading rows one at a time would find them all, at half a millisecond each; a chunk may have 100,000.
        """
        ...


def arrow_type(field: Field) -> pa.DataType:
    if field.decimal:
        return pa.decimal128(*field.decimal)
    return _TYPES[field.type]


_TYPES: Final = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
    "json": JSON,
}


@dataclass(frozen=True, slots=True)
class JsonReader:
    """One JSON object a line."""

    malformed: Reason = Reason.MALFORMED_JSON

    def read(self, lines: Lines, columns: Columns) -> pa.Table:
        if not len(lines):
            return _empty(columns)
        if not _one_object_a_line(lines):
            raise Refused("a line is not one JSON object")
        # Arrow cuts its input at newlines into blocks, so a block has to hold the longest line
        block = max(_BLOCK, lines.longest() + 1)
        nested = [name for name, kind in columns.items() if kind == JSON]
        flat = {name: kind for name, kind in columns.items() if kind != JSON} or NO_COLUMN
        wire = pa.schema([(name, pa.string() if _parsed_from_text(kind) else kind) for name, kind in flat.items()])
        try:
            table = pajson.read_json(
                pa.BufferReader(lines.joined()),
                read_options=pajson.ReadOptions(use_threads=False, block_size=block),
                parse_options=pajson.ParseOptions(explicit_schema=wire, unexpected_field_behavior="ignore"),
            )
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise Refused(str(error)) from error
        if table.num_rows == len(lines):
            table = _with_nested(table, lines, nested)
        return _checked(table, lines, columns)

    def surely_bad(self, lines: Lines, columns: Columns) -> Errors:
        errors: Errors = {}
        texts: dict[str, dict[int, str]] = {name: {} for name, kind in columns.items() if _parsed_from_text(kind)}
        for index, raw in enumerate(lines.text.to_pylist()):
            try:
                row = json.loads(raw.decode("latin-1"))
            except RecursionError:
                continue
            except ValueError:
                if b"Inf" not in raw:  # Arrow knows this number, Python does not
                    errors[index] = [(WHOLE_ROW, self.malformed)]
                continue
            if not isinstance(row, dict):
                errors[index] = [(WHOLE_ROW, self.malformed)]
                continue
            wrong = [name for name, kind in columns.items() if not _may_be(row.get(name), kind)]
            if wrong:
                errors[index] = [(name, Reason.WRONG_TYPE) for name in wrong]
            for name, found in texts.items():
                if isinstance(value := row.get(name), str) and value.isascii():
                    found[index] = value
        for name, found in texts.items():
            for index in _unparsable(found, columns[name]):
                errors.setdefault(index, []).append((name, Reason.WRONG_TYPE))
        return errors


@dataclass(frozen=True, slots=True)
class CsvReader:
    """Comma-separated rows under the column names of a header; an empty unquoted field is null."""

    header: tuple[str, ...]
    malformed: Reason = Reason.MALFORMED_CSV

    def read(self, lines: Lines, columns: Columns) -> pa.Table:
        if not len(lines):
            return _empty(columns)
        data = lines.joined()
        try:
            table = pacsv.read_csv(
                pa.BufferReader(data),
                read_options=pacsv.ReadOptions(
                    use_threads=False, column_names=list(self.header), block_size=data.size + 1
                ),
                parse_options=pacsv.ParseOptions(newlines_in_values=True, ignore_empty_lines=True),
                convert_options=pacsv.ConvertOptions(
                    column_types={name: pa.string() for name in self.header},
                    include_columns=list(columns),
                    include_missing_columns=True,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            raise Refused(str(error)) from error
        return _checked(table, lines, columns)

    def surely_bad(self, lines: Lines, columns: Columns) -> Errors:
        try:
            table = self.read(lines, dict.fromkeys(columns, pa.string()))
        except Refused:
            return {}
        errors: Errors = {}
        for name, kind in columns.items():
            texts = {index: value for index, value in enumerate(table.column(name).to_pylist()) if value is not None}
            for index in _unparsable(texts, kind):
                errors.setdefault(index, []).append((name, Reason.WRONG_TYPE))
        return errors


def csv_header(line: bytes) -> tuple[str, ...]:
    """Column names of a CSV header; raises UnicodeDecodeError when it is not UTF-8."""
    names = next(csv.reader([line.decode("utf-8").rstrip("\r\n")]), [])
    return tuple(name.strip() for name in names)


def _with_nested(table: pa.Table, lines: Lines, names: list[str]) -> pa.Table:
    """Adds columns whose values may be objects and arrays, which Arrow gives no text of. Raises Refused."""
    if not names:
        return table
    try:
        rows = [json_values.parse(raw) for raw in lines.text.to_pylist()]
        for name in names:
            texts = [None if row.get(name) is None else json_values.text_of(row[name]) for row in rows]
            table = table.append_column(name, pa.array(texts, JSON))
    except json_values.NotJson as error:
        raise Refused(str(error)) from error
    return table


def _checked(table: pa.Table, lines: Lines, columns: Columns) -> pa.Table:
    if table.num_rows != len(lines):
        raise Refused(f"{len(lines)} lines gave {table.num_rows} rows")
    try:
        converted = [_convert(table.column(name).combine_chunks(), kind) for name, kind in columns.items()]
        for column in converted:
            column.validate(full=True)  # Arrow's readers do not all check that strings are UTF-8
    except pa.ArrowInvalid as error:
        raise Refused(str(error)) from error
    return pa.Table.from_arrays(converted, names=list(columns))


def _convert(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if kind == JSON:
        return pa.array([None if text is None else _normal_json(text) for text in column.to_pylist()], JSON)
    if pa.types.is_timestamp(kind) and pa.types.is_string(column.type):
        # ISO 8601 with a zone ("Z", "+02:00"), or without one, which then means UTC; a date alone means its midnight
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            zoned = pc.match_substring_regex(column, r"(Z|[+-]\d\d:?\d\d)$")
            suffix = pc.if_else(pc.equal(pc.utf8_length(column), len("2013-01-01")), "T00:00:00Z", "Z")
            column = pc.if_else(zoned, column, pc.binary_join_element_wise(column, suffix, ""))
    return column.cast(kind)


def _normal_json(text: str) -> str | None:
    try:
        value = json_values.parse(text)
        return None if value is None else json_values.text_of(value)
    except json_values.NotJson as error:
        raise pa.ArrowInvalid(str(error)) from error


def _parsed_from_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _may_be(value: object, kind: pa.DataType) -> bool:
    """False when Arrow's JSON reader surely refuses the value for a column of this type."""
    if value is None or kind == JSON:
        return True
    if isinstance(value, bool):
        return bool(pa.types.is_boolean(kind))
    if isinstance(value, str):
        return bool(pa.types.is_string(kind) or pa.types.is_decimal(kind) or _parsed_from_text(kind))
    if pa.types.is_integer(kind):
        return isinstance(value, int) and -(2**63) <= value < 2**63
    return isinstance(value, int | float) and bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _unparsable(texts: Mapping[int, str], kind: pa.DataType) -> list[int]:
    """The positions whose text is no value of the type; every distinct text is tried once."""
    bad = set()
    for text in set(texts.values()):
        try:
            _convert(pa.array([text], pa.string()), kind)
        except pa.ArrowInvalid:
            bad.add(text)
    return [index for index, text in texts.items() if text in bad]


def _empty(columns: Columns) -> pa.Table:
    return pa.schema(list(columns.items())).empty_table()


def _one_object_a_line(lines: Lines) -> bool:
    """Whether each line begins with { and ends with }.

    Then no object can span lines (after a line's closing brace JSON wants a comma or a bracket, not the next line's
    opening brace) and each line holds at least one object; so as many rows as lines means exactly one each.
    """
    plain = pc.and_(pc.starts_with(lines.text, b"{"), pc.ends_with(lines.text, b"}\n"))
    others = pc.invert(plain)
    if not pc.any(others).as_py():
        return True
    shape = pc.match_substring_regex(lines.text.filter(others), r"(?s)\A[ \t]*\{.*\}[ \t\r]*\n?\z")
    return bool(pc.all(shape).as_py())
