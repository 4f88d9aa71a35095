"""BatchWriteItem: up to 25 puts and deletes, each on its own.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
"""

from collections import defaultdict
from typing import Any

from sluice_ext.dynamodb import capacity, tables, writes
from sluice_ext.dynamodb.errors import invalid, invalid_item
from sluice_ext.dynamodb.requests import Body, check

_REQUESTS = 25


def batch_write_item(backend: Any, body: Body) -> dict[str, Any]:
    """BatchWriteItem. Every request is checked before the first is carried out."""
    requests = body.get("RequestItems")
    if not requests:
        raise invalid("The requestItems parameter is required for BatchWriteItem")
    check(body)
    for listed in requests.values():
        if not 1 <= len(listed) <= _REQUESTS:
            raise _wrong_count(requests)
    if sum(map(len, requests.values())) > _REQUESTS:
        raise invalid("Too many items requested for the BatchWriteItem call")
    changes = [_change(backend, name, request) for name, listed in requests.items() for request in listed]
    places = {(change.table.name, change.place) for change in changes}
    if len(places) < len(changes):
        raise invalid("Provided list of item keys contains duplicates")
    prepared = []
    for change in changes:
        assert change.after is not None
        after = change.after(None)
        prepared.append((change, after, None if after is None else writes.stored_form(after)))
    units: defaultdict[str, float] = defaultdict(float)
    indexes: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    mode = body.get("ReturnConsumedCapacity") or "NONE"
    for change, after, stored in prepared:
        before = change.current()
        change.write(before, after, stored)
        if mode != "NONE":
            units[change.table.name] += capacity.write_units(before, after)
            for name, amount in capacity.index_units(change.table, before, after).items():
                indexes[change.table.name][name] += amount
    answer: dict[str, Any] = {"UnprocessedItems": {}}
    found = {change.table.name: change.table for change in changes}
    if mode != "NONE":
        answer["ConsumedCapacity"] = [
            capacity.consumed(table, mode, units[name], dict(indexes[name])) for name, table in found.items()
        ]
    if body.get("ReturnItemCollectionMetrics") == "SIZE":
        answer["ItemCollectionMetrics"] = collections(changes)
    return answer


def collections(changes: list[writes.Change]) -> dict[str, list[dict[str, Any]]]:
    """ItemCollectionMetrics of several changes, by table."""
    found: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        metrics = capacity.collection(change.table, change.key)
        if metrics and metrics not in found.setdefault(change.table.name, []):
            found[change.table.name].append(metrics)
    return found


def _change(backend: Any, table: str, request: Body) -> writes.Change:
    kinds = [kind for kind in ("PutRequest", "DeleteRequest") if request.get(kind) is not None]
    if len(kinds) != 1:
        raise invalid(
            "Supplied WriteRequest has more than one request, must contain exactly one of PutRequest and DeleteRequest"
            if kinds
            else "Supplied WriteRequest is empty, must contain exactly one of PutRequest and DeleteRequest"
        )
    if kinds[0] == "PutRequest":
        item = request["PutRequest"]["Item"]
        # PutItem names the key that is missing, BatchWriteItem does not.
        if any(name not in item for name in tables.find(backend, table).schema.names):
            raise invalid_item(tables.SCHEMA)
        return writes.put(backend, {"TableName": table, "Item": item})
    return writes.delete(backend, {"TableName": table, "Key": request["DeleteRequest"]["Key"]})


def _wrong_count(requests: Body) -> Exception:
    shown = ", ".join(f"{name}=[{', '.join(['WriteRequest'] * len(listed))}]" for name, listed in requests.items())
    return invalid(
        f"1 validation error detected: Value '{{{shown}}}' at 'requestItems' failed to satisfy constraint: Map value "
        "must satisfy constraint: [Member must have length less than or equal to 25, "
        "Member must have length greater than or equal to 1]"
    )
