"""One chunk: read it, sort its rows, write silver and quarantine, count it, and announce a finished object."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from lines import Lines, csv_records, document_records, split_lines
from pipeline import formats
from pipeline.catalog import MIXED, Catalog
from pipeline.chunks import READ_AHEAD, read_owned
from pipeline.failures import Failure, ObjectFailed
from pipeline.formats import Format
from pipeline.items import ChunkItem, ChunkState, ObjectItem, Output
from pipeline.ledger import ChunkResult, Ledger
from pipeline.messages import ChunkMessage
from pipeline.notices import Announcements, Notices
from pipeline.storage import Storage
from quarantine import quarantine_files
from readers import CsvReader, JsonReader, Reader, csv_header
from rows import Sorted, sort_mixed, sort_rows
from silver import silver_files


class NotPlanned(RuntimeError):
    """The ledger has no such chunk; SQS delivers the message again, by then the plan may be there."""


@dataclass(frozen=True, slots=True)
class Buckets:
    silver: str
    quarantine: str


class ChunkProcessor:
    def __init__(
        self,
        s3: Any,
        ledger: Ledger,
        announcements: Announcements,
        catalog: Catalog,
        buckets: Buckets,
        single_chunk_bytes: int,
        notices: Notices,
        quarantine_ratio: float,
    ) -> None:
        self._s3 = s3
        self._storage = Storage(s3)
        self._ledger = ledger
        self._announcements = announcements
        self._catalog = catalog
        self._buckets = buckets
        self._limit = single_chunk_bytes
        self._notices = notices
        self._quarantine_ratio = quarantine_ratio

    def process(self, message: ChunkMessage) -> ChunkResult | None:
        """Does a chunk once, however often it is delivered; None when there was nothing left to do.

        Raises:
            NotPlanned, ObjectFailed, ObjectMissing: as their docstrings say; nothing has been counted then.
        """
        object_id, chunk = message.origin.object_id, message.chunk
        planned = self._ledger.chunk(object_id, chunk.index)
        if planned is None:
            raise NotPlanned(f"chunk {chunk.index} of {object_id} is not in the ledger")
        if int(planned["run"]) != message.run:
            if int(planned["run"]) < message.run:
                raise NotPlanned(f"chunk {chunk.index} of {object_id} is not yet in run {message.run}")
            return None  # a newer run has begun; its own messages do the work
        if planned["chunk_state"] == ChunkState.DONE:
            self._finish(message)
            return None
        result = self._write(message, self._sort(message))
        self._delete_left_over(planned, result)
        counted = self._ledger.complete_chunk(object_id, chunk, message.run, result)
        if counted and chunk.count == 1:  # completing the only chunk has claimed the commit along
            committed = self._announce(_item_of(message, result), list(result.outputs))
        else:
            committed = self._finish(message)
        return replace(result, committed=committed)

    # -- reading -----------------------------------------------------------------------------------------------------

    def _sort(self, message: ChunkMessage) -> Sorted:
        lines, reader = self._rows(message)
        return self._sorted(message.dataset, lines, reader)

    def _rows(self, message: ChunkMessage) -> tuple[Lines, Reader]:
        ref, chunk = message.object, message.chunk
        if chunk.count > 1:
            return self._part(message)
        data = self._storage.read(ref, 0, ref.size)
        if formats.is_gzip(data):
            data = formats.gunzip(data, self._limit)
        match formats.detect(message.origin.key, data):
            case Format.DOCUMENT:
                return document_records(data), JsonReader()
            case Format.CSV:
                return _csv(csv_records(data, 0))
            case _:
                return split_lines(data, 0), JsonReader()

    def _part(self, message: ChunkMessage) -> tuple[Lines, Reader]:
        ref, chunk = message.object, message.chunk

        def read(start: int, end: int) -> bytes:
            return self._storage.read(ref, start, end)

        begin, data = read_owned(read, chunk, ref.size)
        formats.require_text(ref.key, data[: formats.SNIFF_BYTES])
        lines = split_lines(data, begin)
        if not message.origin.key.lower().endswith(".csv"):
            return lines, JsonReader()
        if chunk.index == 0:
            return _csv(lines)
        head = split_lines(read(0, min(ref.size, READ_AHEAD)), 0)
        return lines, CsvReader(csv_header(head.raw(0)))

    def _sorted(self, dataset: str, lines: Lines, reader: Reader) -> Sorted:
        if dataset == MIXED:
            return sort_mixed(lines, self._catalog, reader, MIXED)
        found = self._catalog.datasets.get(dataset)
        if found is None:
            raise ObjectFailed(Failure.UNKNOWN_DATASET, f"no dataset {dataset!r}; deploy its YAML, then redrive")
        return sort_rows(lines, found, reader, self._catalog.summaries_of(dataset))

    # -- writing -----------------------------------------------------------------------------------------------------

    def _write(self, message: ChunkMessage, rows: Sorted) -> ChunkResult:
        origin, index = message.origin, message.chunk.index
        outputs: list[Output] = []
        for name, table in rows.tables.items():
            for file in silver_files(table, self._catalog.datasets[name], origin, index):
                self._put(self._buckets.silver, file.output["key"], file.body.to_pybytes())
                outputs.append(file.output)
        quarantined = []
        for entry, body in quarantine_files(rows.bad, origin, index):
            self._put(self._buckets.quarantine, entry["key"], body)
            quarantined.append(entry)
        return ChunkResult(rows.rows_in, outputs, quarantined)

    def _put(self, bucket: str, key: str, body: bytes) -> None:
        self._s3.put_object(Bucket=bucket, Key=key, Body=body)

    def _delete_left_over(self, before: ChunkItem, now: ChunkResult) -> None:
        """A run under other rules may write fewer files than the one before; what it no longer writes goes."""
        for bucket, old, new in (
            (self._buckets.silver, before.get("outputs", []), now.outputs),
            (self._buckets.quarantine, before.get("quarantine", []), now.quarantine),
        ):
            for key in {entry["key"] for entry in old} - {entry["key"] for entry in new}:
                self._s3.delete_object(Bucket=bucket, Key=key)

    # -- finishing ---------------------------------------------------------------------------------------------------

    def _finish(self, message: ChunkMessage) -> bool:
        """Announces the object when this chunk was its last one; safe to repeat after a crash at any point."""
        item = self._ledger.claim_commit(message.origin.object_id, message.chunk.index)
        if item is None:
            return False
        chunks = self._ledger.chunks(item["object_id"])
        return self._announce(item, [output for chunk in chunks for output in chunk["outputs"]])

    def _announce(self, item: ObjectItem, outputs: list[Output]) -> bool:
        """True when this delivery ended the run."""
        self._announcements.committed(item, outputs)
        # Only one delivery ends the run, and only it may send the notice: at most one, should it die in between.
        ended = self._ledger.commit(item["object_id"], int(item["run"]))
        if ended and self._refused_too_many(item):
            self._notices.quarantine_over_threshold(item, self._quarantine_ratio)
        return ended

    def _refused_too_many(self, item: ObjectItem) -> bool:
        return int(item["rows_quarantined"]) > self._quarantine_ratio * int(item["rows_in"])


def _item_of(message: ChunkMessage, result: ChunkResult) -> ObjectItem:
    """What the ledger holds of an object whose only chunk has just been counted."""
    ref = message.object
    return ObjectItem(
        object_id=message.origin.object_id,
        run=message.run,
        dataset=message.dataset,
        origin=asdict(message.origin),
        bucket=ref.bucket,
        key=ref.key,
        version_id=ref.version_id,
        etag=ref.etag,
        size=ref.size,
        chunk_count=1,
        rows_in=result.rows_in,
        rows_silver=result.rows_silver,
        rows_quarantined=result.rows_quarantined,
        silver_files=len(result.outputs),
    )


def _csv(records: Lines) -> tuple[Lines, Reader]:
    """The rows below the header, and a reader that knows it."""
    if not len(records):
        return records, CsvReader(())
    try:
        header = csv_header(records.raw(0))
    except UnicodeDecodeError as error:
        raise ObjectFailed(Failure.UNREADABLE, f"the CSV header is not UTF-8: {error}") from error
    return records.slice(1, len(records) - 1), CsvReader(header)
