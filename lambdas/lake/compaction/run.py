"""One run of the compaction: every date that is worth it, some at a time; one that fails does not stop the others."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final, Protocol

from lake.compaction.fence import Fence
from lake.compaction.partition import Compaction, Done, Outcome, Table, stale_generations
from lake.compaction.places import File, compacted_folder

SIDE_BY_SIDE: Final = 4
_SHOWN: Final = 1000  # outcomes in a result, those first that did something


class Listing(Protocol):
    """What a run lists and deletes; Aws has it."""

    def objects(self, prefix: str) -> Iterator[File]: ...
    def locations(self, dataset: str) -> dict[str, str]: ...
    def delete(self, keys: Sequence[str]) -> None: ...


class Run:
    def __init__(
        self,
        listing: Listing,
        fence: Fence,
        compaction: Compaction,
        keep_seconds: float,
        log: Callable[[str], None] = print,
    ) -> None:
        self._listing = listing
        self._fence = fence
        self._compaction = compaction
        self._keep_seconds = keep_seconds
        self._log = log

    def process(self, tables: Sequence[Table], day: str = "") -> list[Outcome]:
        """Compacts the dates of these tables, or one; then deletes generations that are out of use."""
        outcomes: list[Outcome] = []
        for table in tables:
            try:
                outcomes += self._dataset(table, day)
                self._delete_stale(table)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others go on
                outcomes.append(self._failed(table.dataset, "", error))
        return outcomes

    def _dataset(self, table: Table, day: str) -> list[Outcome]:
        locations = self._listing.locations(table.dataset)
        items = {item["sk"]: item for item in self._fence.items(table.dataset)}
        days = sorted(one for one in locations if day in ("", one))

        def one(day: str) -> Outcome:
            try:
                done = self._compaction.process(table, day, locations[day], items.get(day))
            except Exception as error:  # noqa: BLE001 - as above
                return self._failed(table.dataset, day, error)
            if done.done not in (Done.LEFT, Done.CURRENT):
                self._log(f"{done.dataset} {done.day}: {done.done} {done.before or ''} {done.after or ''}".rstrip())
            return done

        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            return list(pool.map(one, days))

    def _failed(self, dataset: str, day: str, error: Exception) -> Outcome:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:1000]
        self._log(f"{dataset} {day}: failed, {reason}")
        traceback.print_exception(error)
        return Outcome(dataset, day, Done.FAILED, reason=reason)

    def _delete_stale(self, table: Table) -> None:
        files = list(self._listing.objects(compacted_folder(table.dataset)))
        if not files:
            return
        # Read again: what this run has made is not out of use.
        locations = self._listing.locations(table.dataset)
        changed = {item["sk"]: float(item.get("changed_at", 0)) for item in self._fence.items(table.dataset)}
        stale = stale_generations(files, locations, changed, time.time(), self._keep_seconds)
        self._listing.delete(stale)
        if stale:
            self._log(f"{table.dataset}: {len(stale)} files of former generations deleted")


def result_of(outcomes: Sequence[Outcome], name: str) -> dict[str, Any]:
    """How a run ended, as JSON: what happened to how many dates, sums before and after, and each date in detail."""
    counts = {str(done): sum(one.done == done for one in outcomes) for done in Done}
    compacted = [one for one in outcomes if one.done == Done.COMPACTED]
    sums = {
        when: {what: sum(getattr(one, when)[what] for one in compacted) for what in ("files", "bytes", "rows")}
        for when in ("before", "after")
    }
    dull = (Done.LEFT, Done.CURRENT)
    shown = sorted(outcomes, key=lambda one: (one.done != Done.FAILED, one.done in dull, one.dataset, one.day))
    return {"name": name, "dates": counts, **sums, "outcomes": [asdict(one) for one in shown[:_SHOWN]]}
