"""Makes the plan of an object: which chunks it has, written to the ledger, then sent to the queue."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from pipeline import formats
from pipeline.catalog import Catalog
from pipeline.chunk_queue import ChunkQueue
from pipeline.chunks import split
from pipeline.failures import Failure, ObjectFailed
from pipeline.identity import ObjectRef, Origin
from pipeline.items import ObjectItem, State
from pipeline.keys import dataset_of
from pipeline.ledger import Ledger
from pipeline.messages import Chunk
from pipeline.storage import Storage

_QUOTE: Final = b'"'


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes: of a chunk, and of the largest object that has to be read as one."""

    chunk_bytes: int
    single_chunk_bytes: int


class Planner:
    def __init__(self, storage: Storage, ledger: Ledger, queue: ChunkQueue, catalog: Catalog, limits: Limits) -> None:
        self._storage = storage
        self._ledger = ledger
        self._queue = queue
        self._catalog = catalog
        self._limits = limits

    def plan(self, ref: ObjectRef) -> dict[str, Any]:
        """Plans an object and sends its open chunks; planning it again sends only what is not done.

        Raises:
            ObjectFailed: no retry can take it in (unknown dataset, not text, too large to be read as one).
            ObjectMissing: the version is gone.
        """
        head = self._storage.head(ref, formats.SNIFF_BYTES)
        replay_of = Origin.from_metadata(head.metadata)
        origin = replay_of or ref.as_origin()
        # Most objects are new: to try that first saves looking whether they are.
        new = None if replay_of else self._first_plan(ref, origin, head.data)
        if new is not None:
            sent = new
        elif (known := self._ledger.object(origin.object_id)) and int(known["chunk_count"]):
            sent = self._known_plan(ref, known, replay=replay_of is not None)
        else:
            sent = self._first_plan(ref, origin, head.data) or 0
        return {"object_id": origin.object_id, "version_id": ref.version_id, "sent": sent}

    def _first_plan(self, ref: ObjectRef, origin: Origin, head: bytes) -> int | None:
        """How many chunks were sent; None when the object has a plan."""
        dataset = dataset_of(origin.key) or "unknown"
        if not self._catalog.knows(dataset):
            have = ", ".join(sorted(self._catalog.datasets))
            raise ObjectFailed(Failure.UNKNOWN_DATASET, f"no dataset {dataset!r} for {ref.uri}; there are {have}")
        chunks = self._cut(ref, head)
        item = self._ledger.create_plan(ref, origin, dataset, chunks)
        return self._queue.send(item, chunks) if item else None

    def _known_plan(self, ref: ObjectRef, known: ObjectItem, *, replay: bool) -> int:
        """Sends what is open of a known object: all of it, as a new run, for a replay or a restored version."""
        moved = (ref.key, ref.version_id) != (known["key"], known["version_id"])
        item: ObjectItem | None = known
        if moved and (replay or known["state"] == State.MISSING):
            item = self._ledger.open_run(ref, known)
        if item is None or item["state"] == State.COMMITTED:
            return 0
        return self._queue.send(item, self._ledger.open_chunks(item))

    def _cut(self, ref: ObjectRef, head: bytes) -> list[Chunk]:
        if formats.is_gzip(head):
            return self._whole(ref, "gzip")
        match formats.detect(ref.key, head):
            case formats.Format.JSONL:
                return split(ref.size, self._limits.chunk_bytes)
            case formats.Format.CSV if ref.size > self._limits.chunk_bytes:
                # A newline inside quotes is no end of a row, so only a file without quotes may be cut at newlines.
                if any(_QUOTE in block for block in self._storage.blocks(ref)):
                    return self._whole(ref, "CSV with quoted fields")
                return split(ref.size, self._limits.chunk_bytes)
            case _ as form:
                return self._whole(ref, form.value)

    def _whole(self, ref: ObjectRef, what: str) -> list[Chunk]:
        limit = self._limits.single_chunk_bytes
        if ref.size > limit:
            raise ObjectFailed(
                Failure.OVER_LIMIT,
                f"{what} is read as one piece, {ref.size} bytes are more than the limit of {limit}; "
                "cut it, or send JSON lines",
            )
        return split(ref.size, max(ref.size, 1))


def failed_event(ref: ObjectRef, code: str, detail: str) -> str:
    """The dead letter of an object that got no plan: enough to look at it and to send it again."""
    return json.dumps({"schema": "sluice.failed-object/1", "object": asdict(ref), "reason": code, "detail": detail})
