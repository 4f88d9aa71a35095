"""One chunk: read it, partition its rows, write silver and quarantine, count it, and announce a finished object."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from aws_lambda_powertools import Logger

from core.transform.content import Content, of_chunk, partition
from core.transform.drift import Drift
from core.transform.quarantine import quarantine_files
from core.transform.rows import PartitionedRows
from core.transform.silver import SilverFile, require_few_dates, silver_files
from core.transform.staging import Staging, leftovers
from core.transform.writing import in_order
from sluice_pipeline.catalog.datasets import Catalog
from sluice_pipeline.catalog.deployed import DeployedDatasets
from sluice_pipeline.events.announcements import Announcements
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.counting import ChunkResult
from sluice_pipeline.ledger.items import ChunkItem, ChunkState, ObjectItem, Output, QuarantineFile
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.notices.ending import RunEnd
from sluice_pipeline.objects.fencing import RunFiles, Superseded
from sluice_pipeline.objects.storage import Storage
from sluice_pipeline.runtime.telemetry import measure

logger = Logger(child=True)


class NotPlanned(RuntimeError):
    """The ledger has no such chunk; SQS delivers the message again, by then the plan may be there."""


class Overwritten(RuntimeError):
    """An old run's write passed S3's comparison: between its look and its write a file was made that has the same bytes
    as the one that it saw. No retry can help; its message ends in the dead-letter queue, whose alarm says so."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """``staging``: of files that wait for the quality gate, empty for none."""

    silver: str
    quarantine: str
    staging: str = ""


class ChunkProcessor:
    def __init__(
        self,
        s3: Any,
        ledger: Ledger,
        announcements: Announcements,
        datasets: DeployedDatasets,
        buckets: Buckets,
        single_chunk_bytes: int,
        end: RunEnd,
        drift: Drift,
    ) -> None:
        self._s3 = s3
        self._storage = Storage(s3)
        self._ledger = ledger
        self._announcements = announcements
        self._datasets = datasets
        self._buckets = buckets
        self._limit = single_chunk_bytes
        self._end = end
        self._drift = drift
        self._staging = Staging(s3, buckets.staging)

    def process(self, message: ChunkMessage, *, again: bool = False) -> ChunkResult | None:
        """Processes a chunk once, however often it is delivered; None when no work is left.

        ``again``: an earlier delivery may have written some of its files.

        Raises:
            NotPlanned, ObjectFailed, ObjectMissing, DatasetsUnavailable, DatasetsUnreadable, Superseded: as their
                docstrings say; nothing has been counted then.
        """
        object_id, chunk = message.origin.object_id, message.chunk
        planned = self._ledger.chunk(object_id, chunk.index)
        if planned is None:
            raise NotPlanned(f"chunk {chunk.index} of {object_id} is not in the ledger")
        if int(planned["run"]) != message.run:
            if int(planned["run"]) < message.run:
                raise NotPlanned(f"chunk {chunk.index} of {object_id} is not yet in run {message.run}")
            return None  # a newer run has begun, and its own messages do the work
        if planned["chunk_state"] == ChunkState.DONE:
            self._finish(message)
            return None
        catalog = self._datasets.read(message.rules)
        rows = self._partition(message, catalog)
        self._drift.settle(message, rows.sights, catalog)
        staged = self._staging.takes(message, planned, catalog)
        result = self._write(message, rows, catalog, staged=staged, again=again)
        self._delete_leftovers(message, planned, result)
        counted = self._ledger.complete_chunk(object_id, chunk, message.run, result)
        if counted:
            self._ledger.delete_former_pages(planned, message.run)
        else:
            self._require_same_run(message)
        if counted and chunk.count == 1:  # completing the only chunk has claimed the commit along
            committed = self._announce(_item_of(message, result), list(result.outputs), staged)
        else:
            committed = self._finish(message)
        return replace(result, committed=committed)

    def clear(self, message: ChunkMessage) -> bool:
        """Whether a newer run has begun; then the files that an attempt of this older one has left are deleted.

        That attempt stood still, wrote after the newer run did, and ended before it knew. What it would write follows
        from the object and its rules, so it is read again.

        Raises:
            NotPlanned: which files the newer run has is not known yet.
            Overwritten: it has replaced a file of the newer run all the same.
        """
        chunk = self._ledger.chunk(message.origin.object_id, message.chunk.index)
        if chunk is None or int(chunk["run"]) <= message.run:
            return False
        if chunk["chunk_state"] == ChunkState.PENDING:
            raise NotPlanned(f"run {chunk['run']} of {message.origin.object_id} has not written its files yet")
        catalog = self._datasets.read(message.rules)
        silver, quarantine = self._file_names(message, self._partition(message, catalog), catalog)
        if not self._staging.takes(message, chunk, catalog):  # a run that is staged has written nothing to silver
            self._clear(self._buckets.silver, message.run, silver, chunk.get("outputs", []))
        self._clear(self._buckets.quarantine, message.run, quarantine, chunk.get("quarantine", []))
        return True

    def _clear(self, bucket: str, run: int, written: list[str], current: Sequence[Output | QuarantineFile]) -> None:
        files, kept = RunFiles(self._s3, bucket, run), {entry["key"] for entry in current}
        in_order(files.delete_own, sorted(set(written) - kept))
        if lost := [key for key in written if key in kept and files.has(key)]:
            raise Overwritten(f"s3://{bucket}/{lost[0]} was written by run {run} after a newer one: replay the object")

    def _require_same_run(self, message: ChunkMessage) -> None:
        """Raises Superseded when the count was refused because of a newer run."""
        chunk = self._ledger.chunk(message.origin.object_id, message.chunk.index)
        if chunk is not None and int(chunk["run"]) > message.run:
            raise Superseded(f"run {chunk['run']} has begun while run {message.run} wrote its files")

    # -- reading -----------------------------------------------------------------------------------------------------

    def _partition(self, message: ChunkMessage, catalog: Catalog) -> PartitionedRows:
        content = self._content(message, catalog)
        rows = partition(content, catalog, message.dataset)
        if rows.unparseable:
            measure(message.dataset, RowsUnparseable=rows.unparseable)
        if content.trailing:
            measure(message.dataset, TrailingBytes=content.trailing)
            logger.warning(
                "bytes after the gzip stream are left out",
                extra={"object_id": message.origin.object_id, "key": message.object.key, "bytes": content.trailing},
            )
        return rows

    def _content(self, message: ChunkMessage, catalog: Catalog) -> Content:
        ref, chunk, key = message.object, message.chunk, message.origin.key

        def read(start: int, end: int) -> bytes:
            return self._storage.read(ref, start, end)

        return of_chunk(key, chunk, read, ref.size, self._limit, catalog, message.dataset)

    # -- writing -----------------------------------------------------------------------------------------------------

    def _write(
        self, message: ChunkMessage, rows: PartitionedRows, catalog: Catalog, *, staged: bool, again: bool
    ) -> ChunkResult:
        origin, index = message.origin, message.chunk.index
        for name, table in rows.tables.items():
            require_few_dates(table, catalog.datasets[name])
        files = chain.from_iterable(
            silver_files(table, catalog.datasets[name], origin, index) for name, table in rows.tables.items()
        )
        silver = RunFiles(self._s3, self._buckets.silver, message.run, again=again)
        quarantine = RunFiles(self._s3, self._buckets.quarantine, message.run, again=again)

        def put(file: SilverFile) -> Output:
            silver.put(file.output["key"], file.body.to_pybytes())
            return file.output

        outputs = in_order(partial(self._staging.put, message.run) if staged else put, files)
        quarantined = []
        for entry, body in quarantine_files(rows.bad, origin, index):
            quarantine.put(entry["key"], body)
            quarantined.append(entry)
        return ChunkResult(rows.rows_in, outputs, quarantined, staged=staged)

    def _file_names(
        self, message: ChunkMessage, rows: PartitionedRows, catalog: Catalog
    ) -> tuple[list[str], list[str]]:
        """Keys of the files in silver and in quarantine that a run writes."""
        origin, index = message.origin, message.chunk.index
        silver = [
            file.output["key"]
            for name, table in rows.tables.items()
            for file in silver_files(table, catalog.datasets[name], origin, index)
        ]
        return silver, [entry["key"] for entry, _ in quarantine_files(rows.bad, origin, index)]

    def _delete_leftovers(self, message: ChunkMessage, before: ChunkItem, now: ChunkResult) -> None:
        """Deletes what an earlier run of the chunk wrote and this one does not: other rules may give fewer files."""
        if now.staged:  # silver stays as it is until this run is published
            self._staging.record_leftovers(message, before, now.outputs)
        else:
            left = leftovers(before.get("outputs", []), now.outputs)
            in_order(RunFiles(self._s3, self._buckets.silver, message.run).delete, left)
        rejected = leftovers(before.get("quarantine", []), now.quarantine)
        in_order(RunFiles(self._s3, self._buckets.quarantine, message.run).delete, rejected)

    # -- finishing ---------------------------------------------------------------------------------------------------

    def _finish(self, message: ChunkMessage) -> bool:
        """Announces the object when this chunk was its last one; safe to repeat after a crash at any point."""
        item = self._ledger.claim_commit(message.origin.object_id, message.chunk.index)
        if item is None:
            return False
        chunks = list(self._ledger.chunks(item["object_id"]))
        outputs = [output for chunk in chunks for output in chunk["outputs"]]
        return self._announce(item, outputs, any(chunk.get("staged") for chunk in chunks))

    def _announce(self, item: ObjectItem, outputs: list[Output], staged: bool) -> bool:
        """True when this delivery ended the run; one that is staged ends with its audit."""
        if not staged:
            return self._end.commit(item, outputs)
        self._announcements.staged(item, outputs)
        self._ledger.stage(item["object_id"], int(item["run"]))
        return False


def _item_of(message: ChunkMessage, result: ChunkResult) -> ObjectItem:
    """What the ledger holds of an object whose only chunk has just been counted."""
    ref = message.object
    item = ObjectItem(
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
    if message.rules:
        item["rules"] = message.rules.to_dict()
    return item
