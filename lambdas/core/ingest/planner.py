"""Plans an object: writes its chunks to the ledger, then sends them to the queue."""

import time
from collections.abc import Iterator
from typing import Any

from core.ingest.cut import Limits, cut
from sluice_pipeline.catalog.deployed import DeployedDatasets, Rules
from sluice_pipeline.events.chunk_queue import ChunkQueue
from sluice_pipeline.ledger.items import ObjectItem, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.objects import formats
from sluice_pipeline.objects.failures import Failure, ObjectFailed
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.objects.keys import dataset_of
from sluice_pipeline.objects.storage import Storage


class ScanUnfinished(Exception):
    """The time for reading an object through is over; its first ``scanned`` bytes need not be read again."""

    def __init__(self, scanned: int) -> None:
        super().__init__(f"{scanned} bytes have been read through")
        self.scanned = scanned


class Planner:
    """``scan_seconds``: how long an invocation reads an object through, to find out whether it may be cut."""

    def __init__(
        self,
        storage: Storage,
        ledger: Ledger,
        queue: ChunkQueue,
        datasets: DeployedDatasets,
        limits: Limits,
        scan_seconds: float,
    ) -> None:
        self._storage = storage
        self._ledger = ledger
        self._queue = queue
        self._datasets = datasets
        self._limits = limits
        self._scan_seconds = scan_seconds

    def plan(self, ref: ObjectRef, scanned: int = 0) -> dict[str, Any]:
        """Plans an object and sends its open chunks; planning it again sends only what is not done.

        ``scanned``: how many bytes an earlier call has read through.

        A run that begins here is judged by the rules that are in service now, whenever its chunks are processed.

        Raises:
            DatasetsUnavailable, DatasetsUnreadable: there are no rules to judge it by.
            ObjectFailed: a permanent error (unknown dataset, not text, too large to be read as one).
            ObjectMissing: the version is gone.
            ScanUnfinished: it is too large to be read through in one invocation.
        """
        rules = self._datasets.current()
        head = self._storage.head(ref, formats.SNIFF_BYTES)
        replay_of = Origin.from_metadata(head.metadata)
        origin = replay_of or ref.as_origin()
        # Most objects are new, so a first plan is tried before the ledger is read.
        new = None if replay_of else self._first_plan(ref, origin, head.data, rules, scanned)
        if new is not None:
            sent = new
        elif (known := self._ledger.object(origin.object_id)) and int(known["chunk_count"]):
            sent = self._known_plan(ref, known, rules, replay=replay_of is not None)
        else:
            sent = self._first_plan(ref, origin, head.data, rules, scanned) or 0
        return {"object_id": origin.object_id, "version_id": ref.version_id, "sent": sent}

    def _first_plan(self, ref: ObjectRef, origin: Origin, head: bytes, rules: Rules, scanned: int) -> int | None:
        """How many chunks were sent; None when the object has a plan."""
        dataset = dataset_of(origin.key) or "unknown"
        if not rules.catalog.knows(dataset):
            have = ", ".join(sorted(rules.catalog.datasets))
            raise ObjectFailed(Failure.UNKNOWN_DATASET, f"no dataset {dataset!r} for {ref.uri}; there are {have}")
        found = rules.catalog.datasets.get(dataset)
        chunks = cut(ref.key, ref.size, head, lambda: self._blocks(ref, scanned), found, self._limits)
        item = self._ledger.create_plan(ref, origin, dataset, chunks, rules.version)
        return self._queue.send(item, chunks) if item else None

    def _blocks(self, ref: ObjectRef, at: int) -> Iterator[bytes]:
        """The object's blocks from a byte on, as many as there is time for. Raises ScanUnfinished."""
        end = time.monotonic() + self._scan_seconds
        for block in self._storage.blocks(ref, at):
            yield block
            at += len(block)
            if at < ref.size and time.monotonic() >= end:
                raise ScanUnfinished(at)

    def _known_plan(self, ref: ObjectRef, known: ObjectItem, rules: Rules, *, replay: bool) -> int:
        """Sends what is open of a known object: all of it, as a new run, for a replay or a restored version."""
        moved = (ref.key, ref.version_id) != (known["key"], known["version_id"])
        item: ObjectItem | None = known
        if moved and (replay or known["state"] == State.MISSING):
            item = self._ledger.open_run(ref, known, rules.version)
        if item is None or item["state"] == State.COMMITTED:
            return 0
        return self._queue.send(item, self._ledger.open_chunks(item))
