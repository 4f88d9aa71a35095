"""An object enters the ledger: its first plan, other uploads of its content, and its later runs."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any, cast

from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.dynamo.retries import TransientError
from sluice_pipeline.dynamo.table import TRANSACTION_LIMIT
from sluice_pipeline.ledger import contents, shards
from sluice_pipeline.ledger.files import PAGE_FIELDS
from sluice_pipeline.ledger.items import (
    CHUNK,
    EXPIRES_AT,
    OBJECT_SK,
    ChunkItem,
    ChunkState,
    ObjectItem,
    State,
    chunk_sk,
    is_gone,
    object_pk,
    present_run,
)
from sluice_pipeline.ledger.reading import Reading
from sluice_pipeline.ledger.returning import Returning
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.runtime.clock import now

FORMER_RUNS = 50  # some 10 KB of the 400 KB that an item may have
_PRESENT = "attribute_exists(pk) AND attribute_not_exists(expired_at)"
_KEPT = ("outputs", "quarantine", *PAGE_FIELDS, "staged", "content_id")  # of a chunk when its next run begins


class Expiring(TransientError):
    """The object's entry is expiring at this moment; tried again, it is planned as one that returns."""


class BeingPublished(RuntimeError):
    """The object's run is between its first file in silver and its record; nothing else begins meanwhile."""


class Planning(Reading):
    """The changes that plan an object or begin a run of it."""

    def create_plan(
        self,
        ref: ObjectRef,
        origin: Origin,
        dataset: str,
        chunks: Sequence[Chunk],
        rules: RulesVersion,
        content_id: str = "",
        forgotten: Collection[str] = (),
        returns: Returning | None = None,
    ) -> ObjectItem | None:
        """The first plan of an object, also of one that failed before it got a plan.

        None when there is a plan of it or of its content; ``planned`` has that one. ``content_id`` is empty where only
        the ETag identifies the bytes. ``rules``: the version that the run is judged by. ``forgotten``: what ``planned``
        said, in whose place this object comes. ``returns``: it may have been here before, and have expired.
        """
        object_id = origin.object_id
        new = self._object_item(ref, origin, dataset, len(chunks)) | {"rules": rules.to_dict()}
        new |= {"run": returns.run, "received_at": returns.received_at} if returns else {}
        # Its own id is one of them: then it is this object's content, and whether there is a plan its own item says.
        gone = {f":gone{number}": name for number, name in enumerate([object_id, *sorted(forgotten)])}
        among = " , ".join(gone)
        no_plan = f"chunk_count = :none AND ( attribute_not_exists(same_as) OR same_as IN ( {among} ) )"
        free = f"attribute_not_exists(pk) OR attribute_exists({EXPIRES_AT}) OR ( {no_plan} )"
        heads = [self._table.put_action(new, free, {":none": 0} | gone)]
        if content_id:
            # Of two uploads with one content that are planned at once, one finds the other's item here.
            held = contents.content_item(content_id, object_id)
            heads.append(self._table.put_action(held, f"attribute_not_exists(pk) OR object_id IN ( {among} )", gone))
        items = [_chunk_item(object_id, chunk, new["run"]) for chunk in chunks]
        if content_id and items:
            items[0]["content_id"] = content_id  # the object's own item would pass 1 KB, and so cost more
        if len(heads) + len(items) <= TRANSACTION_LIMIT:
            made = self._table.transact([*heads, *map(self._table.put_action, items)])
        else:
            # More than one transaction can plan: chunks first, for nothing reads them before the object item makes the
            # plan valid, and only those that are not there, for another planner may be ahead and its chunks done.
            if content_id and self._holder(content_id) not in (None, object_id, *forgotten):
                return None
            self._table.put_new(items, f"attribute_exists({EXPIRES_AT})")
            made = self._table.transact(heads)
        return cast("ObjectItem", new) if made else None

    def planned(self, object_id: str, content_id: str) -> tuple[ObjectItem | None, set[str]]:
        """The object that has the plan for an upload: itself, or the one with its content; None when none has.

        The ids are of objects that the ledger names for it and has no more (expired, or an operator's doing).

        Raises:
            Expiring: one of them is expiring at this moment; tried again, it has.
        """
        own = self._present(object_id)
        if own and int(own["chunk_count"]):
            return cast("ObjectItem", own), set()
        named = {own.get(contents.SAME_AS) if own else None, self._holder(content_id) if content_id else None}
        others = {name for name in named if name and name != object_id}
        for name in others:
            if (item := self._present(name)) and int(item["chunk_count"]):
                return cast("ObjectItem", item), set()
        return None, others

    def _present(self, object_id: str) -> dict[str, Any] | None:
        """The object's item, None when it has expired. Raises Expiring while that is not complete."""
        item = self._table.get(object_pk(object_id), OBJECT_SK)
        if item is None or not is_gone(item):
            return item
        if EXPIRES_AT not in item:
            raise Expiring(f"the ledger's entry of {object_id} is expiring")
        return None

    def note_same(self, origin: Origin, ref: ObjectRef, same_as: str) -> None:
        """From now on the object ``same_as`` stands for this upload; it changes nothing about one that has a plan.

        Raises:
            Expiring: ``same_as`` has just expired; tried again, the upload is planned.
        """
        pointer = contents.pointer_item(origin, same_as)
        free = f"attribute_not_exists(pk) OR attribute_exists({EXPIRES_AT}) OR chunk_count = :none"
        self._table.transact(
            [
                self._table.put_action(pointer, free, {":none": 0}),
                self._table.put_action(contents.upload_item(origin.object_id, same_as)),
                self._table.update_action(  # changes nothing: it is there, and has not expired
                    object_pk(same_as), OBJECT_SK, "SET object_id = :id", _PRESENT, {":id": same_as}
                ),
            ]
        )
        self.note_newest(same_as, ref)

    def note_newest(self, object_id: str, ref: ObjectRef) -> None:
        """Records the version that was announced last with the bytes of an object: it outlives the first one.

        Raises:
            Expiring: the object has just expired; tried again, the upload is planned.
        """
        noted = self._table.change(
            object_pk(object_id),
            OBJECT_SK,
            "SET newest = :newest",
            f"{_PRESENT} AND ( attribute_not_exists(newest) OR newest.since <= :since )",
            {":newest": asdict(ref), ":since": ref.since},
        )
        if not noted:
            item = self._table.get(object_pk(object_id), OBJECT_SK)
            if item and is_gone(item):
                raise Expiring(f"the ledger's entry of {object_id} has just expired")

    def _holder(self, content_id: str) -> str | None:
        item = self._table.get(contents.content_pk(content_id), contents.CONTENT_SK)
        return str(item["object_id"]) if item else None

    def open_run(self, ref: ObjectRef, old: ObjectItem, rules: RulesVersion, replay: str = "") -> ObjectItem | None:
        """Begins the next run of a planned object, to be read from ``ref``; None when another worker has begun one.

        From here on nothing that an older run still does is counted. ``rules``: the version that the run is judged by.
        ``replay`` names the request, so that its retry
        finds its own run.

        Raises:
            BeingPublished: the run before has files in silver and is not recorded yet; tried again, it may be.
        """
        move = self._shards.move(old["object_id"], State.PLANNED)
        opened = self._table.update(
            old["pk"],
            OBJECT_SK,
            f"SET {move.sets} , #run = #run + :one , began_at = :at , former_runs = :former , "
            "#rules = :rules , #replay = :replay , chunks_done = :zero , rows_in = :zero , "
            "rows_silver = :zero , rows_quarantined = :zero , silver_files = :zero , silver_bytes = :zero , "
            "#bucket = :bucket , #key = :key , version_id = :version , etag = :etag , #size = :size , "
            f"updated_at = :at REMOVE {move.removes} , #error , failed_reason , notice_due , committed_at , "
            "committing_chunk , #released",
            f"#run = :run AND attribute_not_exists(publishing) AND {_PRESENT}",
            {":rules": rules.to_dict(), ":former": _former_runs(old)}
            | move.values
            | {
                ":one": 1,
                ":zero": 0,
                ":run": int(old["run"]),
                ":replay": replay,
                ":at": now(),
            }
            | {
                ":bucket": ref.bucket,
                ":key": ref.key,
                ":version": ref.version_id,
                ":etag": ref.etag,
                ":size": ref.size,
            },
        )
        if opened is None and (now_there := self.object(old["object_id"])) and now_there["run"] == old["run"]:
            raise BeingPublished(f"run {old['run']} of {old['object_id']} is being published")
        return cast("ObjectItem | None", opened)

    def open_chunks(self, item: ObjectItem) -> list[Chunk]:
        """The chunks of an object's present run that are not done.

        Those that an earlier run left are reset first, but keep their outputs, so that a chunk which now writes fewer
        partitions can delete the rest. The ranges stay those of the first plan: files are named after them.
        """
        count, run = int(item["chunk_count"]), int(item["run"])
        found, stale = [], []
        for index, chunk in enumerate(self._table.query(object_pk(item["object_id"]), CHUNK)):
            if index >= count:
                break
            part = Chunk(index, int(chunk["start"]), int(chunk["end"]), count)
            if int(chunk["run"]) != run:
                kept = {name: value for name, value in chunk.items() if name in _KEPT}
                stale.append(_chunk_item(item["object_id"], part, run) | kept)
            elif chunk["chunk_state"] == ChunkState.DONE:
                continue
            found.append(part)
        self._table.put_all(stale)
        return found

    def _object_item(self, ref: ObjectRef, origin: Origin, dataset: str, chunk_count: int) -> dict[str, Any]:
        at, shard = now(), self._shards.of(origin.object_id)
        item = ObjectItem(
            pk=object_pk(origin.object_id),
            sk=OBJECT_SK,
            object_id=origin.object_id,
            state=State.PLANNED,
            bucket=ref.bucket,
            key=ref.key,
            version_id=ref.version_id,
            etag=ref.etag,
            size=ref.size,
            origin=asdict(origin),
            dataset=dataset,
            chunk_count=chunk_count,
            chunks_done=0,
            rows_in=0,
            rows_silver=0,
            rows_quarantined=0,
            silver_files=0,
            silver_bytes=0,
            run=1,
            received_at=at,
            updated_at=at,
        )
        return item | shards.keys(State.PLANNED, shard) | shards.received_key(dataset, shard)


def _former_runs(old: ObjectItem) -> list[dict[str, Any]]:
    """The runs of an object when its next one begins; of very many the last ones."""
    former = [dict(one) for one in old.get("former_runs", [])]
    return [*former, dict(present_run(old))][-FORMER_RUNS:]


def _chunk_item(object_id: str, chunk: Chunk, run: int) -> dict[str, Any]:
    item = ChunkItem(
        pk=object_pk(object_id),
        sk=chunk_sk(chunk.index),
        chunk_state=ChunkState.PENDING,
        start=chunk.start,
        end=chunk.end,
        run=run,
    )
    return dict(item)
