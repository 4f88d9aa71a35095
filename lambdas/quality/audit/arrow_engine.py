"""Expectations on whole columns, a part of the rows at a time."""

import re
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from quality.audit.rows import SAMPLES, Outcome, Rows
from sluice_pipeline.catalog.conditions import Comparison, Operand
from sluice_pipeline.catalog.expectations import WHOLE, Expectation, Kind, as_time, whole
from sluice_pipeline.catalog.fields import Field
from sluice_pipeline.catalog.truth import Column, truth
from sluice_pipeline.dynamo.values import text_of

NAME: Final = "pyarrow"
_ROW: Final = "_row"
_UNIQUE: Final = (Kind.UNIQUE, Kind.UNIQUE_TOGETHER)


def judge(expectations: Sequence[Expectation], rows: Rows) -> list[Outcome]:
    """What became of each expectation, in their order."""
    judges = [_judge_of(one, rows) for one in expectations]
    columns = list(dict.fromkeys(name for one in expectations for name in one.fields))
    begin = 0
    for table in rows.tables(columns) if columns else ():
        part = table.combine_chunks()
        for one in judges:
            one.add(part, begin)
        begin += table.num_rows
    return [one.outcome() for one in judges]


def missing(column: pa.Array) -> pa.BooleanArray:
    """Which values are none: nulls, and what is no number among numbers."""
    return pc.is_null(column, nan_is_null=pa.types.is_floating(column.type))


def array(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece."""
    found = table.column(name)
    return found.chunk(0) if found.num_chunks == 1 else pa.concat_arrays(found.chunks or [pa.array([], found.type)])


def fulfilled(expectation: Expectation, fields: dict[str, Field], column: Column) -> pa.BooleanArray:
    """Of which rows it is true; null where the row has not what it reads. Not for WHOLE, nor for what is unique."""
    if expectation.kind == Kind.CONDITION and expectation.condition:
        return truth(expectation.condition.node, column)
    values = column(expectation.fields[0])
    none = missing(values)
    if expectation.kind == Kind.NOT_NULL:
        return pc.invert(none)
    match expectation.kind:
        case Kind.RANGE:
            found = _in_range(expectation, fields[expectation.fields[0]], column)
        case Kind.SET:
            found = pc.is_in(values, value_set=pa.array(expectation.allowed, values.type))
        case _:
            found = _matches(values, re.compile(whole(expectation.pattern)))
    return pc.if_else(none, pa.scalar(None, pa.bool_()), found)


def _in_range(expectation: Expectation, field: Field, column: Column) -> pa.BooleanArray:
    kind = "decimal" if field.decimal else field.type
    found = pa.scalar(True)
    for operator, bound in ((">=", expectation.minimum), ("<=", expectation.maximum)):
        if bound is not None:
            one = truth(Comparison(Operand(field.name), operator, Operand(value=bound), kind), column)
            found = pc.and_(found, one)
    return found


def _matches(values: pa.Array, pattern: re.Pattern[str]) -> pa.BooleanArray:
    """Each value that occurs is looked at once."""
    codes = values.dictionary_encode()
    found = [pattern.search(text) is not None for text in codes.dictionary.to_pylist()]
    return pc.take(pa.array(found, pa.bool_()), codes.indices)


class _Judge:
    """Judges one expectation part by part."""

    def __init__(self, expectation: Expectation, rows: Rows) -> None:
        self._expectation = expectation
        self._rows = rows

    def add(self, part: pa.Table, begin: int) -> None:
        """The next rows; ``begin``: the number of the first."""

    def outcome(self) -> Outcome:
        raise NotImplementedError


class _RowByRow(_Judge):
    def __init__(self, expectation: Expectation, rows: Rows) -> None:
        super().__init__(expectation, rows)
        self._fields = rows.dataset.columns
        self._judged = self._failed = 0
        self._first: list[int] = []

    def add(self, part: pa.Table, begin: int) -> None:
        found = fulfilled(self._expectation, self._fields, lambda name: array(part, name))
        failed = pc.fill_null(pc.invert(found), False)
        self._judged += len(found) - found.null_count
        self._failed += failed.true_count
        if len(self._first) < SAMPLES and failed.true_count:
            numbers = pc.indices_nonzero(failed)[: SAMPLES - len(self._first)].to_pylist()
            self._first += [begin + number for number in numbers]

    def outcome(self) -> Outcome:
        passed = self._expectation.holds(self._judged, self._failed)
        return Outcome(passed, self._judged, self._failed, tuple(self._first))


class _Unique(_Judge):
    """Holds the fields of all rows: whether a value comes again is known only at the end."""

    def __init__(self, expectation: Expectation, rows: Rows) -> None:
        super().__init__(expectation, rows)
        self._parts: list[pa.Table] = []

    def add(self, part: pa.Table, begin: int) -> None:
        names = list(self._expectation.fields)
        numbers = pa.array(range(begin, begin + part.num_rows), pa.int64())
        present = pc.invert(missing(array(part, names[0])))
        for name in names[1:]:
            present = pc.and_(present, pc.is_valid(array(part, name)))
        self._parts.append(part.select(names).append_column(_ROW, numbers).filter(present))

    def outcome(self) -> Outcome:
        if not self._parts:
            return Outcome(True, 0)
        names = list(self._expectation.fields)
        whole_table = pa.concat_tables(self._parts).combine_chunks()
        counts = whole_table.group_by(names, use_threads=False).aggregate([(_ROW, "count"), (_ROW, "min")])
        again = counts.filter(pc.greater(counts.column(f"{_ROW}_count"), 1))
        failed = int(pc.sum(again.column(f"{_ROW}_count")).as_py() or 0)
        passed = self._expectation.holds(whole_table.num_rows, failed)
        return Outcome(passed, whole_table.num_rows, failed, self._members(whole_table, again))

    def _members(self, table: pa.Table, again: pa.Table) -> tuple[int, ...]:
        """The first rows that share their values: they are among those with the values that come first."""
        values = again.sort_by(f"{_ROW}_min").slice(0, SAMPLES)
        found: list[int] = []
        for index in range(values.num_rows):
            same: Any = pa.scalar(True)
            for name in self._expectation.fields:
                same = pc.and_(same, pc.equal(table.column(name), values.column(name)[index]))
            found += table.column(_ROW).filter(same).slice(0, SAMPLES).to_pylist()
        return tuple(sorted(found)[:SAMPLES])


class _RowCount(_Judge):
    def outcome(self) -> Outcome:
        return row_count(self._rows.count, self._expectation.holds_count(self._rows.count))


class _Fresh(_Judge):
    def __init__(self, expectation: Expectation, rows: Rows) -> None:
        super().__init__(expectation, rows)
        self._newest: Any = None

    def add(self, part: pa.Table, begin: int) -> None:
        del begin
        found = pc.max(array(part, self._expectation.fields[0])).as_py()
        if found is not None and (self._newest is None or found > self._newest):
            self._newest = found

    def outcome(self) -> Outcome:
        newest = as_time(self._newest)
        passed = newest is not None and newest >= self._expectation.oldest(self._rows.arrived)
        return freshness(self._rows.count, passed, newest)


def row_count(rows: int, passed: bool) -> Outcome:
    """The outcome of an expectation about the number of rows."""
    return Outcome(passed, rows, observed=f"{rows} rows")


def freshness(rows: int, passed: bool, newest: Any) -> Outcome:
    """The outcome of an expectation about the newest value; an object without a value is not fresh."""
    return Outcome(passed, rows, observed=f"newest {text_of(newest)}" if newest is not None else "no value")


def _judge_of(expectation: Expectation, rows: Rows) -> _Judge:
    if expectation.kind in WHOLE:
        return (_RowCount if expectation.kind == Kind.ROW_COUNT else _Fresh)(expectation, rows)
    return (_Unique if expectation.kind in _UNIQUE else _RowByRow)(expectation, rows)
