"""Quarantined rows: counted by dataset, reason and object, and reprocessed after the rule that rejected them was fixed.

A retry is a new run of the objects, under their old identity: rows that are good now go to silver once, rows that are
still bad are written to quarantine again, and files that are no longer written are removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail
from sluice.pipeline import runs, storage
from sluice.pipeline.ledger import Item, LedgerView
from sluice.pipeline.requeue import requeuer
from sluice.polling import poll
from sluice_pipeline.ledger.items import FINAL, Resolved, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.objects.failures import ObjectMissing
from sluice_pipeline.objects.keys import BRONZE, QUARANTINE, is_totals_key
from sluice_pipeline.runtime.clock import now

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

type Row = dict[str, Any]

REQUEST = "quarantine-"
"""How the names of requests that retry quarantine begin; the ledger stores them as an object's ``replay``."""
_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Filter:
    """Which rows; empty is any. ``object_id`` may be the beginning of one, or a bronze key."""

    dataset: str = ""
    reason: str = ""
    object_id: str = ""

    def takes_file(self, dataset: str, object_id: str) -> bool:
        by_id = not self.object_id or "/" in self.object_id or object_id.startswith(self.object_id.lower())
        return by_id and self.dataset in ("", dataset)

    def takes(self, row: Row) -> bool:
        by_key = "/" not in self.object_id or row["source_key"] == self.object_id
        return by_key and self.reason in ("", row["reason"])

    def __bool__(self) -> bool:
        return bool(self.dataset or self.reason or self.object_id)


@dataclass(frozen=True)
class Group:
    """Rows of one object that were rejected for one reason."""

    dataset: str
    reason: str
    object_id: str
    key: str
    rows: int


@dataclass
class Retried:
    """What became of an object's rejected rows. ``trouble`` is empty when its new run was committed and adds up."""

    object_id: str
    key: str
    run: int = 0
    resolved: Counter[str] = field(default_factory=Counter)
    still: Counter[str] = field(default_factory=Counter)
    newly: Counter[str] = field(default_factory=Counter)
    """Rows that were good before and that today's rules reject."""
    trouble: str = ""


class Quarantine:
    """The quarantine of a stack."""

    def __init__(self, stack: Stack) -> None:
        self._s3 = stack.client("s3")
        self._bucket = stack["quarantine_bucket"]
        self._view = LedgerView.of(stack)
        self._ledger = Ledger(stack.client("dynamodb"), stack["ledger_table"])
        self._requeuer = requeuer(stack)

    # -- looking -----------------------------------------------------------------------------------------------------

    def rows(self, wanted: Filter) -> Iterator[Row]:
        """The rejected rows that a filter takes, by dataset, object and offset.

        Ends with code 2 when the filter names no dataset or no object.
        """
        chosen, found = self._named(wanted), False
        keys = [key for key in storage.files(self._s3, self._bucket, QUARANTINE) if chosen.takes_file(*_named(key))]
        for rows in storage.in_parallel(lambda key: storage.quarantine_rows(self._s3, self._bucket, key), sorted(keys)):
            for row in filter(chosen.takes, rows):
                found = True
                yield row
        if not found and wanted.dataset:
            runs.require_dataset(self._view, wanted.dataset)
        if not found and wanted.object_id:
            runs.find(self._view, chosen.object_id)

    def _named(self, wanted: Filter) -> Filter:
        """The filter with an object's id in the place of a part of its key."""
        name = wanted.object_id
        if not name or name.startswith(BRONZE) or runs.OBJECT_ID.fullmatch(name.lower()):
            return wanted
        entries = runs.find(self._view, name)
        if len(entries) > 1:
            fail(f"{len(entries)} objects have {name!r} in their keys: name one of `sluice runs {name}`")
        return replace(wanted, object_id=entries[0].object_id)

    def groups(self, wanted: Filter) -> list[Group]:
        """Rows counted by dataset, reason and object, most first."""
        return grouped(self.rows(wanted))

    # -- reprocessing ------------------------------------------------------------------------------------------------

    def retry(
        self, wanted: Filter, *, deadline: float, progress: Callable[[int, int], None] | None = None
    ) -> list[Retried]:
        """Opens a new run of every object with rows that the filter takes, waits for them, and compares.

        All rows of these objects are checked again, not only those of the filter: a run is of a whole object.
        Raises SluiceError after ``deadline`` seconds, naming what is not finished; a second call continues from there.
        """
        owners = {str(row["object_id"]) for row in self.rows(wanted)}
        before = self._of_objects(owners)
        items = self._view.objects(owners)
        name = f"{REQUEST}{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%fZ')}"
        results = {owner: self._open(owner, items.get(owner), name) for owner in sorted(owners)}
        opened = {owner: result.run for owner, result in results.items() if not result.trouble}
        after_items = self._wait(opened, deadline, progress)
        after = self._of_objects(opened)
        for owner in opened:
            self._compare(results[owner], items[owner], after_items[owner], before[owner], after.get(owner, {}))
        return list(results.values())

    def _of_objects(self, owners: Iterable[str]) -> dict[str, dict[str, Row]]:
        """Every rejected row of the objects, by object and record id."""
        found: dict[str, dict[str, Row]] = {owner: {} for owner in owners}
        # Totals that differ are no rows; load decides about them after the new run is committed.
        keys = [
            key
            for key in storage.files(self._s3, self._bucket, QUARANTINE)
            if storage.owner_of(key) in found and not is_totals_key(key)
        ]
        for rows in storage.in_parallel(lambda key: storage.quarantine_rows(self._s3, self._bucket, key), keys):
            for row in rows:
                found[str(row["object_id"])][str(row["record_id"])] = row
        return found

    def _open(self, object_id: str, item: Item | None, name: str) -> Retried:
        if item is None:
            return Retried(object_id, "-", trouble="the ledger does not know it: `sluice verify` says more")
        result = Retried(object_id, str(item["origin"]["key"]), int(item["run"]))
        begun = str(item.get("replay") or "")
        if item["state"] != State.COMMITTED and begun.startswith(REQUEST):
            self._requeuer.requeue(object_id, result.run - 1, begun)  # a retry that was interrupted continues
            return result
        if item["state"] != State.COMMITTED:
            result.trouble = f"it is {item['state']}, only a committed object can be retried"
            return result
        try:
            sent = self._requeuer.requeue(object_id, result.run, name)
        except ObjectMissing as missing:
            result.trouble = f"its source cannot be read again: {missing}"
            return result
        if not sent:
            result.trouble = "another command has just begun a new run of it"
        result.run += 1
        return result

    def _wait(
        self, runs: dict[str, int], deadline: float, progress: Callable[[int, int], None] | None
    ) -> dict[str, Item]:
        """The objects' items once their runs (or later ones) are over."""

        def look() -> tuple[dict[str, Item], list[str]]:
            items = self._view.objects(runs)
            open_ = [n for n, run in runs.items() if int(items[n]["run"]) < run or items[n]["state"] not in FINAL]
            if progress:
                progress(len(runs) - len(open_), len(runs))
            return items, open_

        (items, open_), done = poll(look, lambda seen: not seen[1], seconds=deadline, interval=_POLL_SECONDS)
        if not done:
            fail(
                f"after {deadline:.0f} s {len(open_)} of {len(runs)} objects are not finished, among them "
                f"{open_[0]}: look with `sluice runs` and `sluice status`, then run the command again",
                FAILED,
            )
        return items

    def _compare(self, result: Retried, old: Item, new: Item, before: dict[str, Row], after: dict[str, Row]) -> None:
        if new["state"] != State.COMMITTED:
            result.trouble = f"its new run is {new['state']}: {new.get('failed_reason')}"
            return
        result.resolved = Counter(str(row["reason"]) for name, row in before.items() if name not in after)
        result.still = Counter(str(row["reason"]) for name, row in after.items() if name in before)
        result.newly = Counter(str(row["reason"]) for name, row in after.items() if name not in before)
        gained = result.resolved.total() - result.newly.total()
        if old["state"] == State.COMMITTED and int(new["rows_silver"]) - int(old["rows_silver"]) != gained:
            result.trouble = f"silver has {new['rows_silver']} rows after {old['rows_silver']}, not {gained} more"
        elif result.resolved:
            entry = Resolved(
                at=now(),
                run=int(new["run"]),
                rows=result.resolved.total(),
                reasons=dict(sorted(result.resolved.items())),
            )
            self._ledger.note_resolved(result.object_id, entry)


def grouped(rows: Iterable[Row]) -> list[Group]:
    """Rows counted by dataset, reason and object, most first."""
    counts = Counter((row["dataset"], row["reason"], row["object_id"], row["source_key"]) for row in rows)
    found = [Group(*names, rows=count) for names, count in counts.items()]
    return sorted(found, key=lambda group: (-group.rows, group.dataset, group.reason, group.key))


def _named(key: str) -> tuple[str, str]:
    """Dataset and object id of ``quarantine/<dataset>/<object id>-<chunk>.jsonl``."""
    return key.split("/")[1], storage.owner_of(key)
