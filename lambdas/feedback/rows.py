"""Feedback in DynamoDB: how a row is stored, and how it is found by customer and by date.

Table: ``pk`` = ``row#<dataset>#<key>``, ``sk`` = the key (see dynamo.rows.row_key); indexes ``by_customer``
(customer_key, time_key), ``by_day`` (day_key, time_key) and ``by_object``. Bursts, alerts and counted objects are items
of the table that are in no index.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sluice_pipeline.catalog.checks import RowChecks
from sluice_pipeline.catalog.datasets import Dataset
from sluice_pipeline.dynamo.keys import index_key, join_key
from sluice_pipeline.dynamo.pages import Page, Place, page
from sluice_pipeline.dynamo.rows import keyed_item
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.dynamo.values import text_of

DATASET: Final = "feedback"  # when no other is named
ALERT_SK: Final = "alert"


def alert_pk(dataset: str, check: str) -> str:
    """The item that counts a kind of anomaly: ``counted_total``, ``pending`` (not notified yet), ``samples``."""
    return join_key("alert", dataset, check)


def item_of(dataset: Dataset, section: RowChecks, row: Mapping[str, Any], received_at: str, run: int) -> dict[str, Any]:
    """The item of a silver row; ``anomalies`` names the checks that it breaks by itself."""
    item = keyed_item(dataset.name, dataset.key, row, dataset.partition_by, received_at, run)
    item["customer_key"] = index_key(dataset.name, row[section.person])
    item["day_key"] = index_key(dataset.name, text_of(row[dataset.partition_by])[:10])
    anomalies = [check.name for check in section.checks if check.is_broken_by(row)]
    return item | ({"anomalies": anomalies} if anomalies else {})


class FeedbackRows:
    """Reads what the branch has stored."""

    def __init__(self, client: Any, table: str, dataset: str = DATASET) -> None:
        self._client = client
        self._table = table
        self._dataset = dataset

    def of_customer(self, customer: str, **options: Any) -> Page:
        """Newest first; ``options`` are those of pages.page. Raises InvalidQuery."""
        place = Place(self._table, "customer_key", "time_key", "by_customer")
        return self._page(place, index_key(self._dataset, customer), options)

    def of_day(self, day: str, **options: Any) -> Page:
        """Of a UTC date (YYYY-MM-DD), newest first; ``options`` are those of pages.page. Raises InvalidQuery."""
        return self._page(Place(self._table, "day_key", "time_key", "by_day"), index_key(self._dataset, day), options)

    def alerts(self, checks: Iterable[str]) -> dict[str, dict[str, Any]]:
        """How often each of these checks was broken, by name; without those that never were."""
        names = {alert_pk(self._dataset, check): check for check in checks}
        found = Table(self._client, self._table).get_many((name, ALERT_SK) for name in names)
        return {names[item["pk"]]: item for item in found}

    def _page(self, place: Place, value: str, options: dict[str, Any]) -> Page:
        found = page(self._client, place, value, newest_first=True, **options)
        return Page([_shown(item) for item in found.items], found.cursor)


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    kept = {name: item[name] for name in ("anomalies", "cut", "object_id", "source_key") if name in item}
    row: dict[str, Any] = item["row"]
    return row | {f"_{name}": value for name, value in kept.items()}
