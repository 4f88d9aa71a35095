"""TransactWriteItems and TransactGetItems: all or nothing.

All conditions are checked and all new items made before the first is stored, so nothing has to be undone. Callers hold
the provider's lock.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sluice_ext.dynamodb import batches, capacity, reads, tables, values, writes
from sluice_ext.dynamodb.errors import DynamoError, ItemError, cancelled, condition_failed, invalid, reason
from sluice_ext.dynamodb.expressions.paths import project
from sluice_ext.dynamodb.items import decode
from sluice_ext.dynamodb.requests import Body, check, constraint, violated
from sluice_ext.dynamodb.values import Attributes

_ITEMS = 100
_BYTES = 4 * 1024 * 1024
_KINDS: dict[str, Callable[[Any, Body], writes.Change]] = {
    "ConditionCheck": writes.condition_check,
    "Put": writes.put,
    "Delete": writes.delete,
    "Update": writes.update,
}


Prepared = tuple[writes.Change, Attributes | None, Attributes | None, bytes | None]


def transact_write_items(backend: Any, body: Body) -> dict[str, Any]:
    """TransactWriteItems. Raises TransactionCanceledException with a reason for each item, in order."""
    listed = _listed(body)
    found = [_change(backend, one) for one in listed]
    prepared = commit(found, [next(iter(one.values())) for one in listed])
    return _answer(body, prepared)


def _check_once(changes: list[writes.Change]) -> None:
    if len({(change.table.name, change.place) for change in changes}) < len(changes):
        raise invalid("Transaction request cannot include multiple operations on one item")


def commit(changes: Sequence[writes.Change | ItemError], ops: list[Body]) -> list[Prepared]:
    """Make all the changes, or none: raises TransactionCanceledException with a reason for each of them."""
    _check_once([change for change in changes if isinstance(change, writes.Change)])
    prepared, reasons, total = [], [], 0
    for change, op in zip(changes, ops, strict=True):
        try:
            if isinstance(change, ItemError):
                raise change
            before = change.current()
            after, stored = _new(change, before, op)
            total += len(stored or b"")
            prepared.append((change, before, after, stored))
            reasons.append(reason(None))
        except DynamoError as error:
            reasons.append(reason(error))
    if any(one["Code"] != "None" for one in reasons):
        raise cancelled(reasons)
    # The JSON is larger than what DynamoDB counts.
    if total > _BYTES and sum(values.size_of(after) for _, _, after, _ in prepared if after) > _BYTES:
        raise invalid("Transaction request size exceeds the limit: 4194304 bytes")
    for change, before, after, stored in prepared:
        if change.after is not None:
            change.write(before, after, stored)
    return prepared


def _new(change: writes.Change, before: Attributes | None, op: Body) -> tuple[Attributes | None, bytes | None]:
    """The item after the change, and its JSON. Raises DynamoError."""
    if not change.allowed(before):
        raise condition_failed(before if op.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else None)
    after = before if change.after is None else change.after(before)
    if after is None or change.after is None:
        return after, None
    return after, writes.stored_form(after, updating=bool(change.actions))


def _listed(body: Body) -> list[Body]:
    listed = body.get("TransactItems")
    check(body, "TransactItems")
    assert listed is not None
    if not listed:
        raise violated([constraint("[]", "transactItems", "have length greater than or equal to 1")])
    if len(listed) > _ITEMS:
        shown = ", ".join(["TransactItem"] * len(listed))
        raise violated([constraint(f"[{shown}]", "transactItems", f"have length less than or equal to {_ITEMS}")])
    return list(listed)


def _change(backend: Any, one: Body) -> writes.Change | ItemError:
    given = [kind for kind in one if one[kind] is not None]
    if len(given) != 1 or given[0] not in _KINDS:
        raise invalid("TransactItems can only contain one of Check, Put, Update or Delete")
    kind = given[0]
    op = one[kind]
    required = {"Put": ("Item",), "Delete": ("Key",), "Update": ("Key", "UpdateExpression")}
    check(op, "TableName", *required.get(kind, ("Key", "ConditionExpression")))
    try:
        return _KINDS[kind](backend, op)
    except ItemError as error:
        return error


def _answer(body: Body, prepared: list[Prepared]) -> dict[str, Any]:
    changes = [change for change, *_ in prepared]
    answer: dict[str, Any] = {}
    mode = body.get("ReturnConsumedCapacity") or "NONE"
    if mode != "NONE":
        units: defaultdict[str, float] = defaultdict(float)
        found = {change.table.name: change.table for change in changes}
        for change, before, after, _ in prepared:
            units[change.table.name] += 2 * capacity.write_units(before, after)
        answer["ConsumedCapacity"] = [
            capacity.consumed(table, mode, units[name], kind="Write") for name, table in found.items()
        ]
    if body.get("ReturnItemCollectionMetrics") == "SIZE":
        answer["ItemCollectionMetrics"] = batches.collections(changes)
    return answer


def transact_get_items(backend: Any, body: Body) -> dict[str, Any]:
    """TransactGetItems. https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactGetItems.html"""
    found: list[Any] = []
    reasons, units = [], []
    for one in _listed(body):
        if list(one) != ["Get"]:
            raise invalid("TransactItems can only contain one of Get")
        get = one["Get"]
        check(get, "TableName", "Key")
        paths = reads.chosen(get)
        key = values.normal_attributes(get["Key"])
        table = tables.find(backend, get["TableName"])
        try:
            found.append((table, table.key(key), paths))
            reasons.append(reason(None))
        except ItemError as error:
            reasons.append(reason(error))
    if len({(table.name, place) for table, place, _ in found}) < len(found):
        raise invalid("Transaction request cannot include multiple operations on one item")
    if len(found) < len(reasons):
        raise cancelled(reasons)
    responses, total = [], 0
    for table, place, paths in found:
        stored = table.items.get(place)
        item = decode(stored) if stored is not None else None
        total += values.size_of(item or {})
        units.append((table, 2 * capacity.read_units(values.size_of(item or {}), consistent=True)))
        responses.append({} if item is None else {"Item": item if paths is None else project(item, paths)})
    if total > _BYTES:
        raise invalid("Transaction request size exceeds the limit: 4194304 bytes")
    answer: dict[str, Any] = {"Responses": responses}
    mode = body.get("ReturnConsumedCapacity") or "NONE"
    if mode != "NONE":
        sums: dict[str, tuple[Any, float]] = {}
        for table, amount in units:
            sums[table.name] = (table, sums.get(table.name, (table, 0.0))[1] + amount)
        answer["ConsumedCapacity"] = [
            capacity.consumed(table, mode, amount, kind="Read") for table, amount in sums.values()
        ]
    return answer
