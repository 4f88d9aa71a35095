"""A SELECT of Athena as one of DuckDB: its tables become views over the files that it needs."""

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.optimizer.pushdown_predicates import pushdown_predicates
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from sluice_ext.athena.worker import functions, information, partitions
from sluice_ext.athena.worker.channel import Engine
from sluice_ext.athena.worker.errors import QueryFailed, unsupported
from sluice_ext.athena.worker.hive_types import literal, quoted
from sluice_ext.athena.worker.tables import Table, relation, types_of

CATALOG = "awsdatacatalog"
# Marks a column that the query does not name; Athena calls it after its place: _col0, _col1.
UNNAMED = "__unnamed_"
_MAX_VIEWS = 100
_MOST_REMEMBERED = 100_000
_COLUMN_BYTES: dict[tuple[str, str], int] = {}
"""Compressed bytes of a column in a file: the copy of an object has a name for each of its contents."""


@dataclass(frozen=True)
class _File:
    """``copy`` is the object's, which other queries read, too; ``link`` is this query's name for it."""

    link: str
    copy: str
    size: int


@dataclass
class Session:
    """What one query works with. ``folder`` is its own, and the only place that its SQL can read."""

    engine: Engine
    connection: duckdb.DuckDBPyConnection
    database: str
    folder: Path
    scanned: int = 0
    references: Iterator[int] = field(default_factory=itertools.count)
    views: int = 0

    def table(self, database: str, name: str) -> Table:
        """A table or view of the catalog. Raises QueryFailed when there is none."""
        found = self.engine.ask("table", database=database, table=name)
        if found is None:
            raise QueryFailed(f"TABLE_NOT_FOUND: Table '{CATALOG}.{database}.{name}' does not exist")
        return Table(found)


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory whose SQL reaches nothing outside of ``folder``."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    for setting, value in (
        ("integer_division", "true"),  # 1 / 2 is 0
        # It computes what two branches have in common before a branch is chosen: IF(n <> 0, 1 / n) twice would fail.
        ("disabled_optimizers", "'common_subexpressions'"),
        ("TimeZone", "'UTC'"),
        ("preserve_insertion_order", "true"),
        ("temp_directory", literal(str(folder / "tmp"))),
        ("allowed_directories", f"[{literal(str(folder))}]"),
        ("enable_external_access", "false"),
        ("lock_configuration", "true"),
    ):
        connection.execute(f"SET {setting} = {value}")
    return connection


def parse(sql: str) -> exp.Expression:
    """The one statement. Raises QueryFailed with its place when it cannot be read."""
    try:
        found = [one for one in sqlglot.parse(sql, read="athena") if one is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        where = f"line {first.get('line', 1)}:{first.get('col', 1)}"
        raise QueryFailed(
            f"{where}: mismatched input '{first.get('highlight', '')}': {first.get('description', error)}"
        ) from None
    except SqlglotError as error:
        raise QueryFailed(f"line 1:1: {error}") from None
    if len(found) != 1:
        raise QueryFailed(f"Only one sql statement is allowed. Got: {sql}" if found else "line 1:1: the query is empty")
    return cast(exp.Expression, found[0])


def as_select(query: exp.Expression) -> exp.Expression:
    """VALUES as a SELECT of its rows; any other query as it is."""
    if not isinstance(query, exp.Values):
        return query
    given = exp.Values(expressions=query.expressions, alias=exp.TableAlias(this=exp.to_identifier("given")))
    return exp.select("*").from_(given)


def prepare(session: Session, query: exp.Expression) -> str:
    """SQL for DuckDB; the views that it needs are made.

    Only files of partitions that the query can need are fetched, and their bytes are counted in ``session.scanned``.
    """
    query = query.copy()
    tables = _resolve(session, query, session.database)
    _name_columns(query)
    conditions, used = _analysis(query, tables)
    for name, table in tables.items():
        _make_view(session, name, table, conditions.get(name, []), used.get(name))
    text = functions.translate(query).sql(dialect="duckdb")
    functions.define(session.connection, text)
    return text


def _resolve(session: Session, query: exp.Expression, database: str) -> dict[str, Table]:
    """Give each reference to a table a name of its own; references to views become their queries."""
    found: dict[str, Table] = {}
    for scope in traverse_scope(query):
        for source in scope.tables:
            if not isinstance(source.this, exp.Identifier):
                raise unsupported(f"the table function {source.this.sql('athena')}")
            own = scope.sources.get(source.alias_or_name)
            if isinstance(own, Scope):  # a name of WITH
                continue
            if source.catalog and source.catalog.lower() != CATALOG:
                raise QueryFailed(f"CATALOG_NOT_FOUND: Catalog '{source.catalog.lower()}' does not exist")
            _replace(session, source, (source.db or database).lower(), found)
    return found


def _replace(session: Session, source: exp.Table, database: str, found: dict[str, Table]) -> None:
    name, alias = source.name.lower(), source.alias_or_name
    if database == "information_schema":
        made = information.make(session.connection, session.engine, name)
        source.set("this", exp.to_identifier(made, quoted=True))
    else:
        table = session.table(database, name)
        if table.is_view:
            session.views += 1
            if session.views > _MAX_VIEWS:
                raise QueryFailed(f"VIEW_IS_RECURSIVE: View '{database}.{name}' refers to itself")
            inner = parse(view_sql(table))
            found.update(_resolve(session, inner, database))
            source.replace(
                exp.Subquery(
                    this=inner, alias=source.args.get("alias") or exp.TableAlias(this=exp.to_identifier(alias))
                )
            )
            return
        made = f"__t{next(session.references)}"
        found[made] = table
        source.set("this", exp.to_identifier(made, quoted=True))
    source.set("db", None)
    source.set("catalog", None)
    if not source.args.get("alias"):
        source.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def view_sql(table: Table) -> str:
    """The query of a view, as Athena stores it: a comment with JSON in base64."""
    text = str(table.described.get("ViewOriginalText") or "")
    encoded = text.removeprefix("/* Presto View:").removesuffix("*/").strip()
    try:
        return str(json.loads(base64.b64decode(encoded))["originalSql"])
    except (ValueError, KeyError) as error:
        raise QueryFailed(f"INVALID_VIEW: View '{table.database}.{table.name}' cannot be read: {error}") from None


def _name_columns(query: exp.Expression) -> None:
    first = query
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    if not isinstance(first, exp.Select):
        return
    for at, column in enumerate(first.expressions):
        if isinstance(column, exp.Alias | exp.Column | exp.Star | exp.Aliases):
            continue
        column.replace(exp.alias_(column.copy(), f"{UNNAMED}{at}", quoted=True))


def _analysis(query: exp.Expression, tables: dict[str, Table]) -> tuple[dict[str, list[str]], dict[str, set[str]]]:
    """For each reference: conditions on its partition keys alone, and the columns that the query uses.

    A query that the optimizer does not understand is run without both: it reads more, its answer is the same.
    """
    schema: dict[str, object] = {name: types_of(table) for name, table in tables.items()}
    try:
        # Names that are not in the schema (information_schema) would be errors otherwise.
        analysed = qualify(query.copy(), dialect="athena", schema=schema, validate_qualify_columns=False)
        used: dict[str, set[str]] = {name: set() for name in tables}
        for scope in traverse_scope(analysed):
            for alias, source in scope.sources.items():
                if isinstance(source, exp.Table) and source.name in used:
                    used[source.name] |= {column.name.lower() for column in scope.source_columns(alias)}
        analysed = pushdown_predicates(analysed, dialect="athena")
        conditions: dict[str, list[str]] = {}
        for scope in traverse_scope(analysed):
            for name, text in _conditions(scope, tables):
                conditions.setdefault(name, []).append(text)
    except (SqlglotError, ValueError, KeyError, AttributeError):
        return {}, {}
    return conditions, used


def _conditions(scope: Scope, tables: dict[str, Table]) -> Iterator[tuple[str, str]]:
    where = scope.expression.args.get("where")
    if where is None:
        return
    aliases = {alias: s.name for alias, s in scope.sources.items() if isinstance(s, exp.Table) and s.name in tables}
    for condition in where.this.flatten() if isinstance(where.this, exp.And) else [where.this]:
        columns = list(condition.find_all(exp.Column))
        names = {column.table for column in columns}
        if len(names) != 1 or condition.find(exp.Subquery, exp.Select):
            continue
        name = aliases.get(names.pop())
        if name is None or not {c.name.lower() for c in columns} <= {key for key, _ in tables[name].keys}:
            continue
        text = condition.copy().transform(
            lambda node: (
                exp.column(exp.to_identifier(node.name.lower(), quoted=True)) if isinstance(node, exp.Column) else node
            )
        )
        yield name, functions.translate(text).sql(dialect="duckdb")


def _make_view(session: Session, name: str, table: Table, conditions: list[str], used: set[str] | None) -> None:
    chosen = partitions.select(table, conditions, session.engine)
    found = session.engine.ask("files", locations=[one.location for one in chosen]) if chosen else []
    files: list[_File] = []
    for partition, listed in zip(chosen, found, strict=True):
        folder = session.folder / name / partition.path(table.keys)
        for at, file in enumerate(listed):
            folder.mkdir(parents=True, exist_ok=True)
            # The suffix tells how a file is compressed.
            link = folder / f"{at}{''.join(Path(file['key']).suffixes[-2:])}"
            link.hardlink_to(file["path"])  # DuckDB would follow a symbolic link, out of what it may read
            files.append(_File(str(link), str(file["path"]), int(file["size"])))
    paths = [one.link for one in files]
    session.connection.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {relation(table, paths)}")
    session.scanned += _bytes(session, table, files, used)


def _bytes(session: Session, table: Table, files: list[_File], used: set[str] | None) -> int:
    """Bytes that Athena would read: the used columns of Parquet, all of other files."""
    keys = {key for key, _ in table.keys}
    if not files or table.format != "parquet" or used is None:
        return sum(one.size for one in files)
    wanted = sorted(used - keys)
    if unknown := [one for one in files if any((one.copy, column) not in _COLUMN_BYTES for column in wanted)]:
        _read_bytes(session, unknown, wanted)
    found = sum(_COLUMN_BYTES[one.copy, column] for one in files for column in wanted)
    if len(_COLUMN_BYTES) > _MOST_REMEMBERED:
        _COLUMN_BYTES.clear()
    return found


def _read_bytes(session: Session, files: list[_File], columns: list[str]) -> None:
    copies = {one.link: one.copy for one in files}
    _COLUMN_BYTES.update(((copy, column), 0) for copy in copies.values() for column in columns)
    listed = "[" + ", ".join(map(literal, copies)) + "]"
    rows = session.connection.execute(
        f"SELECT file_name, lower(split_part(path_in_schema, ', ', 1)) AS name, sum(total_compressed_size) "
        f"FROM parquet_metadata({listed}) WHERE name IN ({', '.join(map(literal, columns))}) GROUP BY ALL"
    )
    _COLUMN_BYTES.update(((copies[link], column), int(size)) for link, column, size in rows.fetchall())


@dataclass(frozen=True)
class Found:
    """A query of DuckDB that is understood and not yet computed."""

    sql: str
    columns: tuple[str, ...]
    types: tuple[Any, ...]

    def project(self, shown: str) -> str:
        """SQL of these expressions over its rows."""
        return f"SELECT {shown} FROM ({self.sql})"


def bind(session: Session, sql: str) -> Found:
    """Names and types of a query's result. Raises QueryFailed in Athena's words."""
    try:
        relation = session.connection.sql(sql)
        return Found(sql, tuple(relation.columns), tuple(relation.types))
    except duckdb.Error as error:
        raise failure(error) from error


def failure(error: duckdb.Error) -> QueryFailed:
    """DuckDB's error in Athena's words."""
    text = str(error).split("\n\nLINE")[0].split("\nLINE")[0].strip()
    if text.lower().startswith(("invalid input error: division by zero", "division by zero")):
        return QueryFailed("DIVISION_BY_ZERO: Division by zero")
    if "out of range" in text:
        return QueryFailed(f"NUMERIC_VALUE_OUT_OF_RANGE: {_public(text)}")
    for kind, code in (
        (duckdb.ConversionException, "INVALID_CAST_ARGUMENT"),
        (duckdb.OutOfRangeException, "NUMERIC_VALUE_OUT_OF_RANGE"),
        (duckdb.OutOfMemoryException, "EXCEEDED_LOCAL_MEMORY_LIMIT"),
        (duckdb.CatalogException, "FUNCTION_NOT_FOUND"),
        (duckdb.BinderException, "COLUMN_NOT_FOUND" if "column" in text.lower() else "TYPE_MISMATCH"),
        (duckdb.ParserException, "SYNTAX_ERROR"),
        (duckdb.PermissionException, "PERMISSION_DENIED"),
        (duckdb.InvalidInputException, "HIVE_BAD_DATA"),
        (duckdb.IOException, "HIVE_CURSOR_ERROR"),
    ):
        if isinstance(error, kind):
            return QueryFailed(f"{code}: {_public(text)}")
    return QueryFailed(f"GENERIC_INTERNAL_ERROR: {_public(text)}", category=1)


def _public(text: str) -> str:
    """Without the class of DuckDB's error."""
    head, separator, rest = text.partition(": ")
    return rest if separator and head.endswith("Error") else text


def column_names(found: Found) -> list[str]:
    """Names as Athena shows them: lower case, and _colN for what the query does not name."""
    return [f"_col{at}" if name.startswith(UNNAMED) else name.lower() for at, name in enumerate(found.columns)]


def parameters_in(query: exp.Expression, values: list[str]) -> exp.Expression:
    """The query with its ``?`` replaced by execution parameters, each a SQL literal.

    https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html
    """
    places = [node for node in query.find_all(exp.Placeholder, bfs=False) if node.args.get("this") is None]
    if len(places) != len(values):
        raise QueryFailed(
            f"INVALID_PARAMETER_USAGE: Incorrect number of parameters: expected {len(places)} but found {len(values)}"
        )
    for place, value in zip(places, values, strict=True):
        place.replace(_value(value))
    return query


# A value: a literal, or what is made of literals alone (DATE '2020-01-01', -1, ARRAY[1, 2]).
_IN_VALUES = (
    exp.Literal,
    exp.Neg,
    exp.Boolean,
    exp.Null,
    exp.Cast,
    exp.DataType,
    exp.DataTypeParam,
    exp.Array,
    exp.HexString,
)


def _value(text: str) -> exp.Expression:
    try:
        found = sqlglot.parse_one(text, read="athena")
    except SqlglotError:
        found = None
    if found is None or not all(isinstance(node, _IN_VALUES) for node in found.walk()):
        raise QueryFailed(f"INVALID_PARAMETER_USAGE: {text!r} is not a value")
    return cast(exp.Expression, found)
