"""Reprocesses a planned object: a new run under its old identity, read from where it is stored. No byte is copied."""

from collections.abc import Callable
from typing import Protocol

from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.events.chunk_queue import ChunkQueue
from sluice_pipeline.ledger.items import ObjectItem, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.objects.failures import ObjectMissing
from sluice_pipeline.objects.identity import ObjectRef, Origin


class Versions(Protocol):
    """Knows which object versions can still be read (sluice_pipeline.objects.storage.Storage)."""

    def exists(self, ref: ObjectRef) -> bool: ...


class Requeuer:
    """``current``: the version of the rules that is in service, asked for when a run begins."""

    def __init__(
        self, ledger: Ledger, queue: ChunkQueue, storage: Versions, current: Callable[[], RulesVersion]
    ) -> None:
        self._ledger = ledger
        self._queue = queue
        self._storage = storage
        self._current = current

    def requeue(self, object_id: str, run: int, replay: str, rules: RulesVersion | None = None) -> int:
        """Opens the run after ``run`` in the name of ``replay`` and sends its chunks; how many messages went out.

        ``rules``: the version that the new run is judged by, the one in service when None.

        Safe to repeat after a crash at any point: a run that this replay has opened before is not opened again, only
        its open chunks are sent. A newer run that another request has opened does the work, so nothing is sent then.

        Raises:
            ObjectMissing: the version is gone. No run has been opened, so what silver holds stays accounted for.
        """
        item = self._ledger.object(object_id)
        if item is not None and int(item["run"]) == run:
            opened = self._ledger.open_run(self._source(item), item, rules or self._current(), replay)
            item = opened or self._ledger.object(object_id)
        if item is None or item.get("replay") != replay or item["state"] == State.COMMITTED:
            return 0
        return self._queue.send(item, self._ledger.open_chunks(item))

    def _source(self, item: ObjectItem) -> ObjectRef:
        """The version that the plan reads; when it is gone, that of the origin or of the last upload of its bytes."""
        planned = ObjectRef.from_item(item)
        origin = Origin(**item["origin"])
        first = ObjectRef(origin.bucket, origin.key, origin.version_id, origin.etag, planned.size, planned.since)
        uploads = [planned, first]
        if newest := item.get("newest"):
            uploads.append(ObjectRef.from_item({**newest, "began_at": newest["since"]}))
        for ref in dict.fromkeys(uploads):
            if self._storage.exists(ref):
                return ref
        raise ObjectMissing(f"{planned.uri} version {planned.version_id or '(none)'} is gone")
