"""SQL over the lake: Athena answers, and its values are printed as those of the other engine are.

https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sluice.console import SluiceError, fail
from sluice.pipeline.query import Answer
from sluice.pipeline.sql_values import Value
from sluice.polling import poll

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

_ENDED: Final = ("SUCCEEDED", "FAILED", "CANCELLED")
_READS: Final = re.compile(  # after comments and opening brackets
    r"(?:\s|\(|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*"
    r"(?:SELECT|WITH|VALUES|SHOW|DESC|DESCRIBE|EXPLAIN\s+(?!ANALYZE)"
    r"|EXPLAIN\s+ANALYZE\s+(?:VERBOSE\s+)?(?:SELECT|WITH))\b",
    re.IGNORECASE | re.DOTALL,
)
_FRACTION: Final = re.compile(r"(\.\d*?)0+(?=$| )")
_NUMBERS: Final[dict[str, Callable[[str], Value]]] = {
    "tinyint": int, "smallint": int, "integer": int, "bigint": int, "real": Decimal, "float": Decimal,
    "double": float, "decimal": Decimal,
}  # fmt: skip


@contextmanager
def asking(stack: Stack, sql: str, limit: int | None = None) -> Iterator[Answer]:
    """The answer of the lake, while it is open. A query that is left before its end is stopped.

    Raises SluiceError: 1 when the lake is off or Athena fails, 2 for whatever is wrong with the SQL.
    """
    from botocore.exceptions import ClientError

    group = stack.outputs.get("lake_workgroup")
    if group is None:
        fail("the stack has no lake: set lake_enabled = true and deploy it (`make deploy`)", 1)
    if not _READS.match(sql):
        fail("a query is one SELECT (WITH, VALUES, SHOW, DESCRIBE and EXPLAIN work, too)")
    athena = stack.client("athena")
    name = ""
    try:
        started = athena.start_query_execution(
            QueryString=sql, WorkGroup=group, QueryExecutionContext={"Database": stack["lake_database"]}
        )
        name = started["QueryExecutionId"]
        _wait(athena, name)
    except ClientError as error:
        raise SluiceError(f"Athena: {error.response['Error']['Message']}", 2) from error
    except BaseException:
        with suppress(ClientError):
            athena.stop_query_execution(QueryExecutionId=name)
        raise
    yield _answer(athena, name, limit)


def _wait(athena: Any, name: str) -> None:
    def look() -> dict[str, Any]:
        found: dict[str, Any] = athena.get_query_execution(QueryExecutionId=name)["QueryExecution"]["Status"]
        return found

    # Athena ends a query that takes too long: https://docs.aws.amazon.com/athena/latest/ug/service-limits.html
    status = poll(look, lambda found: found["State"] in _ENDED, seconds=None, interval=0.1).value
    if status["State"] != "SUCCEEDED":
        # Category 1 is Athena's own fault, 2 the query's:
        # https://docs.aws.amazon.com/athena/latest/APIReference/API_AthenaError.html
        own = (status.get("AthenaError") or {}).get("ErrorCategory") == 1
        reason = " ".join(str(status.get("StateChangeReason") or status["State"].lower()).split())
        raise SluiceError(f"Athena: {reason}", 1 if own else 2)


def _answer(athena: Any, name: str, limit: int | None) -> Answer:
    kind = athena.get_query_execution(QueryExecutionId=name)["QueryExecution"]["StatementType"]
    pages = iter(athena.get_paginator("get_query_results").paginate(QueryExecutionId=name))
    first = next(pages)
    described = first["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    columns = [one["Name"] for one in described]
    read = [_reader(one["Type"]) for one in described]
    numeric = frozenset(place for place, one in enumerate(described) if one["Type"] in _NUMBERS)
    return Answer(columns, numeric, _rows(first, pages, columns, read, limit, header=kind == "DML"))


def _rows(
    first: Any,
    pages: Iterator[Any],
    columns: list[str],
    read: Sequence[Callable[[str], Value]],
    limit: int | None,
    *,
    header: bool,
) -> Iterator[tuple[Value, ...]]:
    """Rows as they come; the first one of a SELECT holds the names."""
    count = 0
    page: Any = first
    while page is not None:
        for row in page["ResultSet"]["Rows"]:
            texts = [value.get("VarCharValue") for value in row["Data"]]
            if header:
                header = False
                if texts == columns:
                    continue
            if limit is not None and count >= limit:
                return
            count += 1
            yield tuple(None if text is None else make(text) for make, text in zip(read, texts, strict=True))
        page = next(pages, None)


def _reader(kind: str) -> Callable[[str], Value]:
    if kind == "boolean":
        return lambda text: text == "true"
    if kind == "timestamp":
        return _instant
    return _NUMBERS.get(kind, str)


def _instant(text: str) -> str:
    """``2024-05-01 10:00:00.120`` as ``2024-05-01T10:00:00.12Z``: silver's times are in UTC, Athena does not say so."""
    return _FRACTION.sub(r"\1", text).rstrip(".").replace(" ", "T", 1) + "Z"
