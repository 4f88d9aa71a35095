"""Many objects of the ledger at once: listed through its index, read back in batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.ledger.contents import followed
from sluice_pipeline.ledger.indexes import Indexes, Part
from sluice_pipeline.ledger.items import OBJECT_SK, ObjectItem, object_pk
from sluice_pipeline.ledger.shards import RECEIVED

ANY: Final = "*"  # in place of a dataset: all of them


@dataclass(frozen=True, slots=True)
class Window:
    """Bounds of ``received_at``, since <= received_at < until; empty for none."""

    since: str = ""
    until: str = ""

    def holds(self, moment: str) -> bool:
        return moment >= self.since and (not self.until or moment < self.until)


class LedgerList:
    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def received(self, dataset: str, window: Window) -> Iterator[ObjectItem]:
        """Objects of a dataset (``*`` for all) that arrived within the window: dataset, received_at, id and origin.

        None of that ever changes; ``objects`` reads the rest.
        The index follows the table after a moment, so what is read here may be a little old.
        """
        indexes = Indexes(self._client, self._table)
        if dataset == ANY:
            found = indexes.everything()
        else:
            found = indexes.read(Part(RECEIVED, dataset, window.since, window.until))
        return (cast("ObjectItem", item) for item in found if window.holds(item["received_at"]))

    def objects(self, object_ids: Iterable[str]) -> dict[str, ObjectItem]:
        """The objects that these ids stand for, as far as the ledger knows them, as they are now."""
        return followed(object_ids, self._read)

    def _read(self, object_ids: Iterable[str]) -> dict[str, ObjectItem]:
        keys = ((object_pk(name), OBJECT_SK) for name in dict.fromkeys(object_ids))
        items = Table(self._client, self._table).get_many(keys)
        return {item["object_id"]: cast("ObjectItem", item) for item in items}
