"""How far a pass is: one item of the ledger's table, written by the one run that has the lease.

A pass may take several runs, for a run has 15 minutes. A run that dies has sent what it found up to its last page;
the next one goes on there once the lease is over, and sends that page again, which ingest recognises.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.runtime.clock import written

HEAD: Final = ("ledger#reconcile", "head")
_SAMPLES: Final = 20  # keys in a notice


@dataclass(slots=True)
class Progress:
    """``began``: the moment of the pass under way, None between two; ``manifest``: of the inventory that it reads.

    A pass without a manifest lists the bucket itself. ``position``: what of the list is done, as its pages say;
    ``done_until``: of the last whole pass, None before the first. ``closed``: the manifest of the last inventory that
    was compared or refused: no pass begins with it again. ``waiting_since``: since when there is no inventory.
    ``found``, ``samples``: what was found and not notified yet: how many objects, and the first of their keys.
    ``page_found``, ``page_samples``: the same of the page that is being sent; a run that died may have left them.
    """

    began: datetime | None = None
    manifest: str = ""
    position: str = ""
    done_until: datetime | None = None
    closed: str = ""
    waiting_since: datetime | None = None
    found: int = 0
    samples: list[str] = field(default_factory=list)
    page_found: int = 0
    page_samples: list[str] = field(default_factory=list)


class ProgressStore:
    def __init__(self, table: Table, lease: timedelta) -> None:
        self._table = table
        self._lease = lease

    def claim(self, now: datetime) -> Progress | None:
        """How far the last run came; None while another run has the lease."""
        item = self._update(
            "SET lease_until = :until",
            {":until": written(now + self._lease), ":now": written(now)},
            "attribute_not_exists(lease_until) OR lease_until < :now",
        )
        if item is None:
            return None
        return Progress(
            _moment(item.get("began")),
            str(item.get("manifest", "")),
            str(item.get("after_key", "")),
            _moment(item.get("done_until")),
            str(item.get("closed", "")),
            _moment(item.get("waiting_since")),
            int(item.get("found_count", 0)),
            list(item.get("found_keys", ())),
            int(item.get("page_count", 0)),
            list(item.get("page_keys", ())),
        )

    def begin(self, progress: Progress, moment: datetime, manifest: str = "") -> None:
        """A new pass; one that was under way over another kind of list is dropped."""
        progress.began, progress.manifest, progress.position = moment, manifest, ""
        values = {":began": written(moment), ":manifest": manifest}
        self._update("SET began = :began, manifest = :manifest REMOVE after_key, waiting_since", values)

    def announce(self, progress: Progress, keys: Sequence[str]) -> None:
        """These objects of the page are going to be sent.

        Recorded before they are: when the run dies after that, ingest may have them before the next run looks, which
        then does not find them, and has to notify all the same.
        """
        progress.page_found = max(progress.page_found, len(keys))
        progress.page_samples = list(dict.fromkeys([*progress.page_samples, *keys]))[:_SAMPLES]
        values = {":count": progress.page_found, ":keys": progress.page_samples}
        self._update("SET page_count = :count, page_keys = :keys", values)

    def advance(self, progress: Progress, position: str) -> None:
        """A page is done, and what was found in it was sent."""
        progress.position = position
        progress.found += progress.page_found
        progress.samples = [*progress.samples, *progress.page_samples][:_SAMPLES]
        progress.page_found, progress.page_samples = 0, []
        values = {":after": position, ":count": progress.found, ":keys": progress.samples}
        self._update(
            "SET after_key = :after, found_count = :count, found_keys = :keys REMOVE page_count, page_keys", values
        )

    def notified(self, progress: Progress) -> None:
        progress.found, progress.samples = 0, []
        self._update("REMOVE found_count, found_keys", {})

    def end(self, progress: Progress, until: str) -> None:
        """The pass is whole: the next one begins where its window ends."""
        closed = {":closed": progress.manifest} if progress.manifest else {}
        also = ", closed = :closed" if closed else ""
        self._update(f"SET done_until = :until{also} REMOVE began, manifest, after_key", {":until": until} | closed)

    def refuse(self, manifest: str) -> None:
        """What this inventory says is not believed: the pass over it is dropped, and none begins with it again."""
        self._update("SET closed = :closed REMOVE began, manifest, after_key", {":closed": manifest})

    def wait(self, since: datetime) -> None:
        """There is no inventory."""
        self._update("SET waiting_since = :since", {":since": written(since)})

    def release(self) -> None:
        self._update("REMOVE lease_until", {})

    def _update(self, update: str, values: dict[str, Any], condition: str = "") -> dict[str, Any] | None:
        return self._table.update(*HEAD, update, condition, values)


def _moment(written: Any) -> datetime | None:
    return datetime.fromisoformat(written).astimezone(UTC) if written else None
