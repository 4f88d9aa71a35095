"""Waits on the ledger and the queue, which say when work is done; never on guesses about time or files."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail
from sluice.data import queues
from sluice.data.ledger import FINAL, LedgerView

if TYPE_CHECKING:
    from sluice.stack import Stack

POLL_SECONDS = 0.25
WORK = {name: queues.QUEUES[name] for name in ("chunks", "loads")}
"""Queues that are empty when everything is done."""


@dataclass(frozen=True)
class Progress:
    """How far a set of objects is."""

    objects: int
    finished: int
    chunks: int
    chunks_done: int
    rows: int
    queued: int


def wait_for(
    stack: Stack,
    object_ids: Collection[str],
    *,
    deadline: float,
    report: Callable[[Progress], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """The ledger's object items once every object is committed, failed or missing and the queues are empty.

    Raises SluiceError after ``deadline`` seconds, naming objects that are not finished and what to look at.
    """
    ledger = LedgerView(stack.client("dynamodb"), stack["ledger_table"])
    sqs = stack.client("sqs")
    urls = [stack[output] for output in queues.present(stack, WORK).values()]
    end = time.monotonic() + deadline
    while True:
        items = ledger.objects(object_ids)
        queued = sum(queues.depth(sqs, url).total for url in urls)
        progress = _progress(object_ids, items, queued)
        if report:
            report(progress)
        if progress.finished == len(object_ids) and not queued:
            return items
        if time.monotonic() > end:
            fail(_late(object_ids, items, queued, deadline), FAILED)
        time.sleep(POLL_SECONDS)


def _progress(object_ids: Collection[str], items: dict[str, dict[str, Any]], queued: int) -> Progress:
    def total(name: str) -> int:
        return sum(int(item.get(name) or 0) for item in items.values())

    finished = sum(1 for item in items.values() if item["state"] in FINAL)
    return Progress(len(object_ids), finished, total("chunk_count"), total("chunks_done"), total("rows_in"), queued)


def _late(object_ids: Collection[str], items: dict[str, dict[str, Any]], queued: int, deadline: float) -> str:
    unknown = [name for name in object_ids if name not in items]
    open_ = [f"{item['key']} ({item['state']})" for item in items.values() if item["state"] not in FINAL]
    if not unknown and not open_:
        return f"after {deadline:.0f} s all objects are finished, but {queued} messages wait: look with `sluice status`"
    named = ", ".join([*open_, *(f"object {name} (not in the ledger)" for name in unknown)][:5])
    return (
        f"after {deadline:.0f} s {len(open_) + len(unknown)} of {len(object_ids)} objects are not finished and "
        f"{queued} messages wait: {named}; look with `sluice runs` and `sluice logs`"
    )
