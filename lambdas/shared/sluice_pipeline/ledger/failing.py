"""An object that cannot be planned or read is in the ledger, too, with the reason, and its notice is due."""

from typing import Any

from sluice_pipeline.ledger import shards
from sluice_pipeline.ledger.items import ERROR_CHARACTERS, EXPIRES_AT, OBJECT_SK, State, is_gone, object_pk
from sluice_pipeline.ledger.planning import Planning
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.runtime.clock import now


class Failing(Planning):
    """The changes that mark an object failed or missing."""

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
