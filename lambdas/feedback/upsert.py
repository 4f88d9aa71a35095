"""Feedback of a committed object: its silver rows are stored in DynamoDB, then its anomalies are counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import batched
from typing import Any, Final

from feedback.alerts import Alerts, processed_run
from feedback.anomalies import Bursts, Found
from feedback.rows import item_of
from feedback.schema import FEEDBACK
from sluice_pipeline.catalog.checks import RowChecks
from sluice_pipeline.catalog.datasets import Catalog, Dataset
from sluice_pipeline.dynamo.rows import RowTable, read_silver
from sluice_pipeline.events.committed import Committed, silver_of
from sluice_pipeline.ledger.ledger import Ledger

_AT_ONCE: Final = 2000  # rows that are held in memory


@dataclass(frozen=True, slots=True)
class Upserted:
    """What became of an object's rows, by dataset. ``new``: this run was counted for the first time."""

    rows: dict[str, int]
    written: int
    removed: int
    notices: int
    new: bool
    received_at: str


class Upsert:
    def __init__(
        self, s3: Any, silver_bucket: str, ledger: Ledger, rows: RowTable, alerts: Alerts, catalog: Catalog
    ) -> None:
        self._s3 = s3
        self._bucket = silver_bucket
        self._ledger = ledger
        self._rows = rows
        self._alerts = alerts
        self._sections: dict[str, tuple[Dataset, RowChecks]] = {
            name: (catalog.datasets[name], section) for name, section in FEEDBACK.all(catalog).items()
        }

    def applies_to(self, event: Committed) -> bool:
        """Whether the object may have feedback: rows of this run, or of an earlier one that are to be deleted."""
        return event.run > 1 or event.datasets is None or bool(event.datasets & self._sections.keys())

    def process(self, event: Committed) -> Upserted | None:
        """Stores a run once, however often it is announced; None when it has no feedback or a newer run has begun.

        Raises:
            NotCommitted: the ledger is behind the event.
        """
        silver = silver_of(self._ledger, event, frozenset(self._sections))
        if silver is None:
            return None
        if not silver.outputs and processed_run(self._rows.table, event.object_id) is None:
            return None
        received_at = silver.item["received_at"]
        found = {name: Found() for name in sorted({output["dataset"] for output in silver.outputs})}
        rows = dict.fromkeys(found, 0)
        written = 0
        for output in silver.outputs:
            name = output["dataset"]
            for batch in batched(self._read(output["key"]), _AT_ONCE, strict=False):
                written += self._store(name, batch, received_at, event, found[name])
                rows[name] += len(batch)
        removed = self._rows.sweep(event.object_id, event.run) if event.run > 1 else 0
        new = self._alerts.count(event.object_id, event.run, sum(rows.values()), found)
        notices = sum(
            self._alerts.notify(event.object_id, name, [check.name for check in section.checks])
            for name, (_, section) in self._sections.items()
            if name in found
        )
        return Upserted(rows, written, removed, notices, new, received_at)

    def _read(self, key: str) -> Iterator[dict[str, Any]]:
        return read_silver(self._s3, self._bucket, key)

    def _store(
        self, name: str, rows: tuple[dict[str, Any], ...], received_at: str, event: Committed, found: Found
    ) -> int:
        dataset, section = self._sections[name]
        items = []
        for row in rows:
            item = item_of(dataset, section, row, received_at, event.run)
            for check in item.get("anomalies", []):
                found.add(check, item["sk"])
            items.append(item)
        written = self._rows.upsert(items)
        for check in section.checks:
            if check.burst:
                arrivals = [
                    (str(row[section.person]), _moment(row[dataset.partition_by]), item["sk"])
                    for row, item in zip(rows, items, strict=True)
                ]
                for window in Bursts(self._rows.table, name, check).take(arrivals, event.object_id):
                    found.add_once(check.name, window)
        return written


def _moment(value: datetime | date) -> datetime:
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
