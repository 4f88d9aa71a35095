"""A query reads only the items with its hash key; moto sorts the whole table, and again for every page.

moto queries a view of the table that holds only those items, so results, order, pages and errors stay moto's.
"""

import copy
from collections.abc import Iterator
from typing import Any

from moto.dynamodb.models.table import Table

from sluice_ext.patching import replace


def install() -> None:
    """Patch moto's table; once for each process."""
    original = replace(
        Table,
        "query",
        None,
        expect="(self, hash_key, range_comparison, range_objs, limit, exclusive_start_key, scan_index_forward, "
        "projection_expressions, index_name, consistent_read, filter_expression, **filter_kwargs)",
    )

    def query(
        self: Any,
        hash_key: Any,
        comparison: Any,
        values: Any,
        limit: Any,
        start: Any,
        forward: Any,
        projections: Any,
        index_name: str | None = None,
        *more: Any,
        **filters: Any,
    ) -> Any:
        view = copy.copy(self)
        view.items = _indexed(self, hash_key, index_name) if index_name else _stored(self, hash_key)
        given = (hash_key, comparison, values, limit, start, forward, projections, index_name)
        return original(view, *given, *more, **filters)

    Table.query = query


def items_of(table: Any) -> Iterator[Any]:
    """All items of a table, in no order. moto's dictionary has hash keys, and range keys below them if any."""
    for under_hash in table.items.values():
        if table.range_key_attr:
            yield from under_hash.values()
        else:
            yield under_hash


def _stored(table: Any, hash_key: Any) -> dict[Any, Any]:
    return {hash_key: table.items[hash_key]} if hash_key in table.items else {}


def _indexed(table: Any, hash_key: Any, index_name: str) -> dict[Any, Any]:
    index = next((index for index in table.all_indexes() if index.name == index_name), None)
    keys = [key["AttributeName"] for key in index.schema if key["KeyType"] == "HASH"] if index else []
    if not keys:
        return {}  # moto finds the error before it reads items
    found: dict[Any, Any] = {}
    for item in items_of(table):
        value = item.attrs.get(keys[0])
        if value is None or value.value != hash_key.value or value.type != hash_key.type:
            continue
        if table.range_key_attr:
            found.setdefault(item.hash_key, {})[item.range_key] = item
        else:
            found[item.hash_key] = item
    return found
