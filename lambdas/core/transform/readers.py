"""Rows to typed columns: a fast columnar reader for sets of rows, and the exact one (``exact``) for a single row.

The columnar readers are Arrow's. They are used only as far as they agree with the exact reader: ``doubtful`` marks the
rows that the exact reader must decide, and a set in which Arrow finds a fault is not read at all. ``rows`` then reads
smaller sets, so a row's fate never depends on its neighbours.
"""

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.json as pajson

from core.transform import columns, exact, json_values, shape
from core.transform.columns import JSON, Columns, arrow_type
from core.transform.lines import DEFAULT_DIALECT, Lines, closed, pieces_of, without_skipped
from core.transform.shape import Part
from core.transform.unnamed import Unnamed, UnnamedColumn, suspects
from sluice_pipeline.catalog.fields import Field
from sluice_pipeline.objects.csv_text import Dialect, MalformedCsv, header_names
from sluice_pipeline.objects.json_text import line_pieces

_BLOCK: Final = 1024 * 1024
_CONSTANT: Final = r"[:\[,]\s*-?(?:NaN|Inf)"
_NO_COLUMN: Final[Columns] = {"no field has this name": pa.string()}  # reads the shape of a row, no value of it


class UnreadableRows(ValueError):
    """At least one of the rows cannot be read as these columns."""


class Reading(NamedTuple):
    """``table`` has one row for each of ``lines``. ``doubt`` marks rows with a value that the exact reader must decide.

    ``others`` are rows that were not read. ``unnamed``: columns that no field names; ``suspects``: rows that may have
    others, which only the exact reader finds.
    """

    lines: Lines
    table: pa.Table
    doubt: pa.BooleanArray | None
    others: Lines
    unnamed: Unnamed = ()
    suspects: pa.BooleanArray | None = None


class Reader(Protocol):
    @property
    def is_csv(self) -> bool: ...

    def read_shapes(self, lines: Lines, fields: Sequence[Field]) -> tuple[list[Part], Lines]:
        """Rows that are read without doubt because they look alike, and all others."""
        ...

    def doubtful(self, lines: Lines) -> pa.BooleanArray | None:
        """Which rows only the exact reader may decide; None for none."""
        ...

    def read(self, lines: Lines, fields: Sequence[Field]) -> Reading:
        """The rows as typed columns, one for each field; a missing value is null.

        Raises:
            UnreadableRows: a row is malformed or a value is not of its column's type.
        """
        ...

    def read_exactly(self, raw: bytes, fields: Sequence[Field], *, routing: bool) -> exact.Outcome:
        """One row, given without its line end."""
        ...

    def given(self, raw: bytes) -> Mapping[str, Any]:
        """The values of a row that ``read`` has read without doubt, as ``exact.Outcome.given``."""
        ...

    def cut(self, raw: bytes, offset: int) -> Lines | None:
        """The rows of a line that is not one row, None when it is one, be it a malformed one."""
        ...


@dataclass(frozen=True, slots=True)
class JsonReader:
    """One JSON object a line; ``cut_lines`` false: what is none was cut from a document and is one row."""

    cut_lines: bool = True
    is_csv: ClassVar[bool] = False

    def read_shapes(self, lines: Lines, fields: Sequence[Field]) -> tuple[list[Part], Lines]:
        return shape.read_shapes(lines, fields)

    def doubtful(self, lines: Lines) -> pa.BooleanArray | None:
        body = lines.joined().to_pybytes()
        doubt = [columns.broken_utf8(lines.text), _nested(lines, body)]
        if b"NaN" in body or b"Inf" in body:  # Arrow takes them for numbers, also where no column asks for them
            doubt.append(pc.match_substring_regex(lines.text, _CONSTANT))
        return columns.any_of(doubt)

    def read(self, lines: Lines, fields: Sequence[Field]) -> Reading:
        none = lines.slice(0, 0)
        if not len(lines):
            return Reading(none, columns.empty(fields), None, none)
        if not _one_object_a_line(lines):
            raise UnreadableRows("a line is not one JSON object")
        # Arrow cuts its input at newlines into blocks, so a block has to hold the longest line
        block = max(_BLOCK, lines.longest() + 1)
        flat = {name: columns.json_type(one) for one in fields if arrow_type(one) != JSON for name in one.names}
        try:
            table = pajson.read_json(
                pa.BufferReader(lines.joined()),
                read_options=pajson.ReadOptions(use_threads=False, block_size=block),
                parse_options=pajson.ParseOptions(
                    explicit_schema=pa.schema(list((flat or _NO_COLUMN).items())), unexpected_field_behavior="ignore"
                ),
            )
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise UnreadableRows(str(error)) from error
        if table.num_rows != len(lines):
            raise UnreadableRows(f"{len(lines)} lines gave {table.num_rows} rows")
        nested = [name for one in fields if arrow_type(one) == JSON for name in one.names]
        table, doubt = _with_nested(table, lines, nested)
        table, several = columns.without_aliases(table, fields)
        typed, wrong = columns.typed(table, fields)
        odd = suspects(lines, table)
        return Reading(lines, typed, columns.any_of([doubt, several, wrong]), none, suspects=odd)

    def read_exactly(self, raw: bytes, fields: Sequence[Field], *, routing: bool) -> exact.Outcome:
        return exact.read_json(raw, fields, routing=routing)

    def given(self, raw: bytes) -> Mapping[str, Any]:
        return exact.given_in_json(raw)

    def cut(self, raw: bytes, offset: int) -> Lines | None:
        if not self.cut_lines:
            return None
        pieces = line_pieces(raw.decode("latin-1"))
        if len(pieces) == 1 and not pieces[0].whole:
            return None
        return pieces_of(raw, pieces, offset)


@dataclass(frozen=True, slots=True)
class CsvReader:
    """Records under the column names of a header; an unquoted field that the dialect calls null has no value."""

    header: tuple[str, ...]
    dialect: Dialect = field(default_factory=lambda: DEFAULT_DIALECT)
    is_csv: ClassVar[bool] = True

    def read_shapes(self, lines: Lines, fields: Sequence[Field]) -> tuple[list[Part], Lines]:
        del fields
        return [], lines

    def doubtful(self, lines: Lines) -> pa.BooleanArray | None:
        body = lines.joined().to_pybytes()
        doubt = [columns.broken_utf8(lines.text)]
        if b"\0" in body:
            doubt.append(pc.match_substring(lines.text, "\0"))
        if codecs.BOM_UTF8[:1] in body:  # Arrow leaves a mark out, but only where it stands before all other rows
            doubt.append(pc.starts_with(lines.text, codecs.BOM_UTF8))
        quote = self.dialect.quote.encode()
        if quote and not lines.closed and quote in body:  # a quote within a field is Arrow's to read as it likes
            doubt.append(pc.invert(pc.match_substring_regex(lines.text, closed(self.dialect))))
        return columns.any_of(doubt)

    def read(self, lines: Lines, fields: Sequence[Field]) -> Reading:
        none = lines.slice(0, 0)
        if not len(lines):
            return Reading(none, columns.empty(fields), None, none)
        data = lines.joined()
        # names of the header may come twice or be empty; Arrow sees those of the fields only
        wanted = {one.name for one in fields}
        header = exact.own_names(self.header, fields)
        names = [name if name in wanted else f"\0{number}" for number, name in enumerate(header)]
        if len(set(names)) < len(names):
            raise UnreadableRows("the header has several columns of a field")
        others_named = [(f"\0{n}", name) for n, name in enumerate(header) if name and name not in wanted]
        skipped: list[int] = []

        def skip(row: Any) -> str:  # of a ragged row
            skipped.append(row.number)
            return "skip"

        try:
            table = pacsv.read_csv(
                pa.BufferReader(data),
                read_options=pacsv.ReadOptions(use_threads=False, column_names=names, block_size=data.size + 1),
                parse_options=pacsv.ParseOptions(
                    newlines_in_values=True,
                    ignore_empty_lines=True,
                    delimiter=self.dialect.delimiter,
                    quote_char=self.dialect.quote or False,
                    invalid_row_handler=skip,
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=[*(one.name for one in fields), *(alias for alias, _ in others_named)],
                    include_missing_columns=True,
                    null_values=list(self.dialect.null),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise UnreadableRows(str(error)) from error
        lines, others = without_skipped(lines, skipped)
        if table.num_rows != len(lines):
            raise UnreadableRows(f"{len(lines)} records gave {table.num_rows} rows")
        unnamed = [UnnamedColumn(name, table.column(alias).combine_chunks()) for alias, name in others_named]
        return Reading(lines, *columns.typed(table, fields), others, unnamed)

    def read_exactly(self, raw: bytes, fields: Sequence[Field], *, routing: bool) -> exact.Outcome:
        outcome = exact.read_csv(raw, fields, self.header, self.dialect)
        if not routing:
            return outcome
        names = {one.name for one in fields}
        mine = tuple(error for error in outcome.errors if error.field in names or not outcome.values)
        return exact.Outcome(outcome.values, mine)

    def given(self, raw: bytes) -> Mapping[str, Any]:
        return exact.read_csv(raw, (), self.header, self.dialect).given

    def cut(self, raw: bytes, offset: int) -> Lines | None:
        del raw, offset
        return None  # records were cut by their quotes


def csv_header(line: bytes, dialect: Dialect = DEFAULT_DIALECT) -> tuple[str, ...]:
    """Column names of a CSV header; raises MalformedCsv when it is none, or not UTF-8."""
    try:
        return header_names(line, dialect)
    except UnicodeDecodeError as error:
        raise MalformedCsv(f"not UTF-8: {error}") from error


def _nested(lines: Lines, body: bytes) -> pa.BooleanArray | None:
    """Rows with so many brackets that they may be too deep; None for none."""
    limit = json_values.MAX_DEPTH
    if body.count(b"{") + body.count(b"[") - len(lines) < limit:
        return None
    found = [raw.count(b"{") + raw.count(b"[") > limit for raw in lines.text.to_pylist()]
    return pa.array(found, pa.bool_()) if any(found) else None


def _with_nested(table: pa.Table, lines: Lines, names: list[str]) -> tuple[pa.Table, pa.BooleanArray | None]:
    """Adds columns whose values may be objects and arrays, which Arrow gives no text of."""
    if not names:
        return table, None
    texts: dict[str, list[str | None]] = {name: [] for name in names}
    doubt: list[bool] = []
    for raw in lines.text.to_pylist():
        row: Mapping[str, str | None] = {}
        try:
            row = json_values.texts_of(raw, names)
            doubt.append(False)
        except json_values.NotJson:
            doubt.append(True)
        for name in names:
            texts[name].append(row.get(name))
    for name in names:
        table = table.append_column(name, pa.array(texts[name], JSON))
    return table, pa.array(doubt, pa.bool_()) if any(doubt) else None


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
