"""Columns and their types: how two of them become one, and how similar two schemas are."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sluice_ext.athena.worker.hive_types import Type

Columns = dict[str, Type]

STRING: Final = Type("varchar")
UNKNOWN: Final = Type("unknown")
BOOLEAN, INT, BIGINT, DOUBLE = Type("boolean"), Type("integer"), Type("bigint"), Type("double")
# Two schemas that share at least this part of their columns are of one table. AWS names 70 percent:
# https://repost.aws/knowledge-center/glue-crawler-multiple-tables
SIMILAR: Final = 0.7
_INTEGERS: Final = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}
_FLOATS: Final = ("float", "double")
_TIMES: Final = {"date", "timestamp", "timestamp with time zone"}
_MAX_DIGITS: Final = 38


def merged(one: Type, other: Type) -> Type | None:
    """The type of a column that has values of both; None when only text can hold them."""
    if one.hive == other.hive:
        return one
    names = {one.name, other.name}
    if "unknown" in names:
        return other if one.name == "unknown" else one
    if names <= _INTEGERS.keys():
        return max(one, other, key=lambda kind: _INTEGERS[kind.name])
    if names <= {*_INTEGERS, *_FLOATS, "decimal"}:
        return DOUBLE if names & set(_FLOATS) else _decimal(one, other)
    if names <= _TIMES:
        return Type("timestamp", 3)
    if names == {"array"} or names == {"map"}:
        children = [either(a, b) for a, b in zip(one.children, other.children, strict=True)]
        return Type(one.name, children=tuple(children))
    if names == {"row"}:
        both = merge_columns(fields(one), fields(other))
        return Type("row", children=tuple(both.values()), fields=tuple(both))
    return None


def _decimal(one: Type, other: Type) -> Type:
    sizes = [(_INTEGERS.get(kind.name, kind.precision), kind.scale) for kind in (one, other)]
    scale = max(scale for _, scale in sizes)
    whole = max(precision - scale for precision, scale in sizes)
    return Type("decimal", min(whole + scale, _MAX_DIGITS), min(scale, _MAX_DIGITS))


def either(one: Type, other: Type) -> Type:
    """As `merged`, and text where nothing else holds both."""
    return merged(one, other) or STRING


def fields(row: Type) -> Columns:
    """The fields of a struct."""
    return dict(zip(row.fields, row.children, strict=True))


def merge_columns(one: Mapping[str, Type], other: Mapping[str, Type]) -> Columns:
    """The columns of both, those of the first come first."""
    made = dict(one)
    for name, kind in other.items():
        made[name] = either(made[name], kind) if name in made else kind
    return made


def folded(columns: Iterable[tuple[str, Type]]) -> Columns:
    """Columns by their names in lower case, as the catalog has them."""
    made: Columns = {}
    for name, kind in columns:
        made = merge_columns(made, {name.lower(): kind})
    return made


def similar(one: Mapping[str, Type], other: Mapping[str, Type]) -> bool:
    """Whether two schemas are of one table: the part of their columns that have a name and a type in common."""
    if not one and not other:
        return True
    if one == other:
        return True
    shared = sum(name in other and merged(kind, other[name]) is not None for name, kind in one.items())
    return 2 * shared / (len(one) + len(other)) >= SIMILAR


def hive(kind: Type) -> str:
    """A type as the catalog writes it; what only NULL was seen of is text."""
    if kind.name == "unknown":
        return "string"
    if kind.children:
        shown = tuple(Type("varchar") if child.name == "unknown" else child for child in kind.children)
        if kind.name == "array":
            return f"array<{hive(shown[0])}>"
        if kind.name == "map":
            return f"map<{hive(shown[0])},{hive(shown[1])}>"
        inner = ",".join(f"{name}:{hive(child)}" for name, child in zip(kind.fields, shown, strict=True))
        return f"struct<{inner}>"
    # Hive has no type for these; AWS's crawler writes them as text, too.
    return "string" if kind.name in ("time", "json", "interval day to second") else kind.hive


def to_json(kind: Type) -> list[Any]:
    """For the crawler's memory; see `from_json`."""
    return [kind.name, kind.precision, kind.scale, [to_json(one) for one in kind.children], list(kind.fields)]


def from_json(value: list[Any]) -> Type:
    """What `to_json` wrote."""
    name, precision, scale, children, names = value
    return Type(name, precision, scale, tuple(map(from_json, children)), tuple(names))
