"""Many objects of the ledger at once: listed through its index, read back in batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.ledger.contents import followed
from sluice_pipeline.ledger.items import OBJECT_SK, ObjectItem, State, object_pk

_INDEX: Final = "by_dataset"  # holds object items only, as by_state does
_BY_STATE: Final = "by_state"

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

        The index has no more of them, and none of that ever changes; ``objects`` reads the rest.
        The index follows the table after a moment, so what is read here may be a little old.
        """
        if dataset == ANY:
            pages = self._client.get_paginator("scan").paginate(TableName=self._table, IndexName=_INDEX)
        else:
            condition, values = "dataset = :dataset", {":dataset": dataset}
            if window.since and window.until:
                condition += " AND received_at BETWEEN :since AND :until"
            elif window.since:
                condition += " AND received_at >= :since"
            elif window.until:
                condition += " AND received_at < :until"
            values |= {f":{name}": bound for name in ("since", "until") if (bound := getattr(window, name))}
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=_INDEX,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=typed(values),
            )
        for page in pages:
            for item in page["Items"]:
                found = cast("ObjectItem", plain(item))
                if window.holds(found["received_at"]):
                    yield found

    def committed_since(self, moment: str) -> Iterator[ObjectItem]:
        """Objects of all datasets whose last run was committed at or after this moment, as the index shows them."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=_BY_STATE,
            KeyConditionExpression="#state = :committed AND updated_at >= :moment",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues=typed({":committed": State.COMMITTED, ":moment": moment}),
        )
        for page in pages:
            yield from (cast("ObjectItem", plain(item)) for item in page["Items"])

    def objects(self, object_ids: Iterable[str]) -> dict[str, ObjectItem]:
        """The objects that these ids stand for, as far as the ledger knows them, as they are now."""
        return followed(object_ids, self._read)

    def _read(self, object_ids: Iterable[str]) -> dict[str, ObjectItem]:
        keys = ((object_pk(name), OBJECT_SK) for name in object_ids)
        items = Table(self._client, self._table).get_many(keys)
        return {item["object_id"]: cast("ObjectItem", item) for item in items}
