"""Good rows and bad rows of one dataset.

Most rows are read as whole columns. The exact reader reads the others again, each alone: those that the columnar reader
did not read or is not sure of, and those that break a rule. It decides, and lists every error. So a row's fate does not
depend on its neighbours, nor on which reader saw it first.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from core.transform import columns, rules
from core.transform.exact import RowError
from core.transform.lines import Lines, concat
from core.transform.readers import Reader, UnreadableRows
from core.transform.row_by_row import Bad, Exact, read_exactly
from core.transform.unique import without_repeats
from core.transform.unnamed import Unnamed, Watch
from sluice_pipeline.catalog.conditions import Condition
from sluice_pipeline.catalog.datasets import RECORD_TYPE, Catalog, Dataset
from sluice_pipeline.catalog.fields import Field
from sluice_pipeline.catalog.sights import Sights
from sluice_pipeline.objects.failures import Reason

logger = logging.getLogger(__name__)
OFFSET: Final = "_source_offset"
_FAN_OUT: Final = 8  # into how many sets a refused one is cut
_SMALL_SET: Final = 2048  # rows; a refused set of this size is read exactly, row by row
_ROUTE: Final = (Field(RECORD_TYPE, "string"),)


@dataclass(frozen=True, slots=True)
class BadRow:
    """``raw`` is the row without its line end."""

    dataset: str
    offset: int
    raw: bytes
    errors: tuple[RowError, ...]

    @property
    def reasons(self) -> tuple[tuple[str, Reason], ...]:
        """Field ('' for the whole row) and reason of each error."""
        return tuple((error.field, error.reason) for error in self.errors)


@dataclass(slots=True)
class PartitionedRows:
    """Every row of a chunk once: in a typed table of its dataset (with its offset), or bad.

    ``sights``: by dataset, columns and types in the rows that its YAML does not have.
    """

    tables: dict[str, pa.Table] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)
    sights: dict[str, Sights] = field(default_factory=dict)

    @property
    def rows_in(self) -> int:
        return sum(int(table.num_rows) for table in self.tables.values()) + len(self.bad)

    @property
    def unparseable(self) -> int:
        """Rows at which the reader itself failed."""
        return sum(error.reason == Reason.UNPARSEABLE for row in self.bad for error in row.errors)

    def begin_at(self, offset: int) -> None:
        """Leaves out the rows that begin before this byte of the object: they are an earlier chunk's."""
        self.tables = {
            name: table.filter(pc.greater_equal(table[OFFSET], offset)) for name, table in self.tables.items()
        }
        self.tables = {name: table for name, table in self.tables.items() if table.num_rows}
        self.bad = [row for row in self.bad if row.offset >= offset]
        for seen in self.sights.values():
            seen.first = {sight: first for sight, first in seen.first.items() if first >= offset}

    def take(self, dataset: Dataset, lines: Lines, reader: Reader) -> None:
        watch = Watch.of(dataset)
        table, kept, bad = read_rows(lines, dataset.fields, reader, checks=dataset.checks, watch=watch)
        if watch.sights.first:
            self.sights.setdefault(dataset.name, Sights()).update(watch.sights)
        if dataset.unique:
            table, repeats = without_repeats(table, kept, dataset, reader, OFFSET)
            bad += repeats
        self.bad += [BadRow(dataset.name, *row) for row in bad]
        if table.num_rows:
            self.tables[dataset.name] = table


def partition_rows(lines: Lines, dataset: Dataset, reader: Reader, summaries: Dataset | None = None) -> PartitionedRows:
    """All rows as rows of one dataset, but for those that have a record_type of ``summaries``."""
    result = PartitionedRows()
    if summaries is not None:
        mentioned = pa.array([False] * len(lines), pa.bool_())
        for word in summaries.record_types:
            mentioned = pc.or_(mentioned, pc.match_substring(lines.text, word))
        routed, kept, bad = read_rows(lines.filter(mentioned), _ROUTE, reader, routing=True)
        result.bad += [BadRow(dataset.name, *row) for row in bad]
        theirs = _is_in(routed.column(RECORD_TYPE), summaries.record_types)
        result.take(summaries, kept.filter(theirs), reader)
        lines = concat([lines.filter(pc.invert(mentioned)), kept.filter(pc.invert(theirs))])
    result.take(dataset, lines, reader)
    return result


def partition_mixed(lines: Lines, catalog: Catalog, reader: Reader, fallback: str) -> PartitionedRows:
    """Rows of several datasets, each routed by its record_type; ``fallback`` names those that cannot be routed."""
    result = PartitionedRows()
    table, kept, bad = read_rows(lines, _ROUTE, reader, routing=True)
    result.bad += [BadRow(fallback, *row) for row in bad]
    types = table.column(RECORD_TYPE)
    known = _is_in(types, catalog.by_record_type)
    astray = kept.filter(pc.invert(known))
    for index, name in enumerate(types.filter(pc.invert(known)).to_pylist()):
        result.bad.append(BadRow(fallback, astray.offset[index].as_py(), astray.raw(index), (_astray(name, catalog),)))
    for dataset in catalog.datasets.values():
        if dataset.record_types:
            result.take(dataset, kept.filter(_is_in(types, dataset.record_types)), reader)
    return result


def _astray(name: str | None, catalog: Catalog) -> RowError:
    expected = f"one of {', '.join(sorted(catalog.by_record_type))}"
    if name is None:
        return RowError(RECORD_TYPE, Reason.MISSING_REQUIRED, "null", expected)
    return RowError(RECORD_TYPE, Reason.UNKNOWN_RECORD_TYPE, name, expected)


def _is_in(types: pa.ChunkedArray, names: Iterable[str]) -> pa.BooleanArray:
    return pc.is_in(types, pa.array(sorted(names), pa.string())).combine_chunks()


def read_rows(
    lines: Lines,
    fields: Sequence[Field],
    reader: Reader,
    *,
    routing: bool = False,
    checks: Sequence[Condition] = (),
    watch: Watch | None = None,
) -> tuple[pa.Table, Lines, list[Bad]]:
    """The rows that keep all types and rules, as a table with their offsets and as lines; and the others.

    A line that holds several rows becomes several. For ``routing`` only what these fields say is of interest.
    ``watch`` gets what the rows have beside the fields.
    """

    def read(some: Lines, *, cut: bool) -> tuple[pa.Table, Lines, Exact]:
        table, kept, rest = _read_fast(some, fields, reader, checks, watch)
        exact = read_exactly(
            rest, fields, reader, routing=routing, cut=cut, offset_name=OFFSET, checks=checks, watch=watch
        )
        return table, kept, exact

    table, kept, exact = read(lines, cut=True)
    if len(exact.again):  # the rows of lines that hold several
        inner, inner_kept, more = read(exact.again, cut=False)
        exact = Exact(
            pa.concat_tables([exact.table, inner, more.table]),
            concat([exact.lines, inner_kept, more.lines]),
            exact.bad + more.bad,
            more.again,
        )
    if not exact.table.num_rows:
        return table, kept, exact.bad
    return _ordered(pa.concat_tables([table, exact.table])), concat([kept, exact.lines]), exact.bad


# -- whole columns -----------------------------------------------------------------------------------------------------


def _read_fast(
    lines: Lines, fields: Sequence[Field], reader: Reader, checks: Sequence[Condition], watch: Watch | None
) -> tuple[pa.Table, Lines, Lines]:
    """The rows that are good for certain, as a table with offsets and as lines; and all others.

    A set that is refused is read in smaller sets, until those that are left are small enough to be read row by row.
    """
    rest: list[Lines] = []
    tables: list[pa.Table] = []
    read: list[Lines] = []
    seen = Sights()

    def accept(
        part: Lines,
        table: pa.Table,
        doubt: pa.BooleanArray | None,
        unnamed: Unnamed = (),
        suspects: pa.BooleanArray | None = None,
    ) -> None:
        """Adds the good rows to the result; the exact reader gets the others."""
        doubt = columns.any_of([doubt, broken_rules(table, fields, checks)])
        if watch is not None:
            doubt = columns.any_of([doubt, watch.doubtful(unnamed, suspects)])
            table = watch.extended(table)
            watch.note_columns(part, doubt, unnamed, suspects, reader.given, seen)
        table = table.append_column(OFFSET, part.offset)
        if doubt is not None:
            rest.append(part.filter(doubt))
            good = pc.invert(doubt)
            table, part = table.filter(good), part.filter(good)
        tables.append(table)
        read.append(part)

    given = lines
    try:
        alike, lines = reader.read_shapes(lines, fields)
        for one in alike:
            accept(one.lines, one.table, None, one.unnamed)
        doubt = reader.doubtful(lines) if len(lines) else None
        if doubt is not None:
            rest.append(lines.filter(doubt))
            lines = lines.filter(pc.invert(doubt))
    except Exception as error:  # noqa: BLE001  whatever it is: the exact reader finds the row that is to blame
        _note(error)
        tables, read, rest, seen = [], [], [given], Sights()
        lines = given.slice(0, 0)
    parts = [lines]
    while parts:
        part = parts.pop()
        if not len(part):
            continue
        try:
            found = reader.read(part, fields)
            accept(found.lines, found.table, found.doubt, found.unnamed, found.suspects)
            rest.append(found.others)
        except Exception as error:  # noqa: BLE001  as above
            if not isinstance(error, UnreadableRows):
                _note(error)
            if len(part) <= _SMALL_SET:
                rest.append(part)
            else:
                step = -(-len(part) // _FAN_OUT)
                parts += [part.slice(at, step) for at in reversed(range(0, len(part), step))]
    if watch is not None:
        watch.sights.update(seen)
    if not tables:
        none = columns.empty(fields if watch is None else watch.columns_of(fields))
        tables = [none.append_column(OFFSET, pa.array([], pa.int64()))]
    kept = concat(read)
    if len(tables) == 1:
        return tables[0], kept, concat(rest)
    return _ordered(pa.concat_tables(tables)), kept, concat(rest)


def _ordered(table: pa.Table) -> pa.Table:
    """The rows in the order of the source."""
    offsets = table.column(OFFSET).combine_chunks()
    order = pc.sort_indices(offsets)
    if order.equals(pa.array(range(len(order)), pa.uint64())):
        return table.combine_chunks()
    return table.take(order).combine_chunks()


def broken_rules(table: pa.Table, fields: Sequence[Field], checks: Sequence[Condition] = ()) -> pa.BooleanArray | None:
    """Rows that break a rule; each rule is one expression over whole columns."""

    def column(name: str) -> pa.Array:
        return table.column(name).combine_chunks()

    masks = (
        pc.fill_null(mask.combine_chunks(), False) for f in fields for mask in _violations(table.column(f.name), f)
    )
    if not rules.has_rules(fields, checks):
        return columns.any_of(masks)
    return columns.any_of([*masks, *(rule.rows for rule in rules.find_broken(column, fields, checks))])


def _violations(column: pa.ChunkedArray, rule: Field) -> Iterator[pa.ChunkedArray]:
    if rule.required:
        yield pc.is_null(column)
    if rule.minimum is not None:
        yield pc.less(column, rule.minimum)
    if rule.maximum is not None:
        yield pc.greater(column, rule.maximum)
    if rule.allowed:
        allowed = pa.array(rule.allowed, column.type)
        yield pc.and_(pc.is_valid(column), pc.invert(pc.is_in(column, allowed)))


def _note(error: Exception) -> None:
    logger.warning("the columnar reader failed, rows are read one by one: %r", error)
