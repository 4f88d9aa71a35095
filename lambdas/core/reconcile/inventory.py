"""The rows of an inventory, read in constant memory; a pass goes on after so many lines of one of its files.

Rows have no order and no header; the manifest says what their columns are, and keys are URL-encoded:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
"""

import csv
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from gzip import BadGzipFile, GzipFile
from itertools import islice
from typing import Any, Final
from urllib.parse import unquote_plus

from core.reconcile.deliveries import DataFile, Deliveries, InventoryRefusedError
from core.reconcile.listed import Listed, Page
from core.reconcile.progress import Progress, ProgressStore
from core.reconcile.window import Window
from sluice_pipeline.objects.keys import BRONZE
from sluice_pipeline.runtime.clock import written
from sluice_pipeline.runtime.telemetry import measure

LATE: Final = timedelta(days=3)  # S3 delivers daily, the first time within 48 hours
PAGE_ROWS: Final = 100_000  # after which a page ends, so that a run sees how much time it has
PAGE_OBJECTS: Final = 1000
_LINE_BYTES: Final = 64 * 1024  # a key has 1,024 bytes, three times as many when it is encoded
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_BROKEN: Final = (EOFError, BadGzipFile, zlib.error, csv.Error, ValueError)


class InventoryLateError(Exception):
    """No delivery comes: look at the bucket's inventory configuration, and at the destination's policy."""


class Inventory:
    """The list that S3 delivers once a day: a pass begins with each that is new.

    It has what was there when S3 began to write it, and may lack what came shortly before, as S3 says; the overlap of
    the windows is for that.
    """

    def __init__(self, deliveries: Deliveries, store: ProgressStore) -> None:
        self._deliveries = deliveries
        self._store = store

    def open(self, progress: Progress, now: datetime) -> bool:
        """Whether there is a list to compare. Raises InventoryLateError when S3 has delivered none for LATE."""
        if progress.began and progress.manifest:
            measure(InventoryAgeSeconds=(now - progress.began).total_seconds())
            return True
        newest = self._deliveries.newest(now)
        if newest is None:
            since = progress.waiting_since
            if since is None:
                # All that were read may have expired.
                since = (progress.done_until if progress.closed else None) or now
                self._store.wait(since)
            return _late(now - since)
        if newest.manifest == progress.closed:
            return _late(now - newest.moment)
        progress.manifest = newest.manifest  # which is refused when it cannot be read
        created = self._deliveries.manifest(newest.manifest).created
        self._store.begin(progress, min(created, newest.moment), newest.manifest)
        measure(InventoryAgeSeconds=(now - newest.moment).total_seconds())
        return True

    def pages(self, progress: Progress, window: Window) -> Iterator[Page]:
        """Current versions under ``bronze/`` that the window may hold, from the position on (``<file>:<line>``).

        Raises InventoryRefusedError at a file's end when it is not what the manifest says: what came before was looked
        up in the bucket, so nothing wrong was announced, and the pass does not count as whole.
        """
        manifest = self._deliveries.manifest(progress.manifest)
        file, _, line = progress.position.partition(":")
        first, skipped = int(file or 0), int(line or 0)
        rows = _Rows(self._deliveries, manifest.columns, window)
        for number in range(first, len(manifest.files)):
            yield from rows.pages(manifest.files[number], number, skipped if number == first else 0)


def _late(age: timedelta) -> bool:
    measure(InventoryAgeSeconds=age.total_seconds())
    if age > LATE:
        raise InventoryLateError(f"S3 has delivered no inventory that can be read for {age.days} days")
    return False


class _Rows:
    def __init__(self, deliveries: Deliveries, columns: Sequence[str], window: Window) -> None:
        self._deliveries = deliveries
        self._source = deliveries.source
        self._window = window
        self._width = len(columns)
        at = {name: index for index, name in enumerate(columns)}
        self._bucket, self._key, self._size = at["Bucket"], at["Key"], at["Size"]
        self._modified, self._etag = at["LastModifiedDate"], at["ETag"]
        # A list of all versions has these.
        self._latest, self._deleted = at.get("IsLatest"), at.get("IsDeleteMarker")

    def pages(self, file: DataFile, number: int, skipped: int) -> Iterator[Page]:
        """The last page of a file comes once its checksum is known to be right."""
        try:
            yield from self._pages(file, number, skipped)
        except _BROKEN as error:
            raise InventoryRefusedError(f"{file.key} is no inventory: {type(error).__name__} {error}") from error

    def _pages(self, file: DataFile, number: int, skipped: int) -> Iterator[Page]:
        source = _Blocks(self._deliveries.blocks(file))
        lines = _lines(source)
        for _ in islice(lines, skipped):
            pass
        reader = csv.reader(lines, strict=True)
        found: list[Listed] = []
        seen = 0
        for row in reader:
            seen += 1
            if one := self._current(row):
                found.append(one)
            if len(found) >= PAGE_OBJECTS or seen >= PAGE_ROWS:
                yield Page(found, f"{number}:{skipped + reader.line_num}", seen)
                found, seen = [], 0
        source.drain()
        yield Page(found, f"{number + 1}:0", seen)

    def _current(self, row: list[str]) -> Listed | None:
        """The object of a row; None when the window cannot hold it, or when it is no current version of bronze."""
        if len(row) != self._width or row[self._bucket] != self._source:
            raise ValueError(f"a row is not one of {self._width} fields about {self._source}")
        modified = row[self._modified]
        if not _STAMP.fullmatch(modified):
            modified = written(datetime.fromisoformat(modified))
        if not self._window.since_multipart <= modified < self._window.until:
            return None
        if self._says(row, self._latest, "false") or self._says(row, self._deleted, "true"):
            return None
        key = unquote_plus(row[self._key], errors="strict")
        if not key.startswith(BRONZE):
            return None
        return Listed(key, row[self._etag].strip('"'), int(row[self._size]), modified)

    @staticmethod
    def _says(row: list[str], column: int | None, value: str) -> bool:
        return column is not None and row[column].lower() == value


class _Blocks(io.RawIOBase):
    """Blocks of bytes as a file."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._left = memoryview(block)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    def drain(self) -> None:
        """Reads what is left, for the sake of the checksum."""
        for _ in self._blocks:
            pass


def _lines(source: _Blocks) -> Iterator[str]:
    """Raises ValueError for a line that no row can have, before it is in memory."""
    with GzipFile(fileobj=io.BufferedReader(source), mode="rb") as unpacked:
        while line := unpacked.readline(_LINE_BYTES):
            if len(line) == _LINE_BYTES:
                raise ValueError(f"a line of more than {_LINE_BYTES} bytes")
            yield line.decode()
