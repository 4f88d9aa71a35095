"""Rows whose key occurs more than once in committed silver: counted by `verify`, remembered for `status`.

`verify` reads every silver file anyway, so counting costs no request more; the keys wait on disk until all are there.
`status` would have to read them all, so it shows the last count as long as nothing was committed since, and else says
that nothing was counted.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice import paths
from sluice.pipeline.ledger import LedgerView
from sluice.pipeline.source import known_datasets
from sluice_pipeline.ledger.items import State

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack


@dataclass(frozen=True)
class Duplicates:
    """``rows``: those whose key another row has, too. ``keys``: how many keys they have, each a row of ``_current``."""

    rows: int
    keys: int

    def __str__(self) -> str:
        return f"{self.rows:,} rows have {self.keys:,} key{'' if self.keys == 1 else 's'}"


LAST = 200
"""Committed objects that are compared one by one: more than are committed while clocks of two functions differ."""
_MEMORY, _THREADS = "64MB", 1
_CLOSED: Any = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}

type Counts = dict[str, Duplicates | None]
"""By dataset; None where they could not be counted."""


class KeyColumns:
    """The key columns of silver files, by dataset, on this machine's disk until ``close``.

    Threads may add to it side by side.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-keys-")
        self._lock = threading.Lock()
        self._files: dict[tuple[str, Any], Any] = {}
        """By dataset and schema: files of before and after a change of the rules have other types."""

    @staticmethod
    def of(dataset: str) -> tuple[str, ...]:
        """The names of the key columns; none when this checkout knows no key of the dataset."""
        known = known_datasets().get(dataset)
        return known.key if known else ()

    def add(self, dataset: str, part: Any) -> None:
        """``part``: a pyarrow table."""
        import pyarrow as pa

        place = dataset, part.schema
        with self._lock:
            if place not in self._files:
                self._files[place] = pa.ipc.new_stream(str(self._path(len(self._files))), part.schema)
            self._files[place].write_table(part)

    def count(self) -> Counts:
        """Counts what was added; nothing can be added after it."""
        paths: dict[str, list[Path]] = {}
        for number, ((dataset, _), file) in enumerate(self._files.items()):
            file.close()
            paths.setdefault(dataset, []).append(self._path(number))
        return {name: _count(found, self.of(name), self._folder.name) for name, found in sorted(paths.items())}

    def close(self) -> None:
        """Remove them from the disk."""
        self._folder.cleanup()

    def _path(self, number: int) -> Path:
        return Path(self._folder.name) / str(number)


def _count(paths: Sequence[Path], key: tuple[str, ...], folder: str) -> Duplicates | None:
    """NULL is a value like others, as in ``_current``. What does not fit into the memory goes into the folder."""
    import duckdb
    import pyarrow as pa

    config: dict[str, Any] = {"memory_limit": _MEMORY, "temp_directory": f"{folder}/duckdb", "threads": _THREADS}
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in key)
    grouped = f"SELECT count(*) AS n FROM t GROUP BY {names} HAVING count(*) > 1"
    try:
        with duckdb.connect(":memory:", config=config | _CLOSED) as connection:
            connection.register("t", _stream(paths))
            [(rows, keys)] = connection.execute(f"SELECT coalesce(sum(n), 0), count(*) FROM ({grouped})").fetchall()
    except (pa.ArrowException, duckdb.Error):  # columns of types that do not compare, or too much for memory and disk
        return None
    return Duplicates(int(rows), int(keys))


def _stream(paths: Sequence[Path]) -> Any:
    """The rows of all files as one reader, with the types that fit them all. Raises ArrowException for others."""
    import pyarrow as pa

    readers = [pa.ipc.open_stream(str(path)) for path in paths]
    schema = pa.unify_schemas([reader.schema for reader in readers], promote_options="permissive")
    batches = (batch.cast(schema) for reader in readers for batch in reader)
    return pa.RecordBatchReader.from_batches(schema, batches)


# -- remembered --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Remembered:
    """``of``: what was counted, see ``state_of``."""

    at: str
    of: str
    counts: Counts


def state_of(stack: Stack, committed: int | None = None) -> str:
    """What a count is a count of: how many objects are committed (``committed``, if known), the last that were, each
    with its run and its end, and the datasets of this checkout.

    An object that is committed, also again, becomes one of the last; one that leaves is missing in the number. So
    100,000 objects cost what a thousand do.
    """
    ledger = LedgerView.of(stack)
    number = ledger.count(State.COMMITTED) if committed is None else committed
    digest = hashlib.sha256(f"{number}\n".encode())
    for entry in sorted(ledger.last_runs(LAST)):
        digest.update(f"{' '.join(entry)}\n".encode())
    for path in sorted(paths.DATASETS_DIR.glob("*.y*ml")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def remember(stack: Stack, before: str, counts: Mapping[str, Duplicates | None]) -> None:
    """Stores a count, unless something was committed between ``before`` (state_of) and now."""
    if state_of(stack) != before:
        return
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = json.dumps(asdict(Remembered(at, before, dict(counts))))
    file = _file(stack)
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text)
        partial.replace(file)
    except OSError:
        return  # a checkout that cannot be written: status says that nothing was counted


def remembered(stack: Stack, committed: int | None = None) -> Remembered | None:
    """The last count if it is still true; None when there is none, or something was committed since.

    ``committed``: how many objects are, if the caller knows.
    """
    try:
        raw = json.loads(_file(stack).read_text())
        counts = {name: Duplicates(**found) if found else None for name, found in raw["counts"].items()}
        last = Remembered(str(raw["at"]), str(raw["of"]), counts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return last if last.of == state_of(stack, committed) else None


def _file(stack: Stack) -> Path:
    place = json.dumps([stack.endpoint_url, stack.region, stack.outputs.get("account_id"), stack["ledger_table"]])
    return paths.CACHE_DIR / "duplicates" / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"
