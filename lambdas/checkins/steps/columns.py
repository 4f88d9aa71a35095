"""A dataset's tests on whole columns: the verdicts of sluice_pipeline.catalog.checks, found faster."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from sluice_pipeline.catalog.checks import Check

OFFSET: Final = "_source_offset"
_ROW: Final = "_row"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``rows`` says of each row whether it breaks the test; a test of the whole has no rows, but may be ``broken``."""

    check: Check
    rows: pa.BooleanArray | None
    broken: bool

    @property
    def count(self) -> int:
        return 0 if self.rows is None else int(pc.sum(self.rows).as_py() or 0)


def columns_of(checks: Sequence[Check]) -> list[str]:
    """The columns that these tests read, and the row's place."""
    return sorted({OFFSET} | {check.field for check in checks if check.field} | {n for c in checks for n in c.unique})


def judge(check: Check, table: pa.Table) -> Verdict:
    """One test on all rows of a file."""
    if check.min_rows:
        return Verdict(check, None, table.num_rows < check.min_rows)
    broken = _doubles(table, check.unique) if check.unique else _breaking(check, table.column(check.field))
    return Verdict(check, broken, bool(pc.any(broken).as_py()))


def _breaking(check: Check, column: pa.ChunkedArray) -> pa.BooleanArray:
    """Numbers are compared as columns; of anything else, each value that occurs is looked at once."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        codes = column.combine_chunks().dictionary_encode()
        values = [check.is_broken_by({check.field: value}) for value in codes.dictionary.to_pylist()]
        found = pc.take(pa.array(values, pa.bool_()), codes.indices)
        return pc.fill_null(found, check.not_empty)
    nulls = pc.is_null(column)
    found = nulls if check.not_empty else pc.and_(nulls, False)
    if check.minimum is not None:
        found = pc.or_(found, pc.fill_null(pc.less(column, pa.scalar(check.minimum)), False))
    if check.maximum is not None:
        found = pc.or_(found, pc.fill_null(pc.greater(column, pa.scalar(check.maximum)), False))
    if check.allowed:
        other = pc.invert(pc.is_in(column, value_set=pa.array(check.allowed, column.type)))
        found = pc.or_(found, pc.and_(other, pc.invert(nulls)))
    return _one(found)


def _doubles(table: pa.Table, names: Sequence[str]) -> pa.BooleanArray:
    """Rows whose values in these columns an earlier row of the source has; a row that lacks one is no double."""
    if not table.num_rows:
        return pa.array([], pa.bool_())
    order = pc.sort_indices(table, sort_keys=[(OFFSET, "ascending")])
    whole = table.select(list(dict.fromkeys(names))).take(order).append_column(_ROW, pa.array(range(table.num_rows)))
    firsts = whole.group_by(whole.column_names[:-1], use_threads=False).aggregate([(_ROW, "min")]).column(f"{_ROW}_min")
    later = pc.invert(pc.is_in(whole.column(_ROW), value_set=firsts.combine_chunks()))
    for name in whole.column_names[:-1]:
        later = pc.and_(later, pc.is_valid(whole.column(name)))
    back = pc.sort_indices(order)  # from the source's order to the table's
    return _one(later).take(back)


def _one(column: Any) -> pa.BooleanArray:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
