"""Waits for the ledger and the queues, which say when work is done; never for guessed times or files."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail
from sluice.pipeline import queues
from sluice.pipeline.branches import Branches
from sluice.pipeline.ledger import LedgerView
from sluice.polling import poll
from sluice_pipeline.ledger.items import FINAL

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

POLL_SECONDS = 0.25


type Depths = dict[str, queues.Depth]
"""Of the queues that are not empty, by key."""


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
    """The ledger's object items once every object is committed, withheld, failed or missing and the queues are empty.

    Raises SluiceError after ``deadline`` seconds, naming objects that are not finished and what to look at.
    """
    ledger, sqs = LedgerView.of(stack), stack.client("sqs")
    urls = Branches.of(stack).sources

    def queued() -> Depths:
        return {name: depth for name, url in urls.items() if (depth := queues.depth(sqs, url)).total}

    def look() -> tuple[dict[str, dict[str, Any]], bool]:
        items = ledger.objects(object_ids)
        finished = _finished(items) == len(object_ids)
        if report is None:  # a call for each queue: only once it decides
            return items, finished and not queued()
        progress = _progress(object_ids, items, sum(depth.total for depth in queued().values()))
        report(progress)
        return items, finished and not progress.queued

    (items, _), done = poll(look, lambda seen: seen[1], seconds=deadline, interval=POLL_SECONDS)
    if not done:
        fail(_late(object_ids, items, queued(), deadline), FAILED)
    return items


def _finished(items: dict[str, dict[str, Any]]) -> int:
    return sum(1 for item in items.values() if item["state"] in FINAL)


def _progress(object_ids: Collection[str], items: dict[str, dict[str, Any]], queued: int) -> Progress:
    def total(name: str) -> int:
        return sum(int(item.get(name) or 0) for item in items.values())

    chunks, done, rows = total("chunk_count"), total("chunks_done"), total("rows_in")
    return Progress(len(object_ids), _finished(items), chunks, done, rows, queued)


def _late(object_ids: Collection[str], items: dict[str, dict[str, Any]], queued: Depths, deadline: float) -> str:
    unknown = [name for name in object_ids if name not in items]
    open_ = [f"{item['key']} ({item['state']})" for item in items.values() if item["state"] not in FINAL]
    waiting = _waiting(queued)
    if not unknown and not open_:
        return f"after {deadline:.0f} s all objects are finished, but {waiting}: look with `sluice status`"
    named = ", ".join([*open_, *(f"object {name} (not in the ledger)" for name in unknown)][:5])
    return (
        f"after {deadline:.0f} s {len(open_) + len(unknown)} of {len(object_ids)} objects are not finished and "
        f"{waiting}: {named}; look with `sluice runs` and `sluice logs`"
    )


def _waiting(queued: Depths) -> str:
    """How many messages wait, and where: 3 messages wait (chunks 2 in flight, loads 1)."""
    total = sum(depth.total for depth in queued.values())
    if not total:
        return "no message waits"
    each = ", ".join(f"{name} {depth}" for name, depth in sorted(queued.items()))
    return f"{total} message{'s wait' if total > 1 else ' waits'} ({each})"
