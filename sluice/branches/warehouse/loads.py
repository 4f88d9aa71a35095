"""Waiting until objects are loaded into the warehouse, as the ledger says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sluice.console import FAILED, fail
from sluice.pipeline.ledger import LedgerView
from sluice.polling import poll
from sluice_pipeline.ledger.items import FINAL, State

if TYPE_CHECKING:
    from sluice.pipeline.seed import Uploaded
    from sluice.pipeline.stack import Stack

DEADLINE = 120.0  # seconds; the last load ends some seconds after the last commit


def wait_for_loads(stack: Stack, uploaded: Sequence[Uploaded]) -> None:
    """Waits until every object is loaded, has failed, or is of a dataset that the warehouse leaves out.

    Raises SluiceError after the deadline.
    """
    ledger, left_out = LedgerView.of(stack), frozenset(stack.outputs.get("warehouse_left_out") or ())
    waiting = {item.object_id for item in uploaded}

    def look() -> int:
        for object_id in list(waiting):
            entry = ledger.one(object_id)
            if entry is None:
                continue
            done = entry.state in FINAL - {State.COMMITTED} or entry.item.get("loaded_run")
            if done or (entry.state == State.COMMITTED and entry.dataset in left_out):
                waiting.discard(object_id)
        return len(waiting)

    left, done = poll(look, lambda left: not left, seconds=DEADLINE, interval=0.5)
    if not done:
        fail(f"{left} objects are not in the warehouse after {DEADLINE:.0f} s: sluice logs load", FAILED)
