"""Many objects of the ledger at once: listed through its index, read back in batches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.ledger.contents import SAME_AS, followed
from sluice_pipeline.ledger.indexes import Indexes, Part
from sluice_pipeline.ledger.items import EXPIRED_AT, EXPIRES_AT, OBJECT_SK, ObjectItem, object_pk
from sluice_pipeline.ledger.shards import RECEIVED

ANY: Final = "*"  # in place of a dataset: all of them
_OF_EVERY: Final = (
    "object_id",
    SAME_AS,
    EXPIRED_AT,
    EXPIRES_AT,
)  # says which object it stands for, and whether it is gone


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

    def objects(self, object_ids: Iterable[str], fields: Sequence[str] = ()) -> dict[str, ObjectItem]:
        """The objects that these ids stand for, as far as the ledger knows them, as they are now.

        ``fields``: which attributes of them, without any all.
        """
        named = (*fields, *_OF_EVERY) if fields else ()
        return followed(object_ids, lambda names: self._read(names, named))

    def _read(self, object_ids: Iterable[str], fields: Sequence[str]) -> dict[str, ObjectItem]:
        keys = ((object_pk(name), OBJECT_SK) for name in dict.fromkeys(object_ids))
        items = Table(self._client, self._table).get_many(keys, fields)
        return {item["object_id"]: cast("ObjectItem", item) for item in items}
