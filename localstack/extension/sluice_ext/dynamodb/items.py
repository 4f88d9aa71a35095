"""The items of a table: stored as JSON, found by key, in order; indexes made when they are first read.

JSON takes a tenth of the memory of the same item as objects, and is what an answer needs.
"""

import base64
import json
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from sluice_ext.dynamodb.values import Attributes

_TIME_TO_LIVE = ""  # among the indexes, whose names have at least three characters
KeyPart = str | Decimal | bytes
Key = tuple[KeyPart, KeyPart | None]

encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
decode: Callable[[Any], Any] = json.loads


def part(value: dict[str, Any]) -> KeyPart:
    """What a key's value is found and ordered by."""
    ((kind, content),) = value.items()
    if kind == "S":
        return str(content)
    return Decimal(content) if kind == "N" else base64.b64decode(content)


class Partition(dict[Any, Any]):
    """The entries with one hash key. ``order`` lists them in order once someone asked for that.

    It follows every change then: 100,000 entries are not sorted again because one came. A reader holds the lock of the
    account and region, as a writer does, so it never sees half of a change.
    """

    __slots__ = ("order",)

    def __init__(self) -> None:
        super().__init__()
        self.order: list[Any] | None = None

    def __reduce__(self) -> Any:
        return _partition, (dict(self),)

    def ordered(self) -> list[Any]:
        """The keys in order."""
        if self.order is None:
            self.order = sorted(self)
        return self.order

    def set(self, key: Any, entry: Any) -> None:
        """Add or replace."""
        if self.order is not None and key not in self:
            insort(self.order, key)
        self[key] = entry

    def remove(self, key: Any) -> None:
        """Remove if there."""
        if key in self:
            del self[key]
            if self.order is not None:
                del self.order[bisect_left(self.order, key)]


def _partition(entries: dict[Any, Any]) -> Partition:
    made = Partition()
    made.update(entries)
    return made


class Index:
    """A secondary index: partitions of (range key of the index, table's key).

    ``sizes``: what its reader has found the entries to have, in bytes, by the table's key, until their items change.
    """

    def __init__(self, hash_name: str, range_name: str | None) -> None:
        self.hash_name, self.range_name = hash_name, range_name
        self.partitions = Partition()
        self.sizes: dict[Key, int] = {}

    def place(self, key: Key, item: Attributes) -> tuple[KeyPart, tuple[Any, ...]] | None:
        """Where an item is in it; None when it lacks one of the index's keys."""
        if self.hash_name not in item or (self.range_name and self.range_name not in item):
            return None
        order = (part(item[self.range_name]), *key) if self.range_name else key
        return part(item[self.hash_name]), order if key[1] is not None else order[:-1]

    def change(self, key: Key, old: Attributes | None, new: Attributes | None) -> None:
        """Follow a change of an item."""
        self.sizes.pop(key, None)
        before = self.place(key, old) if old else None
        after = self.place(key, new) if new else None
        if before == after:
            return
        if before:
            partition = self.partitions[before[0]]
            partition.remove(before[1])
            if not partition:
                self.partitions.remove(before[0])
        if after:
            if after[0] not in self.partitions:
                self.partitions.set(after[0], Partition())
            self.partitions[after[0]].set(after[1], key)


class Expiring:
    """When items expire (Unix time, s), by key: those that have a number in the time-to-live attribute."""

    range_name = None

    def __init__(self, attribute: str) -> None:
        self.hash_name = attribute
        self.times: dict[Key, float] = {}

    def change(self, key: Key, old: Attributes | None, new: Attributes | None) -> None:
        """Follow a change of an item."""
        number = (new or {}).get(self.hash_name, {}).get("N")
        if number is not None:
            self.times[key] = float(number)
        elif old:
            self.times.pop(key, None)

    def due(self, after: float, until: float) -> list[Key]:
        """The items whose time is in between, ``until`` included."""
        return [key for key, moment in self.times.items() if after < moment <= until]


class Items:
    """The items of one table. moto's own table sees it as its dictionary of items, of which it needs the count."""

    def __init__(self) -> None:
        self.partitions = Partition()
        self.indexes: dict[str, Index | Expiring] = {}

    def __deepcopy__(self, _memo: Any) -> "Items":
        made = Items()
        made.partitions.update({name: _partition(entries) for name, entries in self.partitions.items()})
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {"partitions": self.partitions}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, indexes={})

    def values(self) -> Iterator[Partition]:
        """Partitions, for moto's count."""
        return iter(self.partitions.values())

    def __len__(self) -> int:
        return sum(map(len, self.partitions.values()))

    def get(self, key: Key) -> bytes | None:
        """The item's JSON."""
        partition = self.partitions.get(key[0])
        return None if partition is None else partition.get(key[1])

    def put(self, key: Key, item: Attributes, stored: bytes | None = None) -> None:
        """Add or replace; ``stored`` is its JSON when the caller has it."""
        stored = stored or encode(item).encode()
        partition = self.partitions.get(key[0])
        if partition is None:
            partition = Partition()
            self.partitions.set(key[0], partition)
        old = partition.get(key[1])
        if self.indexes:
            self._follow(key, old, item)
        partition.set(key[1], stored)

    def remove(self, key: Key) -> None:
        """Remove if there."""
        partition = self.partitions.get(key[0])
        old = partition.get(key[1]) if partition is not None else None
        if partition is None or old is None:
            return
        if self.indexes:
            self._follow(key, old, None)
        partition.remove(key[1])
        if not partition:
            self.partitions.remove(key[0])

    def all(self) -> Iterator[tuple[Key, bytes]]:
        """Every key and item."""
        for hash_part, partition in self.partitions.items():
            for range_part, stored in partition.items():
                yield (hash_part, range_part), stored

    def index(self, name: str, hash_name: str, range_name: str | None) -> Index:
        """The index, made of the items at its first use."""
        found = self.indexes.get(name)
        if not isinstance(found, Index) or (found.hash_name, found.range_name) != (hash_name, range_name):
            found = self.indexes[name] = self._made(Index(hash_name, range_name))
        return found

    def expiring(self, attribute: str) -> Expiring:
        """When items expire by this attribute, found out at the first use."""
        found = self.indexes.get(_TIME_TO_LIVE)
        if not isinstance(found, Expiring) or found.hash_name != attribute:
            found = self.indexes[_TIME_TO_LIVE] = self._made(Expiring(attribute), encode(attribute).encode())
        return found

    def _made[I: (Index, Expiring)](self, index: I, name: bytes = b"") -> I:
        """An index of all items; ``name``: only items with that in their JSON can be in it."""
        for key, stored in self.all():
            if name in stored:
                index.change(key, None, decode(stored))
        return index

    def _follow(self, key: Key, old: bytes | None, new: Attributes | None) -> None:
        before = decode(old) if old else None
        for index in self.indexes.values():
            index.change(key, before, new)
