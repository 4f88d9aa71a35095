"""Rows whose key occurs more than once, counted with the keys on disk and a bounded number of them in memory.

The rows of a dataset are split by a hash of their key until a part has few enough rows; equal keys are in the same
part. So the sum of the parts' counts is the count, and counting needs the memory of one part, however many there are.
"""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.pipeline.source import known_datasets


@dataclass(frozen=True)
class Duplicates:
    """``rows``: those whose key another row has, too. ``keys``: how many keys they have, each a row of ``_current``."""

    rows: int
    keys: int

    def __str__(self) -> str:
        return f"{self.rows:,} rows have {self.keys:,} key{'' if self.keys == 1 else 's'}"

    def __add__(self, other: Duplicates) -> Duplicates:
        return Duplicates(self.rows + other.rows, self.keys + other.keys)


type Counts = dict[str, Duplicates | None]
"""By dataset; None where they could not be counted."""

PART_ROWS, PART_BYTES = 100_000, 8_000_000
"""The rows, and the bytes of their keys, that are counted at a time: DuckDB needs 25 to 30 MB for them."""
FAN = 64
"""Parts into which rows are split at a time, each an open file; with more parts these are split again."""
_BATCH_ROWS, _BATCH_BYTES = 65_536, 4_000_000
_MEMORY, _THREADS = "64MB", 1  # of DuckDB; what does not fit goes into its folder
_CLOSED: Any = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


class KeyColumns:
    """The key columns of silver files, by dataset, on this machine's disk until ``close``.

    Threads may add to it side by side.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-keys-")
        self._lock = threading.Lock()
        self._files: dict[tuple[str, Any], _File] = {}
        """By dataset and schema: files of before and after a change of the rules have other types."""

    @staticmethod
    def of(dataset: str) -> tuple[str, ...]:
        """The names of the key columns; none when this checkout knows no key of the dataset."""
        known = known_datasets().get(dataset)
        return known.key if known else ()

    def add(self, dataset: str, part: Any) -> None:
        """``part``: a pyarrow table."""
        place = dataset, part.schema
        with self._lock:
            if place not in self._files:
                self._files[place] = _File(Path(self._folder.name) / str(len(self._files)), part.schema)
            self._files[place].write(part)

    def count(self) -> Counts:
        """Counts what was added; nothing can be added after it."""
        files: dict[str, list[_File]] = {}
        for (dataset, _), file in self._files.items():
            file.close()
            files.setdefault(dataset, []).append(file)
        return {name: _count(found, self.of(name), Path(self._folder.name)) for name, found in sorted(files.items())}

    def close(self) -> None:
        """Remove them from the disk."""
        self._folder.cleanup()


class _File:
    """Record batches of one schema on disk, in Arrow's format of streams."""

    def __init__(self, path: Path, schema: Any) -> None:
        import pyarrow as pa

        self.path, self.schema, self.rows = path, schema, 0
        self._sink = pa.ipc.new_stream(str(path), schema)

    def write(self, rows: Any) -> None:
        """``rows``: a table or a record batch."""
        self._sink.write(rows)
        self.rows += rows.num_rows

    def close(self) -> None:
        self._sink.close()

    def read(self) -> Iterator[Any]:
        """Its batches."""
        import pyarrow as pa

        with pa.OSFile(str(self.path)) as file, pa.ipc.open_stream(file) as reader:
            yield from reader


def _count(files: Sequence[_File], key: Sequence[str], folder: Path) -> Duplicates | None:
    """NULL is a value like others, as in ``_current``. None when it cannot be counted."""
    import duckdb
    import pyarrow as pa

    config: dict[str, Any] = {"memory_limit": _MEMORY, "temp_directory": f"{folder}/duckdb", "threads": _THREADS}
    try:
        schema = pa.unify_schemas([file.schema for file in files], promote_options="permissive")
        batches = (batch.cast(schema) for file in files for batch in file.read())
        rows, size = sum(file.rows for file in files), sum(file.path.stat().st_size for file in files)
        parts = max(1, math.ceil(rows / PART_ROWS), math.ceil(size / PART_BYTES))
        with duckdb.connect(":memory:", config=config | _CLOSED) as connection:
            return _Counter(connection, schema, key, folder).count(batches, parts)
    except (pa.ArrowException, duckdb.Error):  # columns of types that do not compare, or too much for memory and disk
        return None


class _Counter:
    """Counts rows of one schema. ``folder``: where parts are written, each until it is counted."""

    def __init__(self, connection: Any, schema: Any, key: Sequence[str], folder: Path) -> None:
        self._connection, self._schema, self._folder = connection, schema, folder
        self._names = ", ".join('"' + name.replace('"', '""') + '"' for name in key)

    def count(self, batches: Iterable[Any], parts: int, before: int = 1) -> Duplicates:
        """``parts``: into how many these rows are split; ``before``: of how many parts they are one already."""
        import pyarrow as pa

        if parts == 1:
            reader = pa.RecordBatchReader.from_batches(self._schema, batches)
            grouped = f"SELECT count(*) AS n FROM rows GROUP BY {self._names} HAVING count(*) > 1"
            [(rows, keys)] = self._ask(f"SELECT coalesce(sum(n), 0), count(*) FROM ({grouped})", reader).fetchall()
            return Duplicates(int(rows), int(keys))
        number = min(parts, FAN)
        total = Duplicates(0, 0)
        for file in self._split(batches, number, before):
            total += self.count(file.read(), math.ceil(parts / number), before * number)
            file.path.unlink()
        return total

    def _split(self, batches: Iterable[Any], number: int, before: int) -> list[_File]:
        import pyarrow.compute as pc

        files = [_File(self._folder / f"part-{before}-{part}", self._schema) for part in range(number)]
        with ExitStack() as open_files:
            for file in files:
                open_files.callback(file.close)
            for rows in _joined(batches):
                # The hash that DuckDB groups by: values that it takes for equal, as 0.0 and -0.0, have the same.
                found = self._ask(f"SELECT (hash({self._names}) // {before}) % {number} FROM rows", rows)
                part_of = found.to_arrow_table().column(0)
                for part, file in enumerate(files):
                    file.write(rows.filter(pc.equal(part_of, part)))
        return files

    def _ask(self, question: str, rows: Any) -> Any:
        self._connection.register("rows", rows)
        return self._connection.sql(question)


def _joined(batches: Iterable[Any]) -> Iterator[Any]:
    """Tables of the rows of several batches: a small object is a batch of its own."""
    import pyarrow as pa

    waiting: list[Any] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield pa.Table.from_batches(waiting).combine_chunks()
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()
