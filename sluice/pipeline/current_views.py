"""``<dataset>_current`` for `sluice query`: which datasets have one, and when the objects of their rows arrived."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sluice.pipeline.source import known_datasets
from sluice_pipeline.catalog.current import current_name, current_select
from sluice_pipeline.catalog.datasets import MIXED, Dataset

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

ARRIVALS = "_arrivals"
_OBJECT_ID = "split_part(_record_id, '-', 1)"


@dataclass(frozen=True)
class CurrentViews:
    """``datasets``: those that have a view. ``arrivals``: when objects arrived, in ISO 8601, by object id."""

    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    arrivals: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [current_name(name) for name in self.datasets]

    def arrivals_table(self) -> Any:
        import pyarrow as pa

        columns = [pa.array(list(values), pa.string()) for values in (self.arrivals, self.arrivals.values())]
        return pa.table(columns, names=["object_id", "received_at"])

    def select(self, dataset: str, columns: list[str], source: str) -> str:
        """The SELECT of the view over a table with these columns."""
        return current_select(
            self.datasets[dataset], columns, source=source, arrivals=ARRIVALS, object_id=_OBJECT_ID, has=columns
        )


def keyed(names: Iterable[str]) -> dict[str, Dataset]:
    """The datasets among these names that have a key in the YAML of this checkout."""
    known = known_datasets()
    return {name: known[name] for name in names if name in known and known[name].key}


def arrivals(stack: Stack, datasets: Collection[str]) -> dict[str, str]:
    """When the ledger received the objects that may hold rows of these datasets."""
    from sluice.pipeline.ledger import LedgerView

    if not datasets:
        return {}
    ledger = LedgerView.of(stack)
    items = (item for dataset in (*datasets, MIXED) for item in ledger.received(dataset))
    return {str(item["object_id"]): str(item["received_at"]) for item in items}
