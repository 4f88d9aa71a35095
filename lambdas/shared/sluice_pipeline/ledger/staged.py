"""What the ledger records of a staged run: which execution audits it, and what the audit found."""

from typing import Any

from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.ledger.items import ERROR_CHARACTERS, OBJECT_SK, State, object_pk
from sluice_pipeline.ledger.shards import Shards
from sluice_pipeline.runtime.clock import now


class StagedRuns:
    """Each change is about one run, and none is made once that run has ended or a newer one has begun."""

    def __init__(self, client: Any, table: str, shard_count: int | None = None) -> None:
        self._table = Table(client, table)
        self._shards = Shards(self._table, shard_count)

    def take_for_audit(self, object_id: str, run: int, execution: str, dead: str = "") -> bool:
        """Records which execution audits a staged run, True once; ``dead`` is one recorded that was never started."""
        changed = self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            "SET gate_run = :run , gate_execution = :execution",
            "#state = :staged AND #run = :run AND "
            "( attribute_not_exists(gate_run) OR gate_run < :run OR gate_execution IN (:execution, :dead) )",
            {":staged": State.STAGED, ":run": run, ":execution": execution, ":dead": dead},
        )
        return changed is not None

    def begin_publishing(self, object_id: str, run: int, former: State) -> bool:
        """From here to `Ledger.commit` no newer run begins; False when the run is no longer in the ``former`` state.

        Safe to repeat: a publication that ended half-way is gone on with.
        """
        changed = self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            "SET publishing = :run",
            "#state = :former AND #run = :run",
            {":former": former, ":run": run},
        )
        return changed is not None

    def withhold(self, object_id: str, run: int, code: str, error: str) -> bool:
        """Ends a staged run that failed its audit, True once. From then on its notice is due, until note_noticed."""
        return self._note_staged(object_id, run, State.WITHHELD, code, error)

    def note_unaudited(self, object_id: str, run: int, code: str, error: str) -> bool:
        """Records why a staged run has no verdict, True the first time; it stays staged. Its notice is due then."""
        return self._note_staged(object_id, run, State.STAGED, code, error)

    def _note_staged(self, object_id: str, run: int, state: State, code: str, error: str) -> bool:
        move = self._shards.move(object_id, state)
        changed = self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            f"SET {move.sets} , failed_reason = :code , #error = :error , notice_due = :due , updated_at = :at "
            f"REMOVE {move.removes}",
            "#state = :staged AND #run = :run AND "
            "( #state <> :state OR attribute_not_exists(failed_reason) OR #error <> :error )",
            move.values
            | {":staged": State.STAGED, ":run": run, ":code": code, ":due": True, ":at": now()}
            | {":error": error[:ERROR_CHARACTERS]},
        )
        return changed is not None
