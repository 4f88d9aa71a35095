"""Capacity units of reads and writes, and the size of an item collection.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/capacity-modes.html
"""

from typing import Any

from sluice_ext.dynamodb import values
from sluice_ext.dynamodb.tables import Table
from sluice_ext.dynamodb.values import Attributes

_READ_BYTES, _WRITE_BYTES = 4096, 1024


def read_units(size: int, consistent: bool) -> float:
    """Units of reading so many bytes at once."""
    units = max(1, -(-size // _READ_BYTES))
    return units * 1.0 if consistent else units * 0.5


def write_units(*items: Attributes | None) -> float:
    """Units of writing, for the item before and the one after."""
    sizes = [values.size_of(item) for item in items if item is not None]
    return float(max(1, -(-max(sizes, default=0) // _WRITE_BYTES)))


def index_units(table: Table, before: Attributes | None, after: Attributes | None) -> dict[str, float]:
    """Units of the changes of every index that has the item before or after."""
    found = {}
    for name in table.schema.indexes:
        keys = [key for key in table.schema.index_keys(name) if key]
        old, new = (
            table.projected(name, item) if item is not None and all(key in item for key in keys) else None
            for item in (before, after)
        )
        if old is None and new is None:
            continue
        moved = old is not None and new is not None and any(old[key] != new[key] for key in keys)
        if old != new:
            found[name] = write_units(old) + write_units(new) if moved else write_units(old, new)
    return found


def consumed(
    table: Table, mode: str, units: float, indexes: dict[str, float] | None = None, kind: str | None = None
) -> dict[str, Any]:
    """ConsumedCapacity for TOTAL or INDEXES; ``units``: the table's own; ``kind``: Read or Write in transactions."""
    indexes = indexes or {}
    total = units + sum(indexes.values())

    def shown(amount: float) -> dict[str, float]:
        return {"CapacityUnits": amount} | ({f"{kind}CapacityUnits": amount} if kind else {})

    answer: dict[str, Any] = {"TableName": table.name, **shown(total)}
    if mode == "INDEXES":
        answer["Table"] = shown(units)
        for is_global, member in ((True, "GlobalSecondaryIndexes"), (False, "LocalSecondaryIndexes")):
            found = {
                name: shown(amount)
                for name, amount in indexes.items()
                if (name in table.schema.global_names) == is_global
            }
            if found:
                answer[member] = found
    return answer


def collection(table: Table, item: Attributes) -> dict[str, Any] | None:
    """ItemCollectionMetrics; only tables with local indexes have them."""
    if not table.moto.indexes:
        return None
    return {
        "ItemCollectionKey": {table.schema.hash_name: item[table.schema.hash_name]},
        "SizeEstimateRangeGB": [0.0, 1.0],
    }
