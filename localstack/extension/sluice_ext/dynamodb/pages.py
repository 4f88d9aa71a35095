"""Pages of Query and Scan: limit, size, filter, projection, and where the next page begins.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sluice_ext.dynamodb import capacity, legacy, reads, values
from sluice_ext.dynamodb.errors import DynamoError, invalid, invalid_values
from sluice_ext.dynamodb.expressions.conditions import holds
from sluice_ext.dynamodb.expressions.nodes import Attribute, Call, Comparison, Condition, Logic
from sluice_ext.dynamodb.expressions.paths import project
from sluice_ext.dynamodb.items import Key, decode, encode
from sluice_ext.dynamodb.requests import Body, Expressions
from sluice_ext.dynamodb.tables import Table
from sluice_ext.dynamodb.values import Attributes

_PAGE_BYTES = 1024 * 1024

type Entry = tuple[Key | None, bytes]
"""A stored item; the table's key beside it where it was found by an index."""


class _Size:
    """The size of the items read. Their JSON is larger than what DynamoDB counts: the exact size is rarely needed.

    Of a global index, what counts is what the index has of an item, which its ``sizes`` remember:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Reads
    """

    def __init__(self, table: Table, index: str | None) -> None:
        self.number = 0
        self._table, self._index = table, index
        schema = table.schema
        if index and index in schema.global_names:
            self._sizes: dict[Key, int] | None = table.items.index(index, *schema.index_keys(index)).sizes
        else:
            self._sizes = None
        self._json = self._exact = 0
        self._uncounted: list[bytes] = []

    def add(self, key: Key | None, stored: bytes) -> bool:
        """Count an item; whether the page is full with it."""
        self.number += 1
        if self._sizes is not None and key is not None and self._index:
            if (size := self._sizes.get(key)) is None:
                size = self._sizes[key] = values.size_of(self._table.projected(self._index, decode(stored)))
            self._exact += size
            return self._exact >= _PAGE_BYTES
        self._uncounted.append(stored)
        self._json += len(stored)
        return self._json >= _PAGE_BYTES and self.exact() >= _PAGE_BYTES

    def exact(self) -> int:
        """Bytes as DynamoDB counts them; each item is counted once."""
        self._exact += sum(map(_size_of, self._uncounted))
        self._uncounted.clear()
        return self._exact


@lru_cache(4096)
def _size_of(stored: bytes) -> int:
    return values.size_of(decode(stored))


class Page:
    """One page of an answer."""

    def __init__(self, body: Body, expressions: Expressions, legacy_filter: str) -> None:
        self._body = body
        self._filter = expressions.condition("FilterExpression")
        self._paths: Any = expressions.projection()
        self._given = expressions.values
        if body.get("AttributesToGet"):
            self._paths = reads.chosen({"AttributesToGet": body["AttributesToGet"]})
        if body.get(legacy_filter):
            operator = body.get("ConditionalOperator") or "AND"
            self._filter = legacy.conditions(body[legacy_filter], operator, self._given)
        _check_select_alone(body)

    def check_filter(self, keys: tuple[str | None, ...]) -> None:
        """Raises ValidationException when a query's filter names one of its keys."""
        for name in _names(self._filter):
            if name in keys:
                what = "Filter Expression" if self._body.get("FilterExpression") else "QueryFilter"
                raise invalid(f"{what} can only contain non-primary key attributes: Primary key attribute: {name}")

    def answer(self, table: Table, entries: Iterator[Entry]) -> str:
        """The JSON of the page made of the first of these entries."""
        body = self._body
        limit, index = body.get("Limit"), body.get("IndexName")
        counted = body.get("Select") == "COUNT"
        whole = self._filter is None and (counted or (self._paths is None and not index))
        found: list[str] = []
        count = 0
        size = _Size(table, index)
        last: bytes | None = None
        for key, stored in entries:
            full = size.add(key, stored)
            item = None if whole else decode(stored)
            if item is None or self._filter is None or holds(self._filter, item, self._given):
                count += 1
                if not counted:
                    found.append(stored.decode() if item is None else encode(self._shown(table, index, item)))
            if full or size.number == limit:
                last = stored
                break
        parts = [] if counted else [f'"Items":[{",".join(found)}]']
        parts += [f'"Count":{count}', f'"ScannedCount":{size.number}']
        if last is not None:
            parts.append(f'"LastEvaluatedKey":{encode(table.key_attributes(decode(last), index))}')
        mode = body.get("ReturnConsumedCapacity") or "NONE"
        if mode != "NONE":
            parts.append(f'"ConsumedCapacity":{encode(self._consumed(table, mode, size.exact(), index))}')
        return f"{{{','.join(parts)}}}"

    def _shown(self, table: Table, index: str | None, item: Attributes) -> Attributes:
        if (index and index in table.schema.global_names) or (
            index and self._paths is None and self._body.get("Select") != "ALL_ATTRIBUTES"
        ):
            item = table.projected(index, item)
        return item if self._paths is None else project(item, self._paths)

    def _consumed(self, table: Table, mode: str, size: int, index: str | None) -> dict[str, Any]:
        units = capacity.read_units(size, bool(self._body.get("ConsistentRead")))
        if index:
            return capacity.consumed(table, mode, 0.0, {index: units})
        return capacity.consumed(table, mode, units)


def _names(condition: Condition | None) -> Iterator[str]:
    """Names of the attributes in a condition."""
    if isinstance(condition, Logic):
        for one in condition.conditions:
            yield from _names(one)
    elif isinstance(condition, Comparison | Call):
        operands = condition.operands if isinstance(condition, Comparison) else condition.arguments
        for operand in operands:
            if isinstance(operand, Attribute):
                yield str(operand.path[0])
            elif isinstance(operand, Call):
                yield from _names(operand)


def _check_select_alone(body: Body) -> None:
    select = body.get("Select")
    chosen = body.get("ProjectionExpression") is not None or body.get("AttributesToGet") is not None
    if select == "SPECIFIC_ATTRIBUTES" and not chosen:
        raise invalid(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
        )
    if chosen and select not in (None, "SPECIFIC_ATTRIBUTES"):
        what = "ProjectionExpression" if body.get("ProjectionExpression") is not None else "AttributesToGet"
        raise invalid(f"Cannot specify the {what} when choosing to get {select}")
    if select == "ALL_PROJECTED_ATTRIBUTES" and not body.get("IndexName"):
        raise invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")


def check_index(table: Table, body: Body) -> None:
    """Raises ValidationException when the index does not exist or cannot be read like this."""
    index = body.get("IndexName")
    if index is None:
        return
    if index not in table.schema.indexes:
        raise invalid(f"The table does not have the specified index: {index}")
    if body.get("ConsistentRead") and index in table.schema.global_names:
        raise invalid("Consistent reads are not supported on global secondary indexes")


def check_select(table: Table, body: Body) -> None:
    """Raises ValidationException when a global index does not have all attributes and all are wanted."""
    index = body.get("IndexName")
    if index in table.schema.global_names and body.get("Select") == "ALL_ATTRIBUTES":
        projection = table.schema.indexes[index].projection or {}
        if projection.get("ProjectionType", "ALL") != "ALL":
            raise invalid_values(
                "Select type ALL_ATTRIBUTES is not supported for global secondary index "
                f"{index} because its projection type is not ALL"
            )


def start_of(table: Table, body: Body) -> Attributes | None:
    """The normal form of ExclusiveStartKey. Raises ValidationException."""
    given = body.get("ExclusiveStartKey")
    if given is None:
        return None
    index = body.get("IndexName")
    try:
        start = values.normal_attributes(given)
    except DynamoError as error:
        raise invalid(f"The provided starting key is invalid: {error.message}") from None
    names = set(table.schema.names)
    if index:
        names |= {name for name in table.schema.index_keys(index) if name}
    if set(start) != names or any(table.schema.types.get(name) not in start[name] for name in names):
        raise invalid("The provided starting key is invalid: The provided key element does not match the schema")
    return start
