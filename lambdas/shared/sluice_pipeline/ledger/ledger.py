"""The ledger: what arrived, what became of it, and the counts that must add up.

A chunk's completion and its object's counters change in one transaction, so they count once however often the
chunk is delivered. Every change names the state that it expects.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.dynamo.retries import TransientError
from sluice_pipeline.dynamo.table import TRANSACTION_LIMIT, Table
from sluice_pipeline.ledger import contents, files, shards
from sluice_pipeline.ledger.items import (
    CHUNK,
    EXPIRES_AT,
    OBJECT_SK,
    ChunkItem,
    ChunkState,
    ObjectItem,
    Output,
    QuarantineFile,
    Released,
    Resolved,
    State,
    chunk_sk,
    is_gone,
    object_pk,
    present_run,
)
from sluice_pipeline.ledger.returning import Returning
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.runtime.clock import now

ERROR_CHARACTERS = 1000
_PAGES = ("files_run", "files_pages")
FORMER_RUNS = 50  # some 10 KB of the 400 KB that an item may have
_PRESENT = "attribute_exists(pk) AND attribute_not_exists(expired_at)"
_KEPT = ("outputs", "quarantine", *_PAGES, "staged", "content_id")  # of a chunk when its next run begins


class PagesMissing(TransientError):
    """A chunk's item names pages of files that are not there: another worker replaces them just now."""


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What processing a chunk gave; rows_in = rows_silver + rows_quarantined. committed: it finished its object.

    ``staged``: the outputs are in the staging bucket, for their audit.
    """

    rows_in: int
    outputs: Sequence[Output]
    quarantine: Sequence[QuarantineFile]
    committed: bool = False
    staged: bool = False

    @property
    def rows_silver(self) -> int:
        return sum(output["rows"] for output in self.outputs)

    @property
    def rows_quarantined(self) -> int:
        return sum(file["rows"] for file in self.quarantine)


class Expiring(TransientError):
    """The object's entry is expiring at this moment; tried again, it is planned as one that returns."""


class BeingPublished(RuntimeError):
    """The object's run is between its first file in silver and its record; nothing else begins meanwhile."""


class Ledger:
    """``shard_count``: over how many each index is spread, by default as the function's settings say."""

    def __init__(self, client: Any, table: str, shard_count: int | None = None) -> None:
        self._table = Table(client, table)
        self._shards = shards.Shards(self._table, shard_count)

    def object(self, object_id: str) -> ObjectItem | None:
        """The object, or the one whose content it has."""
        return contents.followed([object_id], self._items).get(object_id)

    def _items(self, object_ids: Iterable[str]) -> dict[str, ObjectItem]:
        found = ((name, self._table.get(object_pk(name), OBJECT_SK)) for name in object_ids)
        return {name: cast("ObjectItem", item) for name, item in found if item}

    def chunk(self, object_id: str, index: int) -> ChunkItem | None:
        """A chunk with all its files; raises PagesMissing as chunks does."""
        item = self._table.get(object_pk(object_id), chunk_sk(index))
        return self._with_files(item) if item else None

    def chunk_alone(self, object_id: str, index: int) -> ChunkItem | None:
        """A chunk without the files that are listed in pages."""
        return cast("ChunkItem | None", self._table.get(object_pk(object_id), chunk_sk(index)))

    def chunks(self, object_id: str) -> Iterator[ChunkItem]:
        """All chunks of an object in order, each with all its files.

        Raises:
            PagesMissing: the files of a chunk could not be read; the caller's retry finds them.
        """
        chunks = self._table.query(object_pk(object_id), CHUNK)
        return (self._with_files(chunk) for chunk in chunks if not is_gone(chunk))

    def _with_files(self, item: dict[str, Any]) -> ChunkItem:
        for _ in range(2):  # a newer run that has ended meanwhile has other pages, and its own item
            if not files.page_count(item):
                break
            pages = self._table.query(item["pk"], files.pages_prefix(item["sk"], int(item["files_run"])))
            if found := files.joined(item, pages):
                return found
            item = self._table.get(item["pk"], item["sk"]) or item
        else:
            raise PagesMissing(
                f"{item['sk']} of {item['pk']} has {files.page_count(item)} pages of files, not all there"
            )
        return cast("ChunkItem", item)

    # -- planning --------------------------------------------------------------------------------------------------

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
        noted = self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            "SET newest = :newest",
            f"{_PRESENT} AND ( attribute_not_exists(newest) OR newest.since <= :since )",
            {":newest": asdict(ref), ":since": ref.since},
        )
        if noted is None:
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

    # -- a chunk's end ---------------------------------------------------------------------------------------------

    def complete_chunk(self, object_id: str, chunk: Chunk, run: int, result: ChunkResult) -> bool:
        """Counts a chunk once; False when another delivery has counted it or a newer run has begun."""
        pages = files.in_pages(chunk_sk(chunk.index), run, result.outputs, result.quarantine)
        self._table.put_all([{"pk": object_pk(object_id)} | page for page in pages])
        listed = {
            ":outputs": [] if pages else list(result.outputs),
            ":quarantine": [] if pages else list(result.quarantine),
        } | ({":pages": len(pages)} if pages else {})
        counts = {
            ":rows_in": result.rows_in,
            ":rows_silver": result.rows_silver,
            ":rows_quarantined": result.rows_quarantined,
        }
        common = {":at": now(), ":run": run}
        marks = {"files_run": ":run", "files_pages": ":pages"} if pages else {}
        marks |= {"staged": ":staged"} if result.staged else {}
        unmarked = " , ".join(["#error", *(name for name in (*_PAGES, "staged") if name not in marks)])
        chunk_update = self._table.update_action(
            object_pk(object_id),
            chunk_sk(chunk.index),
            "SET chunk_state = :done , rows_in = :rows_in , rows_silver = :rows_silver , "
            "rows_quarantined = :rows_quarantined , outputs = :outputs , quarantine = :quarantine , done_at = :at "
            + "".join(f", {name} = {value} " for name, value in marks.items())
            + f"REMOVE {unmarked}",
            "chunk_state <> :done AND #run = :run",
            counts | common | listed | {":done": ChunkState.DONE} | ({":staged": True} if result.staged else {}),
        )
        sizes = {":files": len(result.outputs), ":bytes": sum(output["bytes"] for output in result.outputs)}
        # An only chunk's completion completes the object, so it takes the claim along and saves a call.
        move = self._shards.move(object_id, State.COMMITTING) if chunk.count == 1 else None
        object_update = self._table.update_action(
            object_pk(object_id),
            OBJECT_SK,
            (f"SET {move.sets} , committing_chunk = :index , " if move else "SET ")
            + "updated_at = :at "
            + (f"REMOVE {move.removes} " if move else "")
            + "ADD chunks_done :one , rows_in :rows_in , rows_silver :rows_silver , "
            "rows_quarantined :rows_quarantined , silver_files :files , silver_bytes :bytes",
            "#run = :run",
            counts | common | sizes | {":one": 1} | (move.values | {":index": chunk.index} if move else {}),
        )
        return self._table.transact([chunk_update, object_update])

    def delete_former_pages(self, chunk: ChunkItem, run: int) -> None:
        """Deletes the pages of files that a chunk had before this run of it was counted; safe to repeat.

        A worker that dies before leaves pages that nothing names.
        """
        if files.page_count(chunk) and int(chunk["files_run"]) != run:
            pages = files.pages_prefix(chunk["sk"], int(chunk["files_run"]))
            self._table.delete_all((chunk["pk"], f"{pages}{number:05d}") for number in range(files.page_count(chunk)))

    def claim_commit(self, object_id: str, index: int) -> ObjectItem | None:
        """The object, when all its chunks are done and this chunk is the one to announce it; else None.

        One chunk wins the claim. When its function dies before ``commit``, its message comes back and claims again,
        so the announcement is never lost.
        """
        move = self._shards.move(object_id, State.COMMITTING)
        claimed = self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            f"SET {move.sets} , committing_chunk = :index , updated_at = :at REMOVE {move.removes}",
            "chunks_done = chunk_count AND ( #state IN (:planned, :failed, :missing) "
            "OR ( #state = :state AND committing_chunk = :index ) )",
            move.values
            | {
                ":planned": State.PLANNED,
                ":failed": State.FAILED,
                ":missing": State.MISSING,
                ":index": index,
                ":at": now(),
            },
        )
        return cast("ObjectItem | None", claimed)

    def commit(
        self, object_id: str, run: int, former: State = State.COMMITTING, released: Released | None = None
    ) -> bool:
        """Ends a run that has been announced, True once; a newer run that began meanwhile stays open.

        ``former``: the state that it is in until then. ``released``: why an operator publishes a withheld run.
        """
        extra = {":released": dict(released)} if released else {}
        move = self._shards.move(object_id, State.COMMITTED)
        changed = self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            f"SET {move.sets} , committed_at = :at , updated_at = :at "
            + (", #released = :released " if released else "")
            + f"REMOVE {move.removes} , #error , failed_reason , notice_due , publishing",
            "#state = :former AND #run = :run",
            move.values | {":former": former, ":at": now(), ":run": run} | extra,
        )
        return changed is not None

    def stage(self, object_id: str, run: int) -> bool:
        """A run whose files are staged has been announced, True once."""
        move = self._shards.move(object_id, State.STAGED)
        changed = self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            f"SET {move.sets} , updated_at = :at REMOVE {move.removes} , #error , failed_reason , notice_due",
            "#state = :committing AND #run = :run",
            move.values | {":committing": State.COMMITTING, ":at": now(), ":run": run},
        )
        return changed is not None

    def note_resolved(self, object_id: str, resolved: Resolved) -> bool:
        """Adds to the history of rejected rows that a later run accepted; False when the ledger has no such object."""
        changed = self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            "SET quarantine_resolved = list_append( if_not_exists( quarantine_resolved , :none ), :entry )",
            "attribute_exists(pk)",
            {":none": [], ":entry": [dict(resolved)]},
        )
        return changed is not None

    # -- the warehouse ---------------------------------------------------------------------------------------------

    def note_loaded(self, object_id: str, run: int, rows: int, batch_id: str) -> bool:
        """Records what the warehouse holds of an object; False when this run or a newer one is recorded."""
        changed = self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            "SET loaded_run = :run , loaded_rows = :rows , loaded_batch = :batch , loaded_at = :at REMOVE load_error",
            "attribute_exists(pk) AND ( attribute_not_exists(loaded_run) OR loaded_run < :run )",
            {":run": run, ":rows": rows, ":batch": batch_id, ":at": now()},
        )
        return changed is not None

    def note_load_failed(self, object_id: str, run: int, error: str) -> None:
        """Records why a run is not in the warehouse, unless it, or a newer one, is."""
        self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            "SET load_error = :error",
            "attribute_exists(pk) AND ( attribute_not_exists(loaded_run) OR loaded_run < :run )",
            {":run": run, ":error": error[:ERROR_CHARACTERS]},
        )

    # -- failure ---------------------------------------------------------------------------------------------------

    def record_failure(self, ref: ObjectRef, origin: Origin, dataset: str, state: State, code: str, error: str) -> bool:
        """Marks an object failed or missing, making its item when it never got a plan; True the first time.

        From then on its notice is due, until note_noticed.
        An object whose chunks are all done stays as it is: a stray late failure must not reopen what is accounted for.
        So does an upload whose content another object has.
        """
        item = self._object_item(ref, origin, dataset, 0)
        move = self._shards.move(origin.object_id, state)
        changing = ("pk", "sk", "state", "updated_at", shards.OPEN.key)
        defaults = {name: item[name] for name in item if name not in changing}
        keep = " , ".join(f"#{name} = if_not_exists( #{name} , :{name} )" for name in defaults)
        changed = self._table.update(
            object_pk(origin.object_id),
            OBJECT_SK,
            f"SET {move.sets} , failed_reason = :code , #error = :error , notice_due = :due , updated_at = :at , "
            f"{keep} REMOVE {move.removes}",
            "attribute_not_exists(pk) OR ( attribute_not_exists(same_as) AND attribute_not_exists(expired_at) "
            "AND NOT #state IN (:committed, :committing, :staged, :withheld) "
            "AND ( #state <> :state OR failed_reason <> :code ) )",
            {f":{name}": value for name, value in defaults.items()}
            | move.values
            | {":code": code, ":error": error[:ERROR_CHARACTERS], ":due": True, ":at": now()}
            | {":committed": State.COMMITTED, ":committing": State.COMMITTING}
            | {":staged": State.STAGED, ":withheld": State.WITHHELD},
        )
        if changed is not None:
            return True
        failure = {"state": state, "failed_reason": code, "error": error[:ERROR_CHARACTERS], "notice_due": True}
        return self._fail_returned(item | failure | shards.keys(state, self._shards.of(origin.object_id)))

    def _fail_returned(self, failed: dict[str, Any]) -> bool:
        """Puts a failed object in the place of one that has expired; False when there is none."""
        found = self._table.get(failed["pk"], OBJECT_SK)
        if found is None or not is_gone(found):
            return False
        self._present(failed["object_id"])  # raises while it is expiring
        return self._table.transact([self._table.put_action(failed, f"attribute_exists({EXPIRES_AT})")])

    def note_noticed(self, object_id: str, state: State, code: str) -> None:
        """The notice of this failure has been sent; that of another one is still due."""
        self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            "REMOVE notice_due",
            "#state = :state AND failed_reason = :code",
            {":state": state, ":code": code},
        )

    def fail_chunk(self, object_id: str, chunk: Chunk, run: int, error: str) -> None:
        """Records why a chunk is not done; a chunk that is done, or belongs to a newer run, stays as it is."""
        self._table.update(
            object_pk(object_id),
            chunk_sk(chunk.index),
            "SET chunk_state = :failed , #error = :error",
            "chunk_state <> :done AND #run = :run",
            {
                ":failed": ChunkState.FAILED,
                ":done": ChunkState.DONE,
                ":error": error[:ERROR_CHARACTERS],
                ":run": run,
            },
        )

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
