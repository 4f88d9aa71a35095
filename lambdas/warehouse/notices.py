"""Notices about the warehouse: an object that is not loaded, a file whose summary contradicts its rows."""

from typing import Final

from sluice_pipeline.ledger.items import ObjectItem
from sluice_pipeline.notices.notices import TEXT_CHARACTERS, Notices, about_object

LOAD_FAILED: Final = "load.failed"
CONTROL_TOTALS: Final = "control.totals"
_DIFFERENCES: Final = 20  # that a notice names; quarantine has them all


def notify_load_failed(notices: Notices, object_id: str, run: int, dataset: str, key: str, reason: str) -> None:
    """A committed object is not in the warehouse; its rows are in silver."""
    body = {
        "dataset": dataset,
        "object_id": object_id,
        "run": run,
        "key": key,
        "reason": reason[:TEXT_CHARACTERS],
        "look": f"sluice runs {object_id}",
        "repair": f"fix the cause, then sluice dlq redrive {object_id}",
    }
    notices.publish(LOAD_FAILED, dataset, "error", reason, body)


def notify_control_totals(notices: Notices, item: ObjectItem, run: int, differences: list[str]) -> None:
    """A file's summary contradicts the rows that were loaded from the file."""
    object_id = item["object_id"]
    body = about_object(item) | {
        "run": run,
        "differences": differences[:_DIFFERENCES],
        "rows_quarantined": int(item["rows_quarantined"]),
        "reason": differences[0],
        "look": f"sluice quarantine show {object_id}",
        "repair": "ask the sender which is right and upload the file again; if a wrong rule rejected rows, "
        f"fix it, `make deploy`, then sluice quarantine retry --object {object_id}",
    }
    notices.publish(CONTROL_TOTALS, item["dataset"], "error", str(body["reason"]), body)
