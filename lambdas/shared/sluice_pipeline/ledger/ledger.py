"""The ledger: what arrived, what became of it, and the counts that must add up.

A chunk's completion and its object's counters change in one transaction, so they count once however often the
chunk is delivered. Every change names the state that it expects.
"""

from sluice_pipeline.ledger.counting import Counting
from sluice_pipeline.ledger.failing import Failing
from sluice_pipeline.ledger.items import ERROR_CHARACTERS, OBJECT_SK, Resolved, object_pk
from sluice_pipeline.runtime.clock import now


class Ledger(Failing, Counting):
    """All changes of an object, in the order of its life: planned or failed, counted, and loaded into the warehouse."""

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
