"""Good rows and bad rows of one dataset: types by the reader, rules on whole columns.

The fast path reads all rows at once. Only when that is refused are smaller sets read, until the rows that are to
blame stand alone; the rest is never looked at row by row.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from lines import Lines
from pipeline.catalog import RECORD_TYPE, Catalog, Dataset, Field
from pipeline.failures import Reason
from readers import NO_COLUMN, WHOLE_ROW, Columns, Errors, Reader, Refused, arrow_type

_FAN_OUT: Final = 8  # into how many sets a refused one is cut
OFFSET: Final = "_source_offset"
_SMALL_SET: Final = 2048  # rows; a refused set of this size is looked at by the reader's own quick look


@dataclass(frozen=True, slots=True)
class BadRow:
    """``raw`` is the row without its line end; ``errors`` name the field ('' for the whole row) and the reason."""

    dataset: str
    offset: int
    raw: bytes
    errors: tuple[tuple[str, Reason], ...]


@dataclass(slots=True)
class Sorted:
    """Every row of a chunk once: in a typed table of its dataset (with its offset), or bad."""

    rows_in: int
    tables: dict[str, pa.Table] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)

    def take(self, dataset: Dataset, lines: Lines, reader: Reader) -> None:
        table, bad = read_dataset(lines, dataset, reader)
        if table.num_rows:
            self.tables[dataset.name] = table
        self.bad += bad


def sort_rows(lines: Lines, dataset: Dataset, reader: Reader, summaries: Dataset | None = None) -> Sorted:
    """All rows as rows of one dataset, but for those that have a record_type of ``summaries``."""
    result = Sorted(rows_in=len(lines))
    if summaries is not None:
        theirs = _of_types(lines, summaries.record_types, reader)
        result.take(summaries, lines.filter(theirs), reader)
        lines = lines.filter(pc.invert(theirs))
    result.take(dataset, lines, reader)
    return result


def _of_types(lines: Lines, types: Iterable[str], reader: Reader) -> pa.BooleanArray:
    """Which rows have one of these record types. Only those in which such a word stands are read for it."""
    mentioned = pa.array([False] * len(lines), pa.bool_())
    for word in types:
        mentioned = pc.or_(mentioned, pc.match_substring(lines.text, word))
    table, kept, _ = _read_refusing(lines.filter(mentioned), {RECORD_TYPE: pa.string()}, reader)
    theirs = pc.is_in(table.column(RECORD_TYPE).combine_chunks(), pa.array(types, pa.string()))
    return pc.is_in(lines.offset, kept.offset.filter(theirs))


def sort_mixed(lines: Lines, catalog: Catalog, reader: Reader, fallback: str) -> Sorted:
    """Rows of several datasets, each routed by its record_type; ``fallback`` names those that cannot be routed."""
    result = Sorted(rows_in=len(lines))
    table, kept, errors = _read_refusing(lines, {RECORD_TYPE: pa.string()}, reader)
    result.bad += _bad_rows(lines, errors, fallback)
    types = table.column(RECORD_TYPE).combine_chunks()
    known = pa.array(sorted(catalog.by_record_type), pa.string())
    astray = kept.filter(pc.invert(pc.is_in(types, known)))
    missing = pc.is_null(types.filter(pc.invert(pc.is_in(types, known)))).to_pylist()
    reasons = [Reason.MISSING_REQUIRED if absent else Reason.UNKNOWN_RECORD_TYPE for absent in missing]
    result.bad += _bad_rows(astray, {i: [(RECORD_TYPE, reason)] for i, reason in enumerate(reasons)}, fallback)
    for dataset in catalog.datasets.values():
        if dataset.record_types:
            mine = pc.is_in(types, pa.array(dataset.record_types, pa.string()))
            result.take(dataset, kept.filter(mine), reader)
    return result


def read_dataset(lines: Lines, dataset: Dataset, reader: Reader) -> tuple[pa.Table, list[BadRow]]:
    """The rows that keep all types and rules, with their offsets, and the others."""
    table, kept, errors = _read_refusing(lines, {f.name: arrow_type(f) for f in dataset.fields}, reader)
    bad = _bad_rows(lines, errors, dataset.name)
    if broken := rule_errors(table, dataset.fields):
        bad += _bad_rows(kept, broken, dataset.name)
        good = _mask_without(len(kept), broken)
        table, kept = table.filter(good), kept.filter(good)
    return table.append_column(OFFSET, kept.offset), bad


def rule_errors(table: pa.Table, fields: tuple[Field, ...]) -> Errors:
    """Which rows break which rules; each rule is one expression over a whole column."""
    errors: Errors = defaultdict(list)
    for rule in fields:
        column = table.column(rule.name)
        for mask, reason in _violations(column, rule):
            for index in pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist():
                errors[index].append((rule.name, reason))
    return errors


def _violations(column: pa.ChunkedArray, rule: Field) -> list[tuple[pa.ChunkedArray, Reason]]:
    found = []
    if rule.required:
        found.append((pc.is_null(column), Reason.MISSING_REQUIRED))
    if pa.types.is_floating(column.type):
        found.append((pc.invert(pc.is_finite(column)), Reason.WRONG_TYPE))  # NaN and Infinity are not JSON
    if rule.minimum is not None:
        found.append((pc.less(column, rule.minimum), Reason.OUT_OF_RANGE))
    if rule.maximum is not None:
        found.append((pc.greater(column, rule.maximum), Reason.OUT_OF_RANGE))
    if rule.allowed:
        allowed = pa.array(rule.allowed, column.type)
        found.append((pc.and_(pc.is_valid(column), pc.invert(pc.is_in(column, allowed))), Reason.NOT_ALLOWED))
    return found


def _read_refusing(lines: Lines, columns: Columns, reader: Reader) -> tuple[pa.Table, Lines, Errors]:
    """The rows that can be read, as a table and as lines; the others with what is wrong with them."""
    try:
        return reader.read(lines, columns), lines, {}
    except Refused:
        errors = _blame(lines, columns, reader)
    kept = lines.filter(_mask_without(len(lines), errors))
    return reader.read(kept, columns), kept, errors


def _blame(lines: Lines, columns: Columns, reader: Reader) -> Errors:
    """Which rows cannot be read, and which of their fields are to blame ('': the row itself is malformed)."""
    errors: Errors = {}
    for begin, length in _refused(lines, columns, reader, _SMALL_SET):
        part = lines.slice(begin, length)
        found = reader.surely_bad(part, columns)
        # what the quick look did not explain is found by reading the rest, down to single rows
        rest = [i for i in range(length) if i not in found]
        remaining = part.filter(_mask_of(length, rest))
        for position, _ in _refused(remaining, columns, reader, 1):
            found[rest[position]] = _explain(remaining.slice(position, 1), columns, reader)
        errors |= {begin + index: reasons for index, reasons in found.items()}
    return errors


def _explain(row: Lines, columns: Columns, reader: Reader) -> list[tuple[str, Reason]]:
    """The fields of one unreadable row that cannot be read; the whole row when it is none of them."""
    if not _readable(row, NO_COLUMN, reader):
        return [(WHOLE_ROW, reader.malformed)]
    wrong = [(name, Reason.WRONG_TYPE) for name, kind in columns.items() if not _readable(row, {name: kind}, reader)]
    return wrong or [(WHOLE_ROW, reader.malformed)]


def _refused(lines: Lines, columns: Columns, reader: Reader, small: int) -> list[tuple[int, int]]:
    """The sets of at most ``small`` rows, as (begin, length), that cannot be read; all other rows can."""
    found: list[tuple[int, int]] = []
    parts = [(0, len(lines))]
    while parts:
        begin, length = parts.pop()
        if _readable(lines.slice(begin, length), columns, reader):
            continue
        if length <= small:
            found.append((begin, length))
            continue
        step = max(1, -(-length // _FAN_OUT))
        parts += [(at, min(step, begin + length - at)) for at in range(begin, begin + length, step)]
    return found


def _readable(lines: Lines, columns: Columns, reader: Reader) -> bool:
    try:
        reader.read(lines, columns)
    except Refused:
        return False
    return True


def _bad_rows(lines: Lines, errors: Errors, dataset: str) -> list[BadRow]:
    offsets = lines.offset
    return [BadRow(dataset, offsets[i].as_py(), lines.raw(i), tuple(found)) for i, found in sorted(errors.items())]


def _mask_of(length: int, positions: Iterable[int]) -> pa.BooleanArray:
    mask = [False] * length
    for position in positions:
        mask[position] = True
    return pa.array(mask, pa.bool_())


def _mask_without(length: int, positions: Iterable[int]) -> pa.BooleanArray:
    return pc.invert(_mask_of(length, positions))
