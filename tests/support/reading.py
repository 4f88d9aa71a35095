"""An object read as ingest and transform read it, without AWS: ingest's cut, then each chunk's rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from core.ingest.cut import Limits
from core.ingest.cut import cut as ingest_cut
from core.transform import content, shape
from core.transform import rows as transform_rows
from core.transform.rows import OFFSET, BadRow, PartitionedRows
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import Catalog, parse_catalog
from sluice_pipeline.objects import formats
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.keys import dataset_of

CATALOG: Catalog = parse_catalog(compile_catalog(Path(__file__).parents[2] / "datasets"))
CHUNK = 16 * 1024 * 1024
LIMIT = 64 * 1024 * 1024


@contextmanager
def small_sets() -> Iterator[None]:
    """Readers that take few rows, so that all of them have a part in a small example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shape, "MIN_ROWS", 1)
        patch.setattr(transform_rows, "_SMALL_SET", 2)
        yield


@dataclass
class ReadObject:
    """Every row of an object; ``silver`` by dataset, in the order of the source."""

    chunks: int = 0
    rows_in: int = 0
    trailing: int = 0
    silver: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)

    def add(self, rows: PartitionedRows) -> None:
        self.rows_in += rows.rows_in
        for name, table in rows.tables.items():
            self.silver.setdefault(name, []).extend(readable(table).to_pylist())
        self.bad += sorted(rows.bad, key=lambda row: row.offset)

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        return self.silver.get(dataset, [])

    @property
    def offsets(self) -> list[tuple[int, bool]]:
        """Where each row begins, and whether it is in silver."""
        good = [(row[OFFSET], True) for rows in self.silver.values() for row in rows]
        return sorted(good + [(row.offset, False) for row in self.bad])


def readable(table: pa.Table) -> pa.Table:
    """Times as texts: Python's cannot hold all of silver's."""
    columns = [
        column.cast(pa.string()) if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type) else column
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def cut(key: str, body: bytes, chunk_bytes: int = CHUNK, catalog: Catalog = CATALOG, limit: int = LIMIT) -> list[Chunk]:
    """Ingest's chunks of an object; raises ObjectFailed as ingest does."""
    dataset = catalog.datasets.get(dataset_of(key) or "")
    head = body[: formats.SNIFF_BYTES]
    return ingest_cut(key, len(body), head, lambda: iter([body]), dataset, Limits(chunk_bytes, limit))


def read_object(
    key: str, body: bytes, chunk_bytes: int = CHUNK, catalog: Catalog = CATALOG, limit: int = LIMIT
) -> ReadObject:
    """All rows of an object under this key (``bronze/<dataset>/...``); raises ObjectFailed as the functions do."""
    found = ReadObject()
    dataset = dataset_of(key) or ""

    def read(start: int, end: int) -> bytes:
        return body[start:end]

    for chunk in cut(key, body, chunk_bytes, catalog, limit):
        rows = content.of_chunk(key, chunk, read, len(body), limit, catalog, dataset)
        found.chunks += 1
        found.trailing += rows.trailing
        found.add(content.partition(rows, catalog, dataset))
    return found
