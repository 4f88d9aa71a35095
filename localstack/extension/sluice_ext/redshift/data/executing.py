"""One SQL statement on PostgreSQL: translated, its parameters bound, its rows stored."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import generators
from psycopg.types.string import TextLoader

from sluice_ext.redshift import copying
from sluice_ext.redshift.data import roles, translating
from sluice_ext.redshift.data.results import Result, TooLarge
from sluice_ext.redshift.data.store import NO_ROWS, Target
from sluice_ext.redshift.sql import Refused, Statement
from sluice_ext.redshift.sql.errors import wording
from sluice_ext.redshift.sql.load_command import Copy, Unload
from sluice_ext.redshift.sql.types import column_metadata

_AS_NUMBERS: Final = {"int2", "int4", "int8", "oid", "float4", "float8", "bool"}
_FETCHED: Final = 500


class _Cursor(psycopg.Cursor[Any]):
    """A cursor whose stream knows its columns also when it has no rows."""

    def _stream_fetchone_gen(self, first: bool) -> Any:
        result = yield from generators.fetch(self._pgconn)
        if result is None:
            return None
        kinds = psycopg.pq.ExecStatus
        if result.status in (kinds.SINGLE_TUPLE, kinds.TUPLES_CHUNK) or (first and result.status == kinds.TUPLES_OK):
            self.pgresult = result
            self._tx.set_pgresult(result, set_loaders=first)
            if first:
                self._make_row = self._make_row_maker()
            return result
        if result.status not in (kinds.TUPLES_OK, kinds.COMMAND_OK):
            return self._raise_for_result(result)
        while result is not None:
            result = yield from generators.fetch(self._pgconn)
        return None


class Failed(Exception):
    """The statement failed; the message is Redshift's."""


@dataclass(frozen=True)
class Context:
    """Where a statement runs, and its number in the system views."""

    target: Target
    query: int


@dataclass(frozen=True)
class Outcome:
    """The rows that a statement returned or changed. ``commits``: it also ends the transaction, as TRUNCATE does."""

    result: Result | None = None
    rows: int = NO_ROWS
    size: int = NO_ROWS
    commits: bool = False


def kind_of(text: str) -> str:
    """What a statement is: select, insert, ddl, copy, transaction, ...; other when it is none."""
    try:
        found = translating.parse(text)
    except translating.Untranslatable:
        return "other"
    return found[0].kind if found else "other"


def execute(connection: psycopg.Connection[Any], text: str, parameters: Mapping[str, str], context: Context) -> Outcome:
    """Run one statement. Raises Failed."""
    try:
        parsed = translating.parse(text)
    except translating.Untranslatable as error:
        raise Failed(_prefixed(str(error))) from error
    if len(parsed) > 1:
        raise Failed("ERROR: cannot insert multiple commands into a prepared statement")
    if not parsed:
        return Outcome()
    try:
        return _execute(connection, parsed[0], parameters, context)
    except psycopg.Error as error:
        raise Failed(wording(error)) from error
    except (TooLarge, roles.NotAssumable, Refused) as error:
        raise Failed(_prefixed(str(error))) from error


def _execute(
    connection: psycopg.Connection[Any], statement: Statement, parameters: Mapping[str, str], context: Context
) -> Outcome:
    if statement.detail is not None:
        return _moved(connection, statement.detail, context)
    bound = {name: parameters[name] for name in statement.parameters if name in parameters}
    for name in statement.parameters:
        if name not in bound:
            raise Failed(_unbound(statement.source, name))
    with _Cursor(connection) as cursor:
        _read_as_text(cursor)
        if statement.kind == "select":
            # Closed also when a row is too large: until then it holds the connection.
            rows: Any = cursor.stream(statement.postgres, bound or None, size=_FETCHED)
            with contextlib.closing(rows):
                return _stored(cursor, rows)
        cursor.execute(statement.postgres, bound or None)
        if cursor.description is not None:
            return _stored(cursor, iter(cursor))
        return Outcome(rows=NO_ROWS if statement.kind == "ddl" else cursor.rowcount, commits=statement.commits)


def _moved(connection: psycopg.Connection[Any], detail: Copy | Unload, context: Context) -> Outcome:
    """COPY and UNLOAD, with the rights of the role that they name."""
    s3 = roles.s3_of(context.target, detail.role)
    connection.execute("SELECT set_config('sluice.query_id', %s, false)", (str(context.query),))
    if isinstance(detail, Copy):
        copying.copy(connection, detail, s3)
    else:
        copying.unload(connection, detail, s3)
    return Outcome()


def _unbound(text: str, name: str) -> str:
    position = text.index(f":{name}") + 1
    return f'ERROR: syntax error at or near ":"\n  Position: {position}'


def _read_as_text(cursor: psycopg.Cursor[Any]) -> None:
    """All types as PostgreSQL writes them, but whole and binary numbers and booleans."""
    for kind in psycopg.adapters.types:
        if kind.name not in _AS_NUMBERS:
            cursor.adapters.register_loader(kind.oid, TextLoader)
        if kind.array_oid:
            cursor.adapters.register_loader(kind.array_oid, TextLoader)


def _stored(cursor: psycopg.Cursor[Any], rows: Iterator[Any]) -> Outcome:
    first = next(rows, None)
    if cursor.description is None:  # SELECT ... INTO
        return Outcome()
    result = Result(column_metadata(cursor.description, cursor.connection))
    try:
        result.fill(_chained(first, rows))
    except Exception:
        result.delete()
        raise
    return Outcome(result, result.rows, result.size)


def _chained(first: Any, rows: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
        yield from rows


def _prefixed(message: str) -> str:
    return message if message.startswith(("ERROR:", "FATAL:")) else f"ERROR: {message}"
