"""Typed tables to Parquet objects, one for each dataset and date; the same rows give the same bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.transform.rows import OFFSET
from sluice_pipeline.catalog.datasets import Dataset
from sluice_pipeline.ledger.items import Output
from sluice_pipeline.objects.failures import Failure, ObjectFailed
from sluice_pipeline.objects.identity import Origin
from sluice_pipeline.objects.keys import silver_key

RECORD_ID: Final = "_record_id"
SOURCE_KEY: Final = "_source_key"
SOURCE_VERSION: Final = "_source_version"
MAX_DATES: Final = 10_000  # of a chunk and dataset: as many files as a function can write in its time
# Values that grow from row to row, or share a long prefix, are stored as differences; a dictionary would double them.
_DIFFERENCES: Final = "DELTA_BINARY_PACKED"
_ENCODING: Final = {OFFSET: _DIFFERENCES, RECORD_ID: "DELTA_BYTE_ARRAY"}
_SAMPLE: Final = 1024  # rows


@dataclass(frozen=True, slots=True)
class SilverFile:
    output: Output
    body: pa.Buffer


def require_few_dates(table: pa.Table, dataset: Dataset) -> None:
    """Raises ObjectFailed when there are more dates than a function can write files; nothing is to be written then."""
    if table.num_rows <= MAX_DATES:
        return
    dates = pc.count_distinct(table.column(dataset.partition_by).cast(pa.date32())).as_py()
    if dates > MAX_DATES:
        raise ObjectFailed(
            Failure.OVER_LIMIT,
            f"{dates} dates in one chunk are more than the limit of {MAX_DATES}, and each is a file: "
            f"sort the rows by {dataset.partition_by}, or cut the object",
        )


def silver_files(table: pa.Table, dataset: Dataset, origin: Origin, chunk: int) -> Iterator[SilverFile]:
    """One Parquet file for each UTC date in the table's partition field, rows in the order of the source."""
    for dt, part in _by_date(table, dataset.partition_by):
        body = _parquet(with_lineage(part, origin))
        key = silver_key(dataset.name, dt, origin.object_id, chunk)
        yield SilverFile(Output(key=key, dataset=dataset.name, dt=dt, rows=part.num_rows, bytes=body.size), body)


def with_lineage(table: pa.Table, origin: Origin) -> pa.Table:
    """Adds where each row comes from; the record id is its origin's identity and its byte offset."""
    offsets = table.column(OFFSET)
    record_id = pc.binary_join_element_wise(origin.object_id, offsets.cast(pa.string()), "-")
    rows = table.num_rows
    return (
        table.drop_columns([OFFSET])
        .append_column(SOURCE_KEY, pa.repeat(pa.scalar(origin.key, pa.string()), rows))
        .append_column(SOURCE_VERSION, pa.repeat(pa.scalar(origin.version_id, pa.string()), rows))
        .append_column(OFFSET, offsets)
        .append_column(RECORD_ID, record_id)
    )


def _by_date(table: pa.Table, field: str) -> Iterator[tuple[str, pa.Table]]:
    days = table.column(field).cast(pa.date32()).combine_chunks()
    counts = sorted((entry["values"], entry["counts"]) for entry in pc.value_counts(days).to_pylist())
    if pc.any(pc.greater(days[:-1], days[1:])).as_py():
        table = table.take(pc.array_sort_indices(days))  # rows of one day stay in their order: the sort is stable
    begin = 0
    for day, rows in counts:
        yield day.isoformat(), table.slice(begin, rows)
        begin += rows


def _parquet(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    distinct = [name for name in table.column_names if name not in _ENCODING and _is_distinct(table.column(name))]
    differences = {name: _DIFFERENCES for name in distinct if _is_counted(table.schema.field(name).type)}
    pq.write_table(
        table,
        sink,
        compression="snappy",
        use_dictionary=[name for name in table.column_names if name not in (*_ENCODING, *distinct)],
        column_encoding=_ENCODING | differences,
        write_statistics=True,
        coerce_timestamps="us",
    )
    return sink.getvalue()


def _is_counted(kind: pa.DataType) -> bool:
    """Whether values are stored as whole numbers of 4 or 8 bytes; a decimal is stored otherwise."""
    return bool(pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _is_distinct(column: pa.ChunkedArray) -> bool:
    """Whether hardly a value comes twice, as a sample says: a dictionary of such a column is larger than the column.

    Of n rows of a sample about n * n / 2 / N are repeats when there are N values. The sample is the same in each try.
    """
    rows = len(column)
    sample = column if rows <= _SAMPLE else column.take(_sample(rows))
    repeats = len(sample) - pc.count_distinct(sample, mode="all").as_py()
    return bool(repeats * rows * 2 < len(sample) ** 2)


@lru_cache(maxsize=8)
def _sample(rows: int) -> pa.Array:
    return pa.array(Random(0).sample(range(rows), _SAMPLE), pa.int64())
