"""Rows that repeat what no two rows of an object share: the first that is good in all else stays, by its offset."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from core.transform.exact import RowError
from core.transform.lines import Lines
from core.transform.readers import Reader
from core.transform.row_by_row import Bad, shown
from sluice_pipeline.catalog.datasets import Dataset
from sluice_pipeline.objects.failures import Reason

type _Repeated = list[tuple[tuple[str, ...], int]]
"""Which fields of a row repeat an earlier one's, and the offset of that one."""


def without_repeats(
    table: pa.Table, lines: Lines, dataset: Dataset, reader: Reader, offset_name: str
) -> tuple[pa.Table, list[Bad]]:
    """The rows that keep the dataset's ``unique``, and the others with their errors.

    ``table`` has the rows that keep all other rules, from the object's first one on; ``lines`` are the same rows.
    A row in which a field has no value is not compared by it.
    """
    if not any(_has_repeats(table, names) for names in dataset.unique):
        return table, []
    bad: list[Bad] = []
    offsets = table.column(offset_name).to_pylist()
    for index, repeated in _repeats(table, dataset.unique, offsets):
        raw = lines.raw(index)
        row = reader.read_exactly(raw, dataset.fields, routing=False)
        errors = tuple(
            RowError(
                names[0],
                Reason.NOT_UNIQUE,
                shown(row, names),
                f"another {', '.join(names)} than the row at byte {first} has",
            )
            for names, first in repeated
        )
        bad.append((offsets[index], raw, errors))
    repeating = pa.array([offset for offset, _, _ in bad], pa.int64())
    return table.filter(pc.invert(pc.is_in(table.column(offset_name), repeating))), bad


def _has_repeats(table: pa.Table, names: Sequence[str]) -> bool:
    keys = table.select(names).drop_null()
    return bool(keys.group_by(list(names), use_threads=False).aggregate([]).num_rows < keys.num_rows)


def _repeats(
    table: pa.Table, combinations: Sequence[tuple[str, ...]], offsets: Sequence[int]
) -> Iterator[tuple[int, _Repeated]]:
    """Rows, by index, that have what an earlier row has that is none of them."""
    columns = {name: _values(table.column(name)) for names in combinations for name in names}
    keys = [list(zip(*(columns[name] for name in names), strict=True)) for names in combinations]
    seen: list[dict[tuple[object, ...], int]] = [{} for _ in combinations]
    for index, offset in enumerate(offsets):
        own = [key[index] for key in keys]
        repeated = [
            (names, before[key]) for names, key, before in zip(combinations, own, seen, strict=True) if key in before
        ]
        if repeated:
            yield index, repeated
            continue
        for key, before in zip(own, seen, strict=True):
            if None not in key:
                before[key] = offset


def _values(column: pa.ChunkedArray) -> list[object]:
    """Times as numbers: Python's cannot hold all of silver's."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return list(column.to_pylist())
