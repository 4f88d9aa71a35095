"""Which indexes an object's item is in, and in which shard of them.

A partition of an index takes 1,000 writes a second, whatever the index takes:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
So each index is spread over shards. An object's shard is a hash of its id, and the last part of the index's key:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-indexes-gsi-sharding.html

The number of shards may change at any time. The head item has the greatest number that was ever written with, and
readers read as many; what is in a shard that is no longer written to is still found.
"""

import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sluice_pipeline.ledger.items import State

if TYPE_CHECKING:
    from sluice_pipeline.dynamo.table import Table

HEAD: Final = ("ledger#indexes", "head")
"""Keys of the item that has ``shards`` (see above) and how far `reindex` is."""


class Index(NamedTuple):
    """A sparse index: it has the items that have its partition key. ``order``: its sort key."""

    name: str
    key: str
    order: str


OPEN: Final = Index("open_objects", "open_in", "updated_at")
"""Objects that are not committed, by state: ``open_in`` = ``<state>#<shard>``."""
COMMITTED: Final = Index("committed_objects", "committed_in", "updated_at")
"""Committed objects: ``committed_in`` = ``<shard>``."""
RECEIVED: Final = Index("received_objects", "received_in", "received_at")
"""All objects, by dataset: ``received_in`` = ``<dataset>#<shard>``."""


def shard_of(object_id: str, shards: int) -> int:
    return zlib.crc32(object_id.encode("utf-8", "replace")) % shards


def partition(value: str, shard: int) -> str:
    """The partition key of a shard. ``value``: a state or a dataset, empty where there is one group only."""
    return f"{value}#{shard}" if value else str(shard)


def keys(state: str, shard: int) -> dict[str, str]:
    """The attribute by which an object in this state is in OPEN or in COMMITTED; it has never both."""
    if state == State.COMMITTED:
        return {COMMITTED.key: partition("", shard)}
    return {OPEN.key: partition(state, shard)}


def received_key(dataset: str, shard: int) -> dict[str, str]:
    """The attribute by which an object is in RECEIVED. It never changes."""
    return {RECEIVED.key: partition(dataset, shard)}


@dataclass(frozen=True, slots=True)
class Move:
    """Parts of an update that bring an object into a state: after SET, after REMOVE, and the values of both."""

    sets: str
    removes: str
    values: dict[str, Any]


def move(state: State, shard: int) -> Move:
    [(name, value)] = keys(state, shard).items()
    other = OPEN.key if name == COMMITTED.key else COMMITTED.key
    return Move(f"#state = :state , {name} = :{name}", other, {":state": state, f":{name}": value})


def configured() -> int:
    """How many shards this function writes to."""
    return int(os.environ.get("LEDGER_SHARDS", "1"))


class Shards:
    """``number`` of shards to write to; before the first key is written, readers can know of it."""

    def __init__(self, table: "Table", number: int | None = None) -> None:
        self._table = table
        self._number = number or configured()
        self._announced = self._number == 1  # every reader reads the first one

    def of(self, object_id: str) -> int:
        if not self._announced:
            more = "attribute_not_exists( #shards ) OR #shards < :number"
            self._table.change(*HEAD, "SET #shards = :number", more, {":number": self._number})
            self._announced = True
        return shard_of(object_id, self._number)

    def move(self, object_id: str, state: State) -> Move:
        return move(state, self.of(object_id))
