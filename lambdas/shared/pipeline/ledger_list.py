"""Many objects of the ledger at once: listed through its index, read back in batches."""

from collections.abc import Iterable, Iterator
from itertools import batched
from typing import Any, Final, cast

from pipeline.items import OBJECT_SK, ObjectItem, object_pk
from pipeline.replay import ANY, Window
from pipeline.table import back_off, plain, typed

_INDEX: Final = "by_dataset"  # holds object items only
_BATCH: Final = 100  # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html


class LedgerList:
    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def received(self, dataset: str, window: Window) -> Iterator[ObjectItem]:
        """Objects of a dataset (``*`` for all) that arrived within the window.

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

    def objects(self, object_ids: Iterable[str]) -> dict[str, ObjectItem]:
        """The objects of these ids that the ledger knows, as they are now."""
        found: dict[str, ObjectItem] = {}
        for batch in batched(object_ids, _BATCH, strict=False):
            keys = [typed({"pk": object_pk(name), "sk": OBJECT_SK}) for name in batch]
            pending: dict[str, Any] = {self._table: {"Keys": keys, "ConsistentRead": True}}
            attempt = 0
            while pending:
                answer = self._client.batch_get_item(RequestItems=pending)
                for item in map(plain, answer["Responses"].get(self._table, [])):
                    found[item["object_id"]] = cast("ObjectItem", item)
                if pending := answer.get("UnprocessedKeys", {}):
                    attempt += 1
                    back_off(attempt)
        return found
