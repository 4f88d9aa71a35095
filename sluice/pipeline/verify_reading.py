"""What `sluice verify` reads of one object: its source, and the files of each chunk, in a memory that does not grow.

Of what is large, two are read at a time, by threads of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from sluice.pipeline import storage
from sluice.pipeline.key_counts import KeyColumns
from sluice.pipeline.ledger import Entry, Item
from sluice.pipeline.reconcile import Buckets, Source
from sluice.pipeline.row_ids import RowIds
from sluice.pipeline.source import UncountableError, count_rows, known_datasets
from sluice.pipeline.storage import Content
from sluice_pipeline.ledger.items import State
from sluice_pipeline.objects.keys import dataset_of

type Rows = dict[str, int]
"""Of files, by their keys."""

LARGE_ROWS, LARGE_BYTES, LARGE_AT_ONCE = 10_000, 4_000_000, 2
"""Of chunks and sources with more rows or bytes so many are read at once; more would take memory that grows with the
number of objects, and no less time."""


@contextmanager
def memory_given_back() -> Iterator[None]:
    """Arrow's own allocator holds what each thread has freed: 60 MB after a few files."""
    import pyarrow as pa

    former = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(former)


class Reader:
    """Reads with a client of S3. ``keys``: the key columns of the committed files that were read."""

    def __init__(self, s3: Any, buckets: Buckets) -> None:
        self._s3, self._buckets = s3, buckets
        self._large = ThreadPoolExecutor(LARGE_AT_ONCE)
        self.keys = KeyColumns()

    def close(self) -> None:
        self._large.shutdown(cancel_futures=True)
        self.keys.close()

    def rows(self, entry: Entry) -> tuple[Rows, Rows, RowIds]:
        """The rows of the silver and of the quarantine files that are there, and their ids."""
        staged = entry.staged
        silver: Rows = {}
        quarantine: Rows = {}
        ids = RowIds(entry.object_id)
        for chunk in entry.live_chunks:
            large = _is_large(int(chunk.get("rows_in") or 0), int(chunk["end"]) - int(chunk["start"]))
            keep = entry.state == State.COMMITTED
            found = self._in_turn(large, partial(self._counted, chunk, staged, ids, keep=keep))
            silver |= found[0]
            quarantine |= found[1]
        if not ids.certain:  # rows of one chunk may be in another, too
            chunks = [self._read(chunk, staged) for chunk in entry.live_chunks]
            ids = RowIds(entry.object_id)
            ids.add(content.record_ids for parts in chunks for part in parts for content in part.values())
        return silver, quarantine, ids

    def source(self, entry: Entry) -> Source:
        """Counts the version that the ledger planned; an object that never reached silver has nothing to compare."""
        if entry.state in (State.FAILED, State.MISSING):
            return Source(None, entry.state)
        large = _is_large(entry.number("rows_in"), entry.number("size"))
        return self._in_turn(large, partial(self._source, entry))

    def _in_turn[R](self, large: bool, work: Callable[[], R]) -> R:
        """Threads of their own read what is large, for each thread that has done it holds memory for the next time."""
        return self._large.submit(work).result() if large else work()

    def _counted(self, chunk: Item, staged: Mapping[str, str], ids: RowIds, *, keep: bool) -> tuple[Rows, Rows]:
        """The rows of a chunk's silver and quarantine files, whose ids are added to ``ids``."""
        parts = self._read(chunk, staged, keep=keep)
        ids.add(content.record_ids for part in parts for content in part.values())
        silver, quarantine = ({key: content.rows for key, content in part.items()} for part in parts)
        return silver, quarantine

    def _read(
        self, chunk: Item, staged: Mapping[str, str], *, keep: bool = False
    ) -> tuple[dict[str, Content], dict[str, Content]]:
        """The silver and the quarantine files of a chunk. ``keep``: add their key columns to the count."""

        def read(s3: Any, bucket: str, key: str) -> Content:
            columns = KeyColumns.of(name := storage.dataset_in(key)) if keep else ()
            content = storage.silver_content(s3, bucket, key, columns)
            if columns:
                self.keys.add(name, content.columns)
            return replace(content, columns=None)

        outputs = [str(file["key"]) for file in chunk.get("outputs", [])]
        silver = storage.contents(read, self._s3, self._buckets.silver, (key for key in outputs if key not in staged))
        waiting = {staged[key]: key for key in outputs if key in staged} if self._buckets.staging else {}
        found = storage.contents(storage.silver_content, self._s3, self._buckets.staging, waiting)
        rejected = [str(file["key"]) for file in chunk.get("quarantine", [])]
        quarantine = storage.contents(storage.quarantine_content, self._s3, self._buckets.quarantine, rejected)
        return silver | {waiting[place]: content for place, content in found.items()}, quarantine

    def _source(self, entry: Entry) -> Source:
        # Of a version that is gone the bytes may be there in a later upload.
        for item in filter(None, (entry.item, entry.item.get("newest"))):
            which = {"VersionId": item["version_id"]} if item.get("version_id") else {}
            try:
                body = self._s3.get_object(Bucket=item["bucket"], Key=item["key"], **which)["Body"]
                return Source(count_rows(entry.key, body, known_datasets().get(dataset_of(entry.key) or "")))
            except UncountableError as error:
                return Source(None, str(error))
            except Exception as error:
                if not storage.gone(error):
                    raise
        return Source(None, "the version is gone")  # lifecycle or a deletion after the commit


def _is_large(rows: int, size: int) -> bool:
    return rows > LARGE_ROWS or size > LARGE_BYTES
