"""How far a pass is: one item of the ledger's table, written by the one run that has the lease.

A pass may take several runs, for a run has 15 minutes. A run that dies has sent what it found up to its last page;
the next one goes on there once the lease is over, and sends that page again, which ingest recognises.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from core.reconcile.listing import stamp
from sluice_pipeline.dynamo.table import Table

HEAD: Final = ("ledger#reconcile", "head")
_SAMPLES: Final = 20  # keys in a notice


@dataclass(slots=True)
class Progress:
    """``position``: the last key that is done; ``done_until``: of the last whole pass, empty before the first.

    ``found``, ``samples``: what was found and not notified yet: how many objects, and the first of their keys.
    """

    began: datetime
    position: str = ""
    done_until: str = ""
    found: int = 0
    samples: list[str] = field(default_factory=list)


class ProgressStore:
    def __init__(self, table: Table, lease: timedelta) -> None:
        self._table = table
        self._lease = lease

    def claim(self, now: datetime) -> Progress | None:
        """The pass to go on with, or a new one; None while another run has the lease."""
        item = self._update(
            "SET lease_until = :until",
            {":until": stamp(now + self._lease), ":now": stamp(now)},
            "attribute_not_exists(lease_until) OR lease_until < :now",
        )
        if item is None:
            return None
        began = item.get("began") or stamp(now)
        if "began" not in item:
            self._update("SET began = :began", {":began": began})
        return Progress(
            datetime.fromisoformat(began).astimezone(UTC),
            str(item.get("after_key", "")),
            str(item.get("done_until", "")),
            int(item.get("found_count", 0)),
            list(item.get("found_keys", ())),
        )

    def advance(self, progress: Progress, position: str, keys: Sequence[str]) -> None:
        """A page is done, and these objects of it were sent."""
        progress.position = position
        progress.found += len(keys)
        progress.samples = [*progress.samples, *keys][:_SAMPLES]
        values = {":after": position, ":count": progress.found, ":keys": progress.samples}
        self._update("SET after_key = :after, found_count = :count, found_keys = :keys", values)

    def notified(self, progress: Progress) -> None:
        progress.found, progress.samples = 0, []
        self._update("REMOVE found_count, found_keys", {})

    def end(self, until: str) -> None:
        """The pass is whole: the next one begins where its window ends."""
        self._update("SET done_until = :until REMOVE began, after_key", {":until": until})

    def release(self) -> None:
        self._update("REMOVE lease_until", {})

    def _update(self, update: str, values: dict[str, Any], condition: str = "") -> dict[str, Any] | None:
        return self._table.update(*HEAD, update, condition, values)
