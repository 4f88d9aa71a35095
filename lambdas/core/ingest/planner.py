"""Plans an object: writes its chunks to the ledger, then sends them to the queue."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

from core.ingest.cut import Limits, cut
from sluice_pipeline.catalog.deployed import DeployedDatasets, Rules
from sluice_pipeline.dynamo.retries import TransientError
from sluice_pipeline.events.chunk_queue import ChunkQueue
from sluice_pipeline.ledger.items import ObjectItem, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.returning import Returning, returning
from sluice_pipeline.objects import formats
from sluice_pipeline.objects.failures import Failure, ObjectFailed
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.objects.keys import dataset_of
from sluice_pipeline.objects.storage import Head, Storage

_TRIES: Final = 3


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
        self._rules_of_batch: Rules | None = None
        self._in_batch = False

    @contextmanager
    def batch(self) -> Iterator[None]:
        """The objects that are planned in the block are judged by one version of the rules, which is read once.

        For an invocation: its objects were announced before it began, so the version is no older than they are.
        """
        self._in_batch = True
        try:
            yield
        finally:
            self._in_batch, self._rules_of_batch = False, None

    def _rules(self) -> Rules:
        rules = self._rules_of_batch or self._datasets.current()
        if self._in_batch:
            self._rules_of_batch = rules
        return rules

    def plan(self, ref: ObjectRef, scanned: int = 0) -> dict[str, Any]:
        """Plans an object and sends its open chunks; planning it again sends only what is not done.

        An upload of bytes that its key had before, under another ETag, is no new object: its id leads to the first
        one (``same_as``).

        ``scanned``: how many bytes an earlier call has read through.

        A run that begins here is judged by the rules that are in service now (``batch``), whenever its chunks are
        processed.

        Raises:
            DatasetsUnavailable, DatasetsUnreadable: there are no rules to judge it by.
            ObjectFailed: a permanent error (unknown dataset, not text, too large to be read as one).
            ObjectMissing: the version is gone.
            ScanUnfinished: it is too large to be read through in one invocation.
        """
        rules = self._rules()
        head = self._storage.head(ref, formats.SNIFF_BYTES)
        replay_of = Origin.from_metadata(head.metadata)
        origin = replay_of or ref.as_origin()
        result: dict[str, Any] = {"object_id": origin.object_id, "version_id": ref.version_id}
        content_id = origin.content_id(self._checksum(ref, head), ref.size)
        # A copy is made of what the ledger does not know, or no longer.
        returns = returning(head.modified, copied=replay_of is not None)

        def first_plan(forgotten: Collection[str] = ()) -> int | None:
            return self._first_plan(ref, origin, head.data, rules, scanned, content_id, forgotten, returns)

        # Most objects are new, so a first plan is tried before the ledger is read.
        if replay_of is None and (sent := first_plan()) is not None:
            return result | {"sent": sent}
        for _ in range(_TRIES):
            known, forgotten = self._ledger.planned(origin.object_id, content_id)
            if known is None:
                if (sent := first_plan(forgotten)) is not None:
                    return result | {"sent": sent}
            elif (same_as := known["object_id"]) == origin.object_id:
                return result | {"sent": self._known_plan(ref, known, rules, replay=replay_of is not None)}
            else:
                sent = self._same_content(ref, known, rules, replay=replay_of is not None)
                # Last, for a failure until then is recorded under its own id.
                self._ledger.note_same(origin, ref, same_as)
                return result | {"sent": sent, "same_as": same_as}
        raise TransientError(f"other plans of the content of {ref.uri} come and go")

    def _checksum(self, ref: ObjectRef, head: Head) -> str:
        """What identifies the bytes. Which of the two it is follows from their number, so equal bytes have the same."""
        return f"SHA256:{head.sha256}" if head.sha256 else self._storage.checksum(ref)

    def _first_plan(
        self,
        ref: ObjectRef,
        origin: Origin,
        head: bytes,
        rules: Rules,
        scanned: int,
        content_id: str,
        forgotten: Collection[str],
        returns: Returning | None,
    ) -> int | None:
        """How many chunks were sent; None when the object, or one with its content, has a plan."""
        dataset = dataset_of(origin.key) or "unknown"
        if not rules.catalog.knows(dataset):
            have = ", ".join(sorted(rules.catalog.datasets))
            raise ObjectFailed(Failure.UNKNOWN_DATASET, f"no dataset {dataset!r} for {ref.uri}; there are {have}")
        found = rules.catalog.datasets.get(dataset)
        chunks = cut(ref.key, ref.size, head, lambda: self._blocks(ref, scanned), found, self._limits)
        item = self._ledger.create_plan(ref, origin, dataset, chunks, rules.version, content_id, forgotten, returns)
        if item and returns:
            # A planner that died may have left chunks of another run than this one's.
            chunks = self._ledger.open_chunks(item)
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

    def _same_content(self, ref: ObjectRef, known: ObjectItem, rules: Rules, *, replay: bool) -> int:
        """As _known_plan for an upload with the bytes of another one: nothing, unless its version is what is read."""
        is_read = (ref.key, ref.version_id) == (known["key"], known["version_id"])
        if replay or is_read or known["state"] == State.MISSING:
            return self._known_plan(ref, known, rules, replay=replay)
        return 0
