"""DynamoDB in memory, as far as the ledger uses it: conditions and updates are evaluated as the engine does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from sluice_ext.dynamodb.expressions import conditions, updates
from sluice_pipeline.ledger.shards import RECEIVED

type Item = dict[str, Any]


class MemoryDynamo:
    """A client of one table with ``pk`` and ``sk``. ``before`` and ``after`` are called with each call's name."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], None] = lambda _: None

    def get_item(self, Key: Item, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.before("GetItem")
        found = self.items.get(_place(Key))
        return {"Item": copy.deepcopy(found)} if found else {}

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        ((table, request),) = RequestItems.items()
        found = (self.items.get(_place(key)) for key in request["Keys"])
        return {"Responses": {table: [copy.deepcopy(item) for item in found if item]}}

    def batch_write_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        self.before("BatchWriteItem")
        for request in next(iter(RequestItems.values())):
            item = request["PutRequest"]["Item"]
            self.items[_place(item)] = item
        return {}

    def update_item(self, **request: Any) -> dict[str, Any]:
        self.before("UpdateItem")
        if not self._allows(request, request["Key"]):
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
        self._write({"Update": request})
        self.after("UpdateItem")
        return {"Attributes": copy.deepcopy(self.items[_place(request["Key"])])}

    def transact_write_items(self, TransactItems: list[dict[str, Any]], **_: Any) -> None:  # noqa: N803
        self.before("TransactWriteItems")
        allowed = [self._allows(one, one.get("Item") or one["Key"]) for each in TransactItems for one in each.values()]
        if not all(allowed):
            reasons = [{"Code": "None" if fine else "ConditionalCheckFailed"} for fine in allowed]
            code = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(code, "TransactWriteItems")  # type: ignore[arg-type]
        for each in TransactItems:
            self._write(each)
        self.after("TransactWriteItems")

    def query(self, **request: Any) -> dict[str, Any]:
        """Of the table, or of an index: what has its partition key, there between the bounds of its sort key."""
        if "IndexName" not in request:
            return next(self.paginate(**request))
        names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
        key, order = names["#key"], names.get("#order")
        since, until = (values.get(bound, {}).get("S", "") for bound in (":since", ":until"))
        found = [item for item in self.items.values() if item.get(key) == values[":key"]]
        if order:
            found = [item for item in found if since <= item[order]["S"] and (not until or item[order]["S"] <= until)]
            found.sort(key=lambda item: str(item[order]["S"]))
        return {"Items": copy.deepcopy(found), "Count": len(found)}

    def scan(self, **request: Any) -> dict[str, Any]:
        """The table, or an index of objects: what has a dataset's partition key, and what the filter lets pass."""
        found = list(self.items.values())
        if "IndexName" in request:
            found = [item for item in found if RECEIVED.key in item]
        if text := request.get("FilterExpression"):
            given = request["ExpressionAttributeValues"]
            parsed = conditions.parse("FilterExpression", text, _names(request))
            found = [item for item in found if conditions.holds(parsed.tree, item, given)]
        return {"Items": copy.deepcopy(found)}

    def get_paginator(self, operation: str) -> MemoryDynamo:
        assert operation == "query"
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        values = request["ExpressionAttributeValues"]
        prefix = values.get(":prefix", {"S": ""})["S"]
        yield {
            "Items": [
                copy.deepcopy(item)
                for (pk, sk), item in sorted(self.items.items())
                if pk == values[":pk"]["S"] and sk.startswith(prefix)
            ]
        }

    def _allows(self, request: dict[str, Any], key: Item) -> bool:
        if not (text := request.get("ConditionExpression")):
            return True
        given = request.get("ExpressionAttributeValues", {})
        parsed = conditions.parse("ConditionExpression", text, _names(request))
        conditions.check_types("ConditionExpression", parsed, given)
        return bool(conditions.holds(parsed.tree, self.items.get(_place(key), {}), given))

    def _write(self, each: dict[str, Any]) -> None:
        if put := each.get("Put"):
            self.items[_place(put["Item"])] = copy.deepcopy(put["Item"])
        elif change := each.get("Update"):
            place, given = _place(change["Key"]), change["ExpressionAttributeValues"]
            parsed = updates.parse(change["UpdateExpression"], _names(change))
            self.items[place] = updates.apply(parsed.tree, self.items.get(place) or dict(change["Key"]), given)
        else:
            del self.items[_place(each["Delete"]["Key"])]


def _place(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _names(request: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(request.get("ExpressionAttributeNames", {}).items())
