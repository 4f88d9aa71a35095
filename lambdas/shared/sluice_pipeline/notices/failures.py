"""An object that is not ingested: the ledger says so, a metric counts it, and a notice is sent."""

from typing import Any

from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.items import ObjectItem, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.runtime.telemetry import measure


def record_failed_object(
    ledger: Ledger, notices: Notices, ref: ObjectRef, origin: Origin, dataset: str, state: State, code: str, detail: str
) -> None:
    """Ledger first, then the notice: the reader of the notice finds the same in the ledger. Safe to repeat.

    The notice is due in the ledger until it has been sent. A function that dies before leaves it to `settle`; one that
    dies in between has it sent twice.
    """
    if ledger.record_failure(ref, origin, dataset, state, code, detail):
        measure(dataset, **{"ObjectsMissing" if state == State.MISSING else "ObjectsFailed": 1})
        _notify(ledger, notices, ref, origin, dataset, state, code, detail)


def record_failed_chunk(
    ledger: Ledger, notices: Notices, message: ChunkMessage, state: State, code: str, detail: str, logger: Any
) -> None:
    """A chunk that cannot be done, and so its object. Safe to repeat."""
    origin, ref = message.origin, message.object
    logger.error("the object is not ingested", extra={"object_id": origin.object_id, "reason": code, "detail": detail})
    ledger.fail_chunk(origin.object_id, message.chunk, message.run, f"{code}: {detail}")
    record_failed_object(ledger, notices, ref, origin, message.dataset, state, code, detail)


def send_due_notice(ledger: Ledger, notices: Notices, item: ObjectItem) -> None:
    """The notice of an object whose failure is recorded."""
    ref = ObjectRef.from_item(item)
    what = State(item["state"]), item["failed_reason"], item["error"]
    _notify(ledger, notices, ref, Origin(**item["origin"]), item["dataset"], *what)


def _notify(
    ledger: Ledger, notices: Notices, ref: ObjectRef, origin: Origin, dataset: str, state: State, code: str, detail: str
) -> None:
    notices.object_trouble(f"object.{state}", ref, origin, dataset, code, detail)
    ledger.note_noticed(origin.object_id, state, code)
