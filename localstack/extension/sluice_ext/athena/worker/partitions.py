"""Which partitions of a table a query needs, and where they are.

Partitions come from the catalog, or follow from the table's properties (partition projection):
https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import duckdb

from sluice_ext.athena.worker import functions
from sluice_ext.athena.worker.channel import Engine
from sluice_ext.athena.worker.errors import QueryFailed
from sluice_ext.athena.worker.hive_types import duckdb_type, quoted
from sluice_ext.athena.worker.tables import DEFAULT_PARTITION, Table

# A projection over more than this is a mistake in its ranges.
_MAX_PROJECTED = 1_000_000
_UNITS = {"YEARS": 365, "MONTHS": 30, "WEEKS": 7, "DAYS": 1}
_SECONDS = {"HOURS": 3600, "MINUTES": 60, "SECONDS": 1}
_RELATIVE = re.compile(r"NOW(?:\s*([+-])\s*(\d+)\s*(YEARS|MONTHS|WEEKS|DAYS|HOURS|MINUTES|SECONDS))?$", re.IGNORECASE)


@dataclass(frozen=True)
class Partition:
    """Values in the order of the table's keys, and a folder in S3."""

    values: tuple[str, ...]
    location: str

    def path(self, keys: Sequence[tuple[str, str]]) -> str:
        """``key=value/key=value``, as DuckDB reads partitions from paths."""
        return "/".join(f"{quote(name)}={quote(v, safe='')}" for (name, _), v in zip(keys, self.values, strict=True))


def select(table: Table, conditions: Sequence[str], engine: Engine) -> list[Partition]:
    """The partitions for which all conditions can be true.

    conditions: SQL of DuckDB over the partition keys alone.
    """
    if not table.keys:
        return [Partition((), table.location)]
    every = list(_projected(table, conditions) if table.projected else _registered(table, engine))
    if not conditions or not every:
        return every
    with duckdb.connect() as connection:
        columns = ", ".join(f"{quoted(name)} VARCHAR" for name, _ in table.keys)
        connection.execute(f"CREATE TABLE text (__at INTEGER, {columns})")
        rows = [(at, *(None if v == DEFAULT_PARTITION else v for v in p.values)) for at, p in enumerate(every)]
        for first in range(0, len(rows), 1000):
            part = rows[first : first + 1000]
            marks = ", ".join(["(" + ", ".join("?" * len(part[0])) + ")"] * len(part))
            connection.execute(f"INSERT INTO text VALUES {marks}", [value for row in part for value in row])
        typed = ", ".join(f"CAST({quoted(n)} AS {duckdb_type(k)}) AS {quoted(n)}" for n, k in table.keys)
        wanted = " AND ".join(f"({condition})" for condition in conditions)
        functions.define(connection, wanted)
        chosen = connection.execute(
            f"SELECT __at FROM (SELECT __at, {typed} FROM text) WHERE {wanted} ORDER BY __at"
        ).fetchall()
    return [every[at] for (at,) in chosen]


def _registered(table: Table, engine: Engine) -> Iterator[Partition]:
    for found in engine.ask("partitions", database=table.database, table=table.name):
        yield Partition(tuple(found["Values"]), found["StorageDescriptor"]["Location"])


# -- projection ------------------------------------------------------------------------------------------------------


def _projected(table: Table, conditions: Sequence[str]) -> Iterator[Partition]:
    values = [_values(table, name, conditions) for name, _ in table.keys]
    size = 1
    for some in values:
        size *= len(some)
    if size > _MAX_PROJECTED:
        raise QueryFailed(f"INVALID_TABLE_PROPERTY: projection of {table.name} has {size} partitions")
    template = table.parameters.get("storage.location.template")
    for combination in itertools.product(*values):
        if template:
            location = template
            for (name, _), value in zip(table.keys, combination, strict=True):
                location = location.replace("${" + name + "}", value)
        else:
            folders = "/".join(f"{name}={value}" for (name, _), value in zip(table.keys, combination, strict=True))
            location = f"{table.location.rstrip('/')}/{folders}"
        yield Partition(combination, location)


def _values(table: Table, name: str, conditions: Sequence[str]) -> list[str]:
    kind = _property(table, name, "type").lower()
    if kind == "enum":
        return [value.strip() for value in _property(table, name, "values").split(",")]
    if kind == "integer":
        first, last = (int(part) for part in _property(table, name, "range").split(","))
        digits = int(table.parameters.get(f"projection.{name}.digits", "0"))
        step = int(table.parameters.get(f"projection.{name}.interval", "1"))
        return [str(value).zfill(digits) for value in range(first, last + 1, step)]
    if kind == "date":
        return list(_dates(table, name))
    if kind == "injected":
        # Its value must be in the query: `column = 'value'`.
        for condition in conditions:
            found = re.fullmatch(rf'"?{re.escape(name)}"? = \'((?:[^\']|\'\')*)\'', condition)
            if found:
                return [found[1].replace("''", "'")]
        raise QueryFailed(
            f"CONSTRAINT_VIOLATION: For the injected projected partition column {name}, the WHERE clause must contain "
            "only static equality conditions, and at least one such condition must be present."
        )
    raise QueryFailed(f"INVALID_TABLE_PROPERTY: projection.{name}.type {kind!r} is not a type of projection")


def _property(table: Table, name: str, which: str) -> str:
    value = table.parameters.get(f"projection.{name}.{which}")
    if value is None:
        raise QueryFailed(f"INVALID_TABLE_PROPERTY: projection.{name}.{which} of {table.name} is missing")
    return str(value)


def _dates(table: Table, name: str) -> Iterator[str]:
    java = _property(table, name, "format")
    first, last = (part.strip() for part in _property(table, name, "range").split(","))
    form = _python_format(java)
    begin, end = _moment(first, form), _moment(last, form)
    fine = any(sign in form for sign in ("%H", "%M", "%S"))
    default = "DAYS" if "%d" in form else "MONTHS" if "%m" in form else "YEARS"
    unit = table.parameters.get(f"projection.{name}.interval.unit", "HOURS" if fine else default).upper()
    count = int(table.parameters.get(f"projection.{name}.interval", "1"))
    at, before = begin, None
    while at <= end:
        text = at.strftime(form)
        if text != before:
            yield text
        before, at = text, _later(at, count, unit)


def _later(at: datetime, count: int, unit: str) -> datetime:
    if unit in ("MONTHS", "YEARS"):
        months = at.year * 12 + at.month - 1 + count * (12 if unit == "YEARS" else 1)
        return at.replace(year=months // 12, month=months % 12 + 1, day=1)
    if unit in _UNITS:
        return at + timedelta(days=count * _UNITS[unit])
    return at + timedelta(seconds=count * _SECONDS[unit])


def _moment(text: str, form: str) -> datetime:
    relative = _RELATIVE.match(text)
    if not relative:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    now = datetime.now(UTC)
    if not relative[1]:
        return now
    count = int(relative[2]) * (1 if relative[1] == "+" else -1)
    return _later(now, count, relative[3].upper())


def _python_format(java: str) -> str:
    """yyyy-MM-dd -> %Y-%m-%d. Quoted text is kept."""
    named = {"yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
    parts = re.split(r"('[^']*')", java)
    for at, part in enumerate(parts):
        parts[at] = (
            part[1:-1]
            if part.startswith("'")
            else re.sub(r"yyyy|yy|MM|dd|HH|mm|ss", lambda found: named[found[0]], part)
        )
    return "".join(parts)
