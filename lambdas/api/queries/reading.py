"""Reading the warehouse: a snapshot of it, in a transaction that can only read and that ends in time."""

import contextlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from psycopg import sql

from api.answers import ApiError, Result, database_unavailable, query_refused, refused, timed_out, too_large
from api.queries.questions import Question
from warehouse.database import Warehouse

ANSWER_BYTES: Final = 5_000_000  # of 6 MB: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_FETCH_ROWS: Final = 1_000
# SQLSTATE classes, https://www.postgresql.org/docs/current/errcodes-appendix.html: what a caller's SQL can be wrong in.
_CALLERS_ERRORS: Final = ("21", "22", "2F", "34", "38", "39", "42", "44", "54", "0A")

# The newest loads name the state of the data: a load exchanges an object's rows and records itself in one transaction.
# Several, because a load that began earlier may commit later; all come out of an index. One round trip for all of it.
_BEGIN: Final = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT set_config('statement_timeout', {}, true), set_config('cursor_tuple_fraction', '1.0', true),
       (SELECT md5(coalesce(string_agg(batch_id::text, ',' ORDER BY loaded_at DESC, batch_id), ''))
        FROM (SELECT batch_id, loaded_at FROM control.loads ORDER BY loaded_at DESC LIMIT 100) AS newest)
"""


class Snapshot:
    """The warehouse as it is at one moment; ``version`` is another one after every load."""

    def __init__(self, connection: psycopg.Connection[Any], version: str) -> None:
        self._connection = connection
        self.version = version

    def rows(self, question: Question) -> Iterator[dict[str, Any]]:
        """At most ``limit`` + 1 rows, read from a cursor as they are needed.

        Raises:
            ApiError: two columns have one name.
            psycopg.Error: as PostgreSQL says.
        """
        limit = question.limit + 1
        text, values = question.sql, question.values
        if not question.foreign:
            text, values = sql.SQL("{} LIMIT %s").format(text), (*values, limit)
        with self._connection.cursor(name="answer") as cursor:
            # Without values psycopg leaves per-cent signs alone.
            cursor.execute(text, values or None)
            names = [column.name for column in cursor.description or ()]
            if len(set(names)) != len(names):
                raise query_refused("two columns have one name", "give them names with AS")
            while limit > 0 and (batch := cursor.fetchmany(min(limit, _FETCH_ROWS))):
                limit -= len(batch)
                yield from (dict(zip(names, row, strict=True)) for row in batch)


class Reader:
    """``timeout_seconds``: of one statement."""

    def __init__(self, warehouse: Warehouse, timeout_seconds: float) -> None:
        self._warehouse = warehouse
        self.timeout_seconds = timeout_seconds

    @contextmanager
    def snapshot(self, *, foreign: bool = False) -> Iterator[Snapshot]:
        """Raises ApiError: 503 when there is no database, 504 when a statement took too long, and, for what the
        caller wrote (``foreign``), 400 for what PostgreSQL finds wrong with it."""
        try:
            connection, version = self._begun()
            try:
                yield Snapshot(connection, version)
            except BaseException:
                with contextlib.suppress(psycopg.Error):  # of a connection that is cut
                    connection.rollback()
                raise
            connection.commit()
        except psycopg.errors.QueryCanceled as error:
            raise timed_out(self.timeout_seconds) from error
        except psycopg.Error as error:
            raise _translated(error, foreign) from error
        except (ClientError, BotoCoreError) as error:  # the login cannot be had
            raise database_unavailable() from error
        except UnicodeEncodeError as error:
            raise refused("a text holds a character that PostgreSQL does not know", "send whole characters") from error

    def _begun(self) -> tuple[psycopg.Connection[Any], str]:
        """A connection with a transaction, and the data's version. One that was cut since its last use is made again.

        Raises:
            psycopg.Error: as PostgreSQL says.
        """
        connection = self._warehouse.connection(proven=False)
        try:
            return connection, self._begin(connection)
        except psycopg.OperationalError:
            if not connection.closed:
                raise
        connection = self._warehouse.connection()
        return connection, self._begin(connection)

    def _begin(self, connection: psycopg.Connection[Any]) -> str:
        milliseconds = sql.Literal(str(round(self.timeout_seconds * 1000)))
        cursor = connection.execute(sql.SQL(_BEGIN).format(milliseconds))
        cursor.nextset()
        row = cursor.fetchone()
        return str(row[2]) if row else ""


def _translated(error: psycopg.Error, foreign: bool) -> Exception:
    """The answer to a database error; an error of the API itself stays as it is, and is logged."""
    state = error.sqlstate
    if state is None and isinstance(error, psycopg.DataError):  # refused before it was sent, as NUL is
        return refused("a value is none that PostgreSQL knows", "send text without NUL")
    if foreign and state == "42501":
        return query_refused("the reader role may not do that")
    if foreign and state and state.startswith(_CALLERS_ERRORS):
        return ApiError(400, "QueryFailed", error.diag.message_primary or "the query failed", [
            "operation database_info lists the tables"])  # fmt: skip
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return database_unavailable()
    return error


def encoded(rows: Iterator[dict[str, Any]], limit: int, max_bytes: int = ANSWER_BYTES) -> Result:
    """The rows as JSON; rows above the limit are left out, and the result is marked as truncated.

    Raises:
        ApiError: they are more than ``max_bytes``.
    """
    parts: list[str] = []
    size = 0
    truncated = False
    for row in rows:
        if len(parts) == limit:
            truncated = True
            break
        parts.append(as_json(row))
        size += len(parts[-1]) + 2
        if size > max_bytes:
            raise too_large(f"the result is more than {max_bytes:,} bytes")
    return Result(f"[{', '.join(parts)}]", len(parts), truncated)


def as_json(row: dict[str, Any]) -> str:
    """ASCII, so that characters are bytes."""
    return json.dumps(_plain(row))


def _plain(value: Any) -> Any:
    """PostgreSQL's types as JSON's; NaN and infinity become null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return _number(value)
        case datetime() | date() | time():
            return value.isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case dict():
            return {str(name): _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case bytes() | memoryview():
            return bytes(value).hex()
        case UUID():
            return str(value)
    return str(value)


def _number(value: Decimal) -> int | float | str | None:
    """A number that JSON readers keep; text where they would round it."""
    if not value.is_finite():
        return None
    if value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    number = float(value)
    return number if math.isfinite(number) and Decimal(repr(number)) == value else str(value)
