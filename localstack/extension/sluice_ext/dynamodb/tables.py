"""A table as the operations on items see it: moto's table, its keys and its items.

moto has the operations on tables themselves (their description, indexes, time to live, backups, tags).
"""

from typing import Any
from weakref import WeakKeyDictionary

from moto.backends import get_backend
from moto.dynamodb.models.dynamo_type import Item

from sluice_ext.dynamodb import values
from sluice_ext.dynamodb.errors import DynamoError, invalid_item, not_found
from sluice_ext.dynamodb.items import Items, Key, part
from sluice_ext.dynamodb.values import Attributes

_HASH_BYTES, _RANGE_BYTES = 2048, 1024
_INVALID = "One or more parameter values were invalid: "
SCHEMA = "The provided key element does not match the schema"


class Schema:
    """Names and types of keys: the table's and its indexes'."""

    def __init__(self, table: Any) -> None:
        self.attributes, self.global_indexes = table.attr, table.global_indexes
        self.types: dict[str, str] = {one["AttributeName"]: one["AttributeType"] for one in table.attr}
        self.hash_name: str = table.hash_key_attr
        self.range_name: str | None = table.range_key_attr
        self.names = (self.hash_name, self.range_name) if self.range_name else (self.hash_name,)
        self.indexes = {one.name: one for one in table.all_indexes()}
        self.global_names = frozenset(one.name for one in table.global_indexes)
        keys = {one["AttributeName"]: name for name, index in self.indexes.items() for one in index.schema}
        self.index_of = {name: index for name, index in keys.items() if name not in self.names}

    def index_keys(self, name: str) -> tuple[str, str | None]:
        """Names of an index's hash and range key."""
        found = {one["KeyType"]: one["AttributeName"] for one in self.indexes[name].schema}
        return found["HASH"], found.get("RANGE")


_SCHEMAS: WeakKeyDictionary[Any, Schema] = WeakKeyDictionary()


def backend_of(account: str, region: str) -> Any:
    """moto's backend."""
    return get_backend("dynamodb")[account][region]


class Table:
    """A table for the time of one call."""

    __slots__ = ("items", "moto", "schema")

    def __init__(self, moto: Any) -> None:
        self.moto = moto
        items = moto.items
        if type(items) is not Items:
            items = moto.items = _converted(moto)
        self.items: Items = items
        schema = _SCHEMAS.get(moto)
        if schema is None or schema.attributes is not moto.attr or schema.global_indexes is not moto.global_indexes:
            # An update of the table replaces these lists.
            schema = _SCHEMAS[moto] = Schema(moto)
        self.schema = schema

    @property
    def name(self) -> str:
        """The table's name."""
        return str(self.moto.name)

    def key(self, given: Attributes) -> Key:
        """The key of a request's `Key`. Raises ValidationException."""
        schema = self.schema
        if len(given) != len(schema.names) or any(name not in given for name in schema.names):
            raise invalid_item(SCHEMA)
        for name in schema.names:
            if schema.types[name] not in given[name]:
                raise invalid_item(SCHEMA)
        return self._checked_key(given)

    def key_of_item(self, item: Attributes) -> Key:
        """The key of an item that is to be stored, whose keys of indexes are checked too."""
        schema = self.schema
        for name in schema.names:
            if name not in item:
                raise invalid_item(_INVALID + f"Missing the key {name} in the item")
            if schema.types[name] not in item[name]:
                raise invalid_item(
                    _INVALID
                    + f"Type mismatch for key {name} expected: {schema.types[name]} actual: {next(iter(item[name]))}"
                )
        if schema.index_of:
            self.check_index_keys(item)
        return self._checked_key(item)

    def check_index_keys(self, item: Attributes) -> None:
        """Raises ValidationException when an index's key has another type, or is empty."""
        for name, index in self.schema.index_of.items():
            value = item.get(name)
            if value is None:
                continue
            ((kind, content),) = value.items()
            expected = self.schema.types.get(name, kind)
            if kind != expected:
                raise invalid_item(
                    _INVALID
                    + f"Type mismatch for Index Key {name} Expected: {expected} Actual: {kind} IndexName: {index}"
                )
            if content == "":
                raise invalid_item(
                    "One or more parameter values are not valid. A value specified for a secondary index key is not "
                    "supported. The AttributeValue for a key attribute cannot contain an empty "
                    f"{'string' if kind == 'S' else 'binary'} value. IndexName: {index}, IndexKey: {name}"
                )

    def _checked_key(self, item: Attributes) -> Key:
        schema = self.schema
        hash_value = item[schema.hash_name]
        _check(schema.hash_name, hash_value, _HASH_BYTES)
        if not schema.range_name:
            return part(hash_value), None
        range_value = item[schema.range_name]
        _check(schema.range_name, range_value, _RANGE_BYTES)
        return part(hash_value), part(range_value)

    def projected(self, index: str, item: Attributes) -> Attributes:
        """What the index has of an item."""
        projection = self.schema.indexes[index].projection or {}
        kind = projection.get("ProjectionType", "ALL")
        if kind == "ALL":
            return item
        names = {*self.schema.names, *self.schema.index_keys(index)}
        if kind == "INCLUDE":
            names |= set(projection.get("NonKeyAttributes", ()))
        return {name: value for name, value in item.items() if name in names}

    def key_attributes(self, item: Attributes, index: str | None = None) -> Attributes:
        """The attributes of an item that are keys of the table, and of an index."""
        found = {name: item[name] for name in self.schema.names}
        if index:
            for name in self.schema.index_keys(index):
                if name:
                    found[name] = item[name]
        return found


def _check(name: str, value: values.Value, limit: int) -> None:
    ((kind, content),) = value.items()
    if content == "":
        what = "string" if kind == "S" else "binary"
        raise invalid_item(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            f"empty {what} value. Key: {name}"
        )
    if len(content) * 4 > limit and values.size(value) > limit:
        if limit == _HASH_BYTES:
            raise invalid_item(_INVALID + f"Size of hashkey has exceeded the maximum size limit of{limit} bytes")
        raise invalid_item(_INVALID + f"Aggregated size of all range keys has exceeded the size limit of {limit} bytes")


def find(backend: Any, name: str) -> Table:
    """The table of this name or ARN. Raises ResourceNotFoundException."""
    moto = backend.tables.get(name)
    if moto is None and name.startswith("arn:"):
        moto = backend.tables.get(name.rsplit("/", 1)[-1])
        if moto is not None and moto.table_arn != name:
            moto = None
    if moto is None:
        raise not_found()
    return Table(moto)


def _converted(moto: Any) -> Items:
    """The items of a table from a state that an older version saved, or of a new table."""
    made = Items()
    for under_hash in moto.items.values():
        for item in under_hash.values() if moto.range_key_attr else (under_hash,):
            if isinstance(item, Item):
                attributes = item.to_json()["Attributes"]
                _add(made, moto, attributes)
    return made


def _add(made: Items, moto: Any, attributes: Attributes) -> None:
    try:
        item = values.normal_attributes(attributes)
    except DynamoError:
        item = attributes  # what an older version accepted stays as it is
    range_part = part(item[moto.range_key_attr]) if moto.range_key_attr else None
    made.put((part(item[moto.hash_key_attr]), range_part), item)
