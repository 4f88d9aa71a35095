"""Query: the items with one hash key, in order, in pages.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.KeyConditionExpressions.html
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

from sluice_ext.dynamodb import keyconditions, tables
from sluice_ext.dynamodb.errors import invalid
from sluice_ext.dynamodb.items import part
from sluice_ext.dynamodb.pages import Entry, Page, check_index, check_select, start_of
from sluice_ext.dynamodb.requests import Body, Expressions, check
from sluice_ext.dynamodb.tables import Table
from sluice_ext.dynamodb.values import Attributes, Value

_LEGACY = ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions")
_EXPRESSIONS = ("FilterExpression", "KeyConditionExpression", "ProjectionExpression")


def query(backend: Any, body: Body) -> str:
    """Query; the answer's JSON."""
    if body.get("Limit") == 0:
        # AWS words this one in another way for a query.
        raise invalid(
            "1 validation error detected: Value at 'Limit' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1"
        )
    check(body, "TableName")
    expressions = Expressions(body, _EXPRESSIONS, _LEGACY)
    if body.get("KeyConditionExpression") is None and body.get("KeyConditions") is None:
        raise invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
    page = Page(body, expressions, "QueryFilter")
    key_condition = expressions.condition("KeyConditionExpression")
    expressions.finish()
    table = tables.find(backend, body["TableName"])
    index = body.get("IndexName")
    check_index(table, body)
    hash_name, range_name = (
        table.schema.index_keys(index) if index else (table.schema.hash_name, table.schema.range_name)
    )
    given = expressions.values
    if key_condition is not None:
        wanted = keyconditions.of_expression(key_condition, given, hash_name, range_name)
    else:
        wanted = keyconditions.of_legacy(body["KeyConditions"], hash_name, range_name)
    keyconditions.check(table, wanted)
    page.check_filter((hash_name, range_name))
    check_select(table, body)
    start = start_of(table, body)
    if start is not None and start[hash_name] != wanted.hash_value:
        raise invalid("The provided starting key is outside query boundaries based on provided conditions")
    entries = _entries(table, index, wanted, start, body.get("ScanIndexForward", True) is not False)
    return page.answer(table, entries)


def _entries(
    table: Table, index: str | None, wanted: keyconditions.Wanted, start: Attributes | None, forward: bool
) -> Iterator[Entry]:
    """The items, in order, behind the start."""
    items = table.items
    partitions = items.index(index, *table.schema.index_keys(index)).partitions if index else items.partitions
    partition = partitions.get(part(wanted.hash_value))
    if not partition:
        return
    if not index and not table.schema.range_name:
        if start is None:
            yield None, partition[None]
        return
    order = partition.ordered()
    position = _position(table, index, start) if start is not None else None
    ranged = wanted.range_operator if index is None or table.schema.index_keys(index)[1] else None
    low, high = _bounds(order, ranged, wanted.range_values, nested=index is not None)
    if position is not None:
        if forward:
            low = max(low, bisect_right(order, position))
        else:
            high = min(high, bisect_left(order, position))
    for at in range(low, high) if forward else range(high - 1, low - 1, -1):
        entry = partition[order[at]]
        stored = items.get(entry) if index else entry
        if stored is not None:
            yield (entry if index else None), stored


def _position(table: Table, index: str | None, start: Attributes) -> Any:
    schema = table.schema
    key = part(start[schema.hash_name]), part(start[schema.range_name]) if schema.range_name else None
    if not index:
        return key[1]
    placed = table.items.index(index, *schema.index_keys(index)).place(key, start)
    if placed is None:
        raise invalid("The provided starting key is invalid")
    return placed[1]


def _bounds(order: list[Any], operator: str | None, given: list[Value], nested: bool) -> tuple[int, int]:
    """Where the entries that satisfy the condition on the range key begin and end."""
    if operator is None:
        return 0, len(order)

    def key(entry: Any) -> Any:
        return entry[0] if nested else entry

    if operator == "begins_with":
        prefix = part(given[0])
        low = bisect_left(order, prefix, key=key)
        high = low
        while high < len(order) and key(order[high])[: len(prefix)] == prefix:  # type: ignore[arg-type]
            high += 1
        return low, high
    first = part(given[0])
    if operator == "BETWEEN":
        return bisect_left(order, first, key=key), bisect_right(order, part(given[1]), key=key)
    low, high = 0, len(order)
    if operator in ("=", ">="):
        low = bisect_left(order, first, key=key)
    if operator == ">":
        low = bisect_right(order, first, key=key)
    if operator in ("=", "<="):
        high = bisect_right(order, first, key=key)
    if operator == "<":
        high = bisect_left(order, first, key=key)
    return low, high
