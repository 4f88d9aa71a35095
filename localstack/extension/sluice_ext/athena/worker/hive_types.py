"""Types: the catalog's (Hive), DuckDB's, and the names that Athena's results use.

https://docs.aws.amazon.com/athena/latest/ug/data-types.html
"""

import re
from dataclasses import dataclass, field

from sluice_ext.athena.worker.errors import QueryFailed

# Hive -> DuckDB. Both names of a type are in use: DDL says int, CTAS writes integer.
_SIMPLE = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "real": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "binary": "BLOB",
}
_TOKEN = re.compile(r"\s*(`[^`]+`|[\w-]+|[<>(),:])\s*")


def duckdb_type(hive: str) -> str:
    """A type of the catalog in DuckDB's words: ``array<struct<a:int>>`` -> ``STRUCT("a" INTEGER)[]``.

    Raises QueryFailed for a type that Athena does not know.
    """
    tokens = _tokens(hive)
    made = _parse(tokens, hive)
    if tokens:
        raise _unknown(hive)
    return made


def _tokens(hive: str) -> list[str]:
    found, at = [], 0
    while at < len(hive):
        match = _TOKEN.match(hive, at)
        if not match:
            raise _unknown(hive)
        found.append(match[1])
        at = match.end()
    found.reverse()  # taken from the end
    return found


def _parse(tokens: list[str], hive: str) -> str:
    if not tokens:
        raise _unknown(hive)
    name = tokens.pop().lower()
    if name in _SIMPLE:
        return _SIMPLE[name]
    if name in ("varchar", "char"):
        if tokens and tokens[-1] == "(":
            _between(tokens, hive)
        return "VARCHAR"
    if name == "decimal":
        precision, scale = "10", "0"
        if tokens and tokens[-1] == "(":
            numbers = _between(tokens, hive)
            precision, scale = (*numbers, "0")[:2]
        return f"DECIMAL({precision}, {scale})"
    if name == "array":
        _expect(tokens, "<", hive)
        inner = _parse(tokens, hive)
        _expect(tokens, ">", hive)
        return f"{inner}[]"
    if name == "map":
        _expect(tokens, "<", hive)
        key = _parse(tokens, hive)
        _expect(tokens, ",", hive)
        value = _parse(tokens, hive)
        _expect(tokens, ">", hive)
        return f"MAP({key}, {value})"
    if name == "struct":
        return _struct(tokens, hive)
    raise _unknown(hive)


def _struct(tokens: list[str], hive: str) -> str:
    _expect(tokens, "<", hive)
    fields = []
    while True:
        name = tokens.pop().strip("`") if tokens else ""
        _expect(tokens, ":", hive)
        fields.append(f"{quoted(name)} {_parse(tokens, hive)}")
        if tokens and tokens[-1] == ",":
            tokens.pop()
            continue
        _expect(tokens, ">", hive)
        return f"STRUCT({', '.join(fields)})"


def _between(tokens: list[str], hive: str) -> list[str]:
    """The numbers in a pair of parentheses."""
    _expect(tokens, "(", hive)
    numbers = []
    while tokens and tokens[-1] != ")":
        token = tokens.pop()
        if token != ",":
            if not token.isdigit():
                raise _unknown(hive)
            numbers.append(token)
    _expect(tokens, ")", hive)
    return numbers


def _expect(tokens: list[str], token: str, hive: str) -> None:
    if not tokens or tokens.pop() != token:
        raise _unknown(hive)


def _unknown(hive: str) -> QueryFailed:
    return QueryFailed(f"FAILED: ParseException: unknown type {hive!r}")


def quoted(name: str) -> str:
    """An identifier in DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string in SQL."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Type:
    """A type of a result, from DuckDB's description of it."""

    name: str  # Athena's: varchar, bigint, array, row, ...
    precision: int = 0
    scale: int = 0
    children: tuple["Type", ...] = ()
    fields: tuple[str, ...] = field(default=())

    @property
    def hive(self) -> str:
        """The type in the catalog, for a table made from this result."""
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.name == "array":
            return f"array<{self.children[0].hive}>"
        if self.name == "map":
            return f"map<{self.children[0].hive},{self.children[1].hive}>"
        if self.name == "row":
            inner = ",".join(f"{n}:{c.hive}" for n, c in zip(self.fields, self.children, strict=True))
            return f"struct<{inner}>"
        named = {"varchar": "string", "integer": "int", "varbinary": "binary", "timestamp with time zone": "timestamp"}
        return named.get(self.name, self.name)


# DuckDB -> (Athena, precision as GetQueryResults shows it, scale)
_RESULTS = {
    "BOOLEAN": ("boolean", 0, 0),
    "TINYINT": ("tinyint", 3, 0),
    "UTINYINT": ("smallint", 5, 0),
    "SMALLINT": ("smallint", 5, 0),
    "USMALLINT": ("integer", 10, 0),
    "INTEGER": ("integer", 10, 0),
    "UINTEGER": ("bigint", 19, 0),
    "BIGINT": ("bigint", 19, 0),
    # Sums of integers: bigint in Athena. A value beyond it is an error, see `queries`.
    "UBIGINT": ("bigint", 19, 0),
    "HUGEINT": ("bigint", 19, 0),
    "FLOAT": ("float", 17, 0),
    "DOUBLE": ("double", 17, 0),
    "VARCHAR": ("varchar", 2147483647, 0),
    "UUID": ("varchar", 2147483647, 0),
    "DATE": ("date", 0, 0),
    "TIME": ("time", 3, 0),
    "TIMESTAMP": ("timestamp", 3, 0),
    "TIMESTAMP_S": ("timestamp", 3, 0),
    "TIMESTAMP_MS": ("timestamp", 3, 0),
    "TIMESTAMP_NS": ("timestamp", 3, 0),
    "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone", 3, 0),
    "BLOB": ("varbinary", 1073741824, 0),
    "JSON": ("json", 0, 0),
    "INTERVAL": ("interval day to second", 0, 0),
    '"NULL"': ("unknown", 0, 0),
    "NULL": ("unknown", 0, 0),
}


def result_type(found: object) -> Type:
    """Athena's type for a DuckDB type (a ``DuckDBPyType``)."""
    kind = str(getattr(found, "id", "")).lower()
    if kind == "decimal":
        children = dict(getattr(found, "children"))  # noqa: B009 - DuckDB's type has no stub for it
        return Type("decimal", int(children["precision"]), int(children["scale"]))
    if kind in ("list", "array"):
        inner = dict(getattr(found, "children"))["child"]  # noqa: B009
        return Type("array", children=(result_type(inner),))
    if kind == "map":
        children = dict(getattr(found, "children"))  # noqa: B009
        return Type("map", children=(result_type(children["key"]), result_type(children["value"])))
    if kind == "struct":
        listed = list(getattr(found, "children"))  # noqa: B009
        return Type("row", children=tuple(result_type(t) for _, t in listed), fields=tuple(n for n, _ in listed))
    name = str(found)
    if name not in _RESULTS:
        raise QueryFailed(f"NOT_SUPPORTED: a result of type {name} is not supported by this engine")
    return Type(*_RESULTS[name])
