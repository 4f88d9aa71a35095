"""SQL over silver: DuckDB reads the Parquet files in place, one view for each dataset, and can write nothing.

DuckDB's own S3 access is an extension that must be downloaded, so pyarrow reads the files. The SQL reaches these views
and nothing else: no files, no network, no extensions, no settings, no second statement.
https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from sluice.console import SluiceError, fail
from sluice.names import nearest
from sluice.pipeline.current_views import ARRIVALS, CurrentViews, arrivals, keyed
from sluice.pipeline.sql_values import Value, plain, reading
from sluice_pipeline.catalog.current import current_name
from sluice_pipeline.objects.keys import SILVER

if TYPE_CHECKING:
    import duckdb

    from sluice.pipeline.stack import Stack

SCHEMA = "silver"
"""Where the views are, as the tables are in the warehouse: ``shipments`` and ``silver.shipments`` are the same."""
_BATCH_ROWS = 2_048
_SAFE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # else a table's name may be a variable of this program
    "temp_directory": "",  # what does not fit into memory is an error, not a file
}
_TABLES = f"SELECT table_name AS name FROM information_schema.tables WHERE table_schema = '{SCHEMA}' ORDER BY 1"
_SHOW_TABLES = re.compile(r"\s*(SHOW|DESCRIBE)\s+(ALL\s+)?TABLES[\s;]*", re.IGNORECASE)
_EXPLAIN = re.compile(
    r"\s*EXPLAIN\b\s*(ANALYZE\b|\((?:\s*(?:ANALYZE|FORMAT\s+\w+)\s*,?)+\))?\s*(?P<query>.*)", re.IGNORECASE | re.DOTALL
)
_LOCKED = """
SET TimeZone = 'UTC'; SET schema = 'silver'; SET enable_external_access = false; SET lock_configuration = true
"""

CARRIERS = """
SELECT carrier, count(*) AS flights, round(avg(dep_delay), 2) AS avg_dep_delay_min
FROM flights GROUP BY carrier ORDER BY flights DESC, carrier LIMIT 10
"""
BUSIEST_DAYS = """
SELECT origin, make_date(year, month, day) AS busiest_day, count(*) AS flights
FROM flights GROUP BY origin, year, month, day
QUALIFY row_number() OVER (PARTITION BY origin ORDER BY count(*) DESC, make_date(year, month, day)) = 1
ORDER BY origin
"""


@dataclass(frozen=True)
class Answer:
    """What a query gives, read as it comes: ``rows`` is to be read once, while the answer is open."""

    columns: list[str]
    numeric: frozenset[int]
    """Places of the columns that hold numbers."""
    rows: Iterator[tuple[Value, ...]]
    is_plan: bool = False
    """Whether it is what EXPLAIN says: each row a name and a text of several lines."""


@dataclass(frozen=True)
class Result:
    """What a query gave: all of it, in memory."""

    columns: list[str]
    rows: list[tuple[Value, ...]]
    numeric: frozenset[int] = field(default=frozenset(), compare=False)

    def to_dicts(self) -> list[dict[str, Any]]:
        """For JSON: decimals as numbers, times as text in ISO 8601, nested values as objects and lists."""
        return [dict(zip(self.columns, map(plain, row), strict=True)) for row in self.rows]


def run(
    tables: Mapping[str, Any], sql: str, known: Collection[str] | None = None, current: CurrentViews | None = None
) -> Result:
    """Runs one query over the tables (pyarrow tables or datasets) and reads all rows.

    ``current``: the views of newest rows beside the tables. ``known``: names for the error about an unknown table,
    those of ``tables`` when not given.
    Raises SluiceError (2) in one line for whatever is wrong with the SQL.
    """
    with answering(tables, sql, known=known, current=current) as answer:
        return Result(answer.columns, list(answer.rows), answer.numeric)


@contextmanager
def answering(
    tables: Mapping[str, Any],
    sql: str,
    *,
    limit: int | None = None,
    known: Collection[str] | None = None,
    current: CurrentViews | None = None,
) -> Iterator[Answer]:
    """The answer to one query while it is open; DuckDB computes no more than ``limit`` rows of it.

    Raises SluiceError as ``run``, also while rows are read.
    """
    import duckdb

    connection = duckdb.connect(":memory:", config=_SAFE)
    names = tables.keys() if known is None else known
    as_written = True  # later errors count the lines of DuckDB's own text
    try:
        _add_views(connection, tables, current or CurrentViews())
        connection.execute(_LOCKED)
        is_plan = _is_plan(connection, sql)
        if _SHOW_TABLES.fullmatch(sql):
            sql = _TABLES  # DuckDB would list the files' names for itself, too
        relation = connection.sql(sql)
        as_written = False
        if limit is not None:
            relation = relation.limit(limit)
        kinds = [(str(kind.id), str(kind)) for kind in relation.types]
        selected, readers = zip(*(reading(place, *kind) for place, kind in enumerate(kinds, 1)), strict=True)
        stream = relation.project(", ".join(selected)).to_arrow_reader(_BATCH_ROWS)
        numeric = frozenset(place for place, reader in enumerate(readers) if reader.numeric)
        rows = _rows(stream, [reader.read for reader in readers], names)
        yield Answer(list(relation.columns), numeric, rows, is_plan)
    except duckdb.Error as error:
        _explain(error, names, as_written=as_written)
    finally:
        connection.close()


def _add_views(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Any], current: CurrentViews) -> None:
    connection.execute(f"CREATE SCHEMA {SCHEMA}")
    connection.register(ARRIVALS, current.arrivals_table())
    for number, (name, table) in enumerate(tables.items()):
        files = f"_files_{number}"
        connection.register(files, table)
        columns = list(table.schema.names)
        _add_view(connection, name, f"SELECT {', '.join(map(_quoted, columns))} FROM {files}")
        if name in current.datasets:
            _add_view(connection, current_name(name), current.select(name, columns, files))


def _add_view(connection: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    connection.execute(f"CREATE OR REPLACE VIEW {SCHEMA}.{_quoted(name)} AS {select}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _is_plan(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Whether the query is an EXPLAIN. Ends with code 2 for whatever is neither one SELECT nor the EXPLAIN of one."""
    from duckdb import StatementType

    found = connection.extract_statements(sql)
    if len(found) != 1:
        fail(f"there are {len(found)} statements: a query is one SELECT" if found else "there is no SQL: give a SELECT")
    kind = found[0].type
    if kind == StatementType.EXPLAIN and (explained := _EXPLAIN.fullmatch(sql)):
        # What is explained may be any statement, and ANALYZE runs it.
        inner = connection.extract_statements(explained["query"])
        kind = inner[0].type if len(inner) == 1 else kind
    if kind != StatementType.SELECT:
        fail(
            f"{kind.name} is not allowed: a query is one SELECT "
            "(WITH, EXPLAIN of a SELECT, DESCRIBE, SUMMARIZE and SHOW TABLES work, too)"
        )
    return found[0].type == StatementType.EXPLAIN


def _rows(stream: Any, read: Sequence[Any], known: Collection[str]) -> Iterator[tuple[Value, ...]]:
    while True:
        try:
            batch = stream.read_next_batch()
        except StopIteration:
            return
        except (OSError, ValueError) as error:  # pyarrow's, with DuckDB's text
            _explain(error, known)
        columns = [map(convert, column.to_pylist()) for convert, column in zip(read, batch.columns, strict=True)]
        yield from zip(*columns, strict=True)


# -- errors ------------------------------------------------------------------------------------------------------------


def _explain(error: Exception, known: Collection[str], *, as_written: bool = False) -> NoReturn:
    """Ends with code 2 and one line: what is wrong, where, and what was probably meant."""
    text, _, where = str(error).strip().partition("\n\nLINE ")
    kind, colon, cause = text.partition(": ")
    lines = (cause if colon and kind.endswith("Error") else text).splitlines()
    said = " ".join(lines[0].split()).rstrip("!.") if lines else type(error).__name__
    line = f" (line {where.partition(':')[0]})" if as_written and where and not where.startswith("1:") else ""
    if "disabled by configuration" in text or "configuration has been locked" in text or "xtension" in said:
        raise SluiceError(f"a query reads silver only, no files, network, extensions or settings: {said}", 2) from error
    hint = " ".join(" ".join(lines[1:]).split()).rstrip(".").replace("Candidate bindings:", "did you mean")
    if said.startswith("Table with name"):
        hint = _tables_hint(said, known)
    elif "Candidate functions" in hint:
        hint = ""
    joint = "" if not hint else " " if hint.startswith("(") else "; "
    raise SluiceError(f"{said}{line}{joint}{hint}", 2) from error


def _tables_hint(said: str, known: Collection[str]) -> str:
    have = ", ".join(sorted(known)) or "none yet: `sluice seed flights` brings some"
    name = said.removeprefix("Table with name").split()[0].strip('"').rpartition(".")[2]
    near = nearest(name, known)
    return f"{f'did you mean {near}? ' if near else ''}(datasets in silver: {have})"


# -- the files of silver -----------------------------------------------------------------------------------------------


@contextmanager
def asking(stack: Stack, sql: str, limit: int | None = None) -> Iterator[Answer]:
    """The answer of a stack's silver, while it is open. Lists and reads the files of the datasets that are named."""
    names = dataset_names(stack)
    views = {current_name(name): name for name in keyed(names)}
    named = _named(sql, [*names, *views])
    read = {views.get(name, name): None for name in named}
    of_views = keyed(views[name] for name in named if name in views)
    current = CurrentViews(of_views, arrivals(stack, of_views))
    with answering(silver(stack, only=read), sql, limit=limit, known=[*names, *views], current=current) as answer:
        yield answer


def dataset_names(stack: Stack) -> list[str]:
    """The datasets that have files in silver."""
    pages = stack.client("s3").get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=stack["silver_bucket"], Prefix=SILVER, Delimiter="/")
    return [entry["Prefix"].split("/")[1] for page in found for entry in page.get("CommonPrefixes", [])]


def _named(sql: str, names: Collection[str]) -> list[str]:
    """The tables that the SQL reads, of these names; all of them when it names none."""
    import duckdb

    try:
        with duckdb.connect(":memory:", config=_SAFE) as connection:
            tables = {name.lower() for name in connection.get_table_names(sql)}
    except duckdb.ParserException:
        return []  # it will not run
    except duckdb.Error:  # it needs columns, as JOIN USING does
        return list(names)
    found = [name for name in names if name.lower() in tables]
    return found if tables else list(names)


def silver(
    stack: Stack, object_ids: Collection[str] | None = None, only: Collection[str] | None = None
) -> dict[str, Any]:
    """A pyarrow dataset for each dataset that has files in silver; only the files of some objects when asked.

    Columns: those of the YAML in its order, others, the partition ``dt`` (a date), and the lineage.
    """
    bucket = stack["silver_bucket"]
    found = _files(stack, bucket, [SILVER] if only is None else [f"{SILVER}{name}/" for name in only], object_ids)
    filesystem = file_system(stack) if found else None
    return {name: _dataset(name, paths, filesystem) for name, paths in found.items()}


def _files(
    stack: Stack, bucket: str, prefixes: Collection[str], object_ids: Collection[str] | None
) -> dict[str, list[str]]:
    from sluice.pipeline import storage

    found: dict[str, list[str]] = {}
    for prefix in prefixes:
        for key in storage.files(stack.client("s3"), bucket, prefix):
            if key.endswith(".parquet") and (object_ids is None or storage.owner_of(key) in object_ids):
                found.setdefault(key.split("/", 2)[1], []).append(f"{bucket}/{key}")
    return found


def _dataset(name: str, paths: Sequence[str], filesystem: Any) -> Any:
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    # The oldest and the newest partition: a field that the YAML got or lost between them is a column.
    schemas = [pq.read_schema(path, filesystem=filesystem) for path in dict.fromkeys((paths[-1], paths[0]))]
    try:
        schema = pa.unify_schemas([*schemas, pa.schema([("dt", pa.date32())])], promote_options="permissive")
    except pa.ArrowException:
        schema = schemas[0].append(pa.field("dt", pa.date32()))
    partitioning = ds.partitioning(pa.schema([("dt", pa.date32())]), flavor="hive")
    schema = pa.schema([schema.field(column) for column in column_order(name, schema.names)])
    return ds.dataset(paths, schema=schema, filesystem=filesystem, format="parquet", partitioning=partitioning)


def column_order(dataset: str, names: Collection[str]) -> list[str]:
    """The columns as a reader expects them: the YAML's fields, others, ``dt``, lineage."""
    from sluice.pipeline.source import known_datasets

    described = known_datasets().get(dataset)
    fields = {field.name: place for place, field in enumerate(described.fields)} if described else {}

    def rank(name: str) -> tuple[int, int]:
        group = 3 if name.startswith("_") else 2 if name == "dt" else 0 if name in fields else 1
        return group, fields.get(name, 0)

    return sorted(names, key=rank)


def file_system(stack: Stack) -> Any:
    """pyarrow's S3 access to the stack, with the same credentials as its other clients."""
    from pyarrow import fs

    if stack.endpoint_url is None:
        # boto3 and Terraform read it by themselves.
        address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return fs.S3FileSystem(region=stack.region, endpoint_override=address)
    return fs.S3FileSystem(
        access_key="test", secret_key="test", endpoint_override=stack.endpoint_url, region=stack.region
    )
