"""A chunk's end, and its object's once the last one has ended: each counts once, however often it is delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sluice_pipeline.ledger import files
from sluice_pipeline.ledger.items import (
    ERROR_CHARACTERS,
    OBJECT_SK,
    ChunkItem,
    ChunkState,
    ObjectItem,
    Output,
    QuarantineFile,
    Released,
    State,
    chunk_sk,
    object_pk,
)
from sluice_pipeline.ledger.reading import Reading
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.runtime.clock import now


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


class Counting(Reading):
    """The changes that count a chunk, and those that end a run."""

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
        unmarked = " , ".join(["#error", *(name for name in (*files.PAGE_FIELDS, "staged") if name not in marks)])
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

    def fail_chunk(self, object_id: str, chunk: Chunk, run: int, error: str) -> None:
        """Records why a chunk is not done; a chunk that is done, or belongs to a newer run, stays as it is."""
        self._table.change(
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
        return self._table.change(
            object_pk(object_id),
            OBJECT_SK,
            f"SET {move.sets} , committed_at = :at , updated_at = :at "
            + (", #released = :released " if released else "")
            + f"REMOVE {move.removes} , #error , failed_reason , notice_due , publishing",
            "#state = :former AND #run = :run",
            move.values | {":former": former, ":at": now(), ":run": run} | extra,
        )

    def stage(self, object_id: str, run: int) -> bool:
        """A run whose files are staged has been announced, True once."""
        move = self._shards.move(object_id, State.STAGED)
        return self._table.change(
            object_pk(object_id),
            OBJECT_SK,
            f"SET {move.sets} , updated_at = :at REMOVE {move.removes} , #error , failed_reason , notice_due",
            "#state = :committing AND #run = :run",
            move.values | {":committing": State.COMMITTING, ":at": now(), ":run": run},
        )
