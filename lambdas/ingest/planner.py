"""Makes the plan of an object: which chunks it has, written to the ledger, then sent to the queue."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import batched
from typing import Any, Final

from pipeline import formats
from pipeline.catalog import Catalog
from pipeline.chunks import split
from pipeline.failures import Failure, ObjectFailed
from pipeline.identity import ObjectRef, Origin
from pipeline.items import ChunkState, ObjectItem, State
from pipeline.keys import dataset_of
from pipeline.ledger import Ledger, chunks_of
from pipeline.messages import Chunk, ChunkMessage
from pipeline.storage import Storage

_BATCH: Final = 10  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_QUOTE: Final = b'"'


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes: of a chunk, and of the largest object that has to be read as one."""

    chunk_bytes: int
    single_chunk_bytes: int


class Planner:
    def __init__(self, storage: Storage, ledger: Ledger, queue: "ChunkQueue", catalog: Catalog, limits: Limits) -> None:
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
        known = self._ledger.object(origin.object_id)
        if known is None or not int(known["chunk_count"]):
            chunks = self._open(ref, origin, known, head.data)
        else:
            chunks = self._reopen(ref, origin, known, replay=replay_of is not None)
        if known and chunks:
            # what was planned is what is read: an event that comes again must not name another version
            ref, origin = _planned(self._ledger.object(origin.object_id) or known)
        dataset = known["dataset"] if known and int(known["chunk_count"]) else _dataset(origin.key)
        self._queue.send(ChunkMessage(ref, origin, dataset, chunk) for chunk in chunks)
        return {"object_id": origin.object_id, "version_id": ref.version_id, "sent": len(chunks)}

    def _open(self, ref: ObjectRef, origin: Origin, known: ObjectItem | None, head: bytes) -> Sequence[Chunk]:
        """The first plan of an object, also of one that failed before it got a plan."""
        dataset = _dataset(origin.key)
        if not self._catalog.knows(dataset):
            have = ", ".join(sorted(self._catalog.datasets))
            raise ObjectFailed(Failure.UNKNOWN_DATASET, f"no dataset {dataset!r} for {ref.uri}; there are {have}")
        chunks = self._cut(ref, head)
        if known is not None:
            self._ledger.replan(ref, origin, known | {"dataset": dataset}, chunks)
        elif not self._ledger.create_plan(ref, origin, dataset, chunks):
            return []  # another delivery planned it between our look and our write, and sends it
        return chunks

    def _reopen(self, ref: ObjectRef, origin: Origin, known: ObjectItem, *, replay: bool) -> Sequence[Chunk]:
        """The chunks of a known object that have to be (re)done; a new run for a replay or a restored version."""
        planned = chunks_of(known, self._ledger.chunks(origin.object_id))
        moved = ref.source != known["source"]
        if moved and (replay or known["state"] == State.MISSING):
            chunks = [chunk for chunk, _ in planned]
            self._ledger.replan(ref, origin, known, chunks)
            return chunks
        if known["state"] == State.COMMITTED:
            return []
        # An event that comes again for an object that is not committed asks for whatever is open; a chunk that is
        # done only announces the object when nobody has.
        return [chunk for chunk, state in planned if state != ChunkState.DONE] or [chunk for chunk, _ in planned[:1]]

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


class ChunkQueue:
    """Sends chunk messages and believes only what SQS says it took."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, messages: Iterable[ChunkMessage]) -> None:
        """Raises RuntimeError when SQS refused a message; the retry of the event sends all open chunks again."""
        for batch in batched(messages, _BATCH, strict=False):
            entries = [{"Id": str(i), "MessageBody": message.to_json()} for i, message in enumerate(batch)]
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            if failed := answer.get("Failed"):
                raise RuntimeError(f"SQS refused {len(failed)} of {len(entries)} chunk messages: {json.dumps(failed)}")


def _dataset(key: str) -> str:
    return dataset_of(key) or "unknown"


def _planned(item: ObjectItem) -> tuple[ObjectRef, Origin]:
    ref = ObjectRef(item["bucket"], item["key"], item["version_id"], item["etag"], int(item["size"]))
    return ref, Origin(**item["origin"])


def failed_event(ref: ObjectRef, code: str, detail: str) -> str:
    """The dead letter of an object that got no plan: enough to look at it and to send it again."""
    return json.dumps({"schema": "sluice.failed-object/1", "object": asdict(ref), "reason": code, "detail": detail})
