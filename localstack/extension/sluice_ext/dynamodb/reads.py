"""GetItem and BatchGetItem.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
"""

from collections.abc import Iterable
from typing import Any

from sluice_ext.dynamodb import capacity, tables, values
from sluice_ext.dynamodb.errors import invalid
from sluice_ext.dynamodb.expressions.nodes import Path
from sluice_ext.dynamodb.expressions.paths import project
from sluice_ext.dynamodb.items import decode
from sluice_ext.dynamodb.requests import Body, Expressions, check, constraint, violated

_KEYS = 100
_RESPONSE_BYTES = 16 * 1024 * 1024


def get_item(backend: Any, body: Body) -> str | dict[str, Any]:
    """GetItem; the answer's JSON as text when it has the whole item and nothing else."""
    check(body, "TableName", "Key")
    paths = chosen(body)
    key = values.normal_attributes(body["Key"])
    table = tables.find(backend, body["TableName"])
    stored = table.items.get(table.key(key))
    mode = body.get("ReturnConsumedCapacity")
    if not mode or mode == "NONE":
        if stored is None:
            return "{}"
        if paths is None:
            return f'{{"Item":{stored.decode()}}}'
    answer: dict[str, Any] = {}
    item = decode(stored) if stored is not None else None
    if item is not None:
        answer["Item"] = item if paths is None else project(item, paths)
    if mode and mode != "NONE":
        units = capacity.read_units(values.size_of(item or {}), bool(body.get("ConsistentRead")))
        answer["ConsumedCapacity"] = capacity.consumed(table, mode, units)
    return answer


def chosen(body: Body) -> Iterable[Path] | None:
    """The paths that ProjectionExpression or AttributesToGet name; None for all."""
    expressions = Expressions(body, ("ProjectionExpression",), ("AttributesToGet",))
    paths = expressions.projection()
    expressions.finish()
    names = body.get("AttributesToGet")
    if names is None:
        return paths
    if not names:
        raise violated([constraint("[]", "attributesToGet", "have length greater than or equal to 1")])
    if len(set(names)) < len(names):
        raise invalid("One or more parameter values were invalid: Duplicate value in attribute name: " + names[0])
    return [(name,) for name in names]


def batch_get_item(backend: Any, body: Body) -> dict[str, Any]:
    """BatchGetItem: up to 16 MB of items, the other keys in UnprocessedKeys."""
    requests = body.get("RequestItems")
    if not requests:
        raise invalid("The requestItems parameter is required for BatchGetItem")
    check(body)
    for name, one in requests.items():
        if not one.get("Keys"):
            where = f"requestItems.{name}.member.keys"
            rule = "have length greater than or equal to 1" if one.get("Keys") == [] else "not be null"
            raise violated([constraint("[]" if one.get("Keys") == [] else None, where, rule)])
        if len(one["Keys"]) > _KEYS:
            raise invalid(
                f"1 validation error detected: Value at 'RequestItems.{name}.member.Keys' failed to satisfy "
                f"constraint: Member must have length less than or equal to {_KEYS}"
            )
    if sum(len(one["Keys"]) for one in requests.values()) > _KEYS:
        raise invalid("Too many items requested for the BatchGetItem call")
    reads = [_prepared(backend, name, one) for name, one in requests.items()]
    answer: dict[str, Any] = {"Responses": {}, "UnprocessedKeys": {}}
    consumed, total, full = [], 0, False
    for name, one, table, places, paths in reads:
        found = answer["Responses"].setdefault(name, [])
        units = 0.0
        for key, place in zip(one["Keys"], places, strict=True):
            stored = table.items.get(place)
            item = decode(stored) if stored is not None else {}
            size = values.size_of(item)
            full = full or total + size > _RESPONSE_BYTES
            if full:
                left = {member: value for member, value in one.items() if member != "Keys"}
                answer["UnprocessedKeys"].setdefault(name, {"Keys": [], **left})["Keys"].append(key)
                continue
            total += size
            units += capacity.read_units(size, bool(one.get("ConsistentRead")))
            if stored is not None:
                found.append(item if paths is None else project(item, paths))
        consumed.append((table, units))
    mode = body.get("ReturnConsumedCapacity")
    if mode and mode != "NONE":
        answer["ConsumedCapacity"] = [capacity.consumed(table, mode, units) for table, units in consumed]
    return answer


def _prepared(backend: Any, name: str, one: Body) -> tuple[Any, ...]:
    paths = chosen(one)
    table = tables.find(backend, name)
    places = [table.key(values.normal_attributes(key)) for key in one["Keys"]]
    if len(set(places)) < len(places):
        raise invalid("Provided list of item keys contains duplicates")
    return name, one, table, places, paths
