"""Athena's answers as `sluice query` prints them: values, the header row, pages, ends and what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from sluice.console import SluiceError
from sluice.pipeline import query_athena
from sluice.pipeline.stack import Stack

OUTPUTS = {"lake_workgroup": "sluice-test-lake", "lake_database": "sluice_test_silver"}


def data(*values: str | None) -> dict[str, Any]:
    return {"Data": [{} if value is None else {"VarCharValue": value} for value in values]}


def asked(
    columns: dict[str, str],
    *pages: list[dict[str, Any]],
    kind: str = "DML",
    states: tuple[str, ...] = ("QUEUED", "RUNNING", "SUCCEEDED"),
    reason: str = "",
    category: int = 2,
) -> tuple[Stack, MagicMock]:
    """A stack whose Athena gives these pages to every query."""
    athena, left = MagicMock(), list(states)
    athena.start_query_execution.return_value = {"QueryExecutionId": "q1"}

    def look(**_: Any) -> dict[str, Any]:
        state = left.pop(0) if len(left) > 1 else left[0]
        status = {"State": state, "StateChangeReason": reason, "AthenaError": {"ErrorCategory": category}}
        return {"QueryExecution": {"Status": status, "StatementType": kind}}

    athena.get_query_execution.side_effect = look
    described = [{"Name": name, "Type": of} for name, of in columns.items()]
    athena.get_paginator.return_value.paginate.side_effect = lambda **_: iter(
        {"ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": described}}} for rows in pages
    )
    stack = Stack("http://127.0.0.1:1", "us-east-1", OUTPUTS)
    stack._clients["athena"] = athena
    return stack, athena


def rows(stack: Stack, sql: str = "SELECT 1", limit: int | None = None) -> list[tuple[Any, ...]]:
    with query_athena.asking(stack, sql, limit) as answer:
        return list(answer.rows)


def test_values_have_the_form_that_duckdbs_have() -> None:
    columns = {"n": "bigint", "d": "decimal", "f": "double", "b": "boolean", "t": "timestamp", "s": "varchar"}
    stack, athena = asked(
        columns,
        [
            data(*columns),
            data("9223372036854775807", "1.50", "1.0E10", "true", "2024-05-01 10:00:00.120", ""),
            data("-1", "0", "NaN", "false", "2024-05-01 10:00:00.000", None),
        ],
    )
    with query_athena.asking(stack, "SELECT 1") as answer:
        assert answer.columns == list(columns)
        assert answer.numeric == {0, 1, 2}
        first, second = answer.rows
    assert first == (9223372036854775807, Decimal("1.50"), 1e10, True, "2024-05-01T10:00:00.12Z", "")
    assert (*second[:2], *second[3:]) == (-1, Decimal(0), False, "2024-05-01T10:00:00Z", None)
    assert athena.start_query_execution.call_args.kwargs == {
        "QueryString": "SELECT 1",
        "WorkGroup": "sluice-test-lake",
        "QueryExecutionContext": {"Database": "sluice_test_silver"},
    }
    athena.stop_query_execution.assert_not_called()


def test_the_header_is_dropped_once_and_only_from_a_select() -> None:
    select = [[data("a"), data("a"), data("b")], [data("a")]]
    assert rows(asked({"a": "varchar"}, *select)[0]) == [("a",), ("b",), ("a",)]
    show = asked({"a": "varchar"}, [data("a"), data("b")], kind="DDL")[0]
    assert rows(show, "SHOW TABLES") == [("a",), ("b",)]


@pytest.mark.parametrize(("limit", "found"), [(1, 1), (2, 2), (3, 3), (9, 3), (None, 3)])
def test_no_more_rows_come_than_the_limit(limit: int | None, found: int) -> None:
    stack, _ = asked({"a": "bigint"}, [data("a"), data("1"), data("2")], [data("3")])
    assert [row[0] for row in rows(stack, limit=limit)] == [1, 2, 3][:found]


@pytest.mark.parametrize(
    "sql",
    ["drop table t", "INSERT INTO t VALUES (1)", "create table t as select 1", "unload (select 1) to 's3://b/'", "",
     "/* select */ delete from t", "-- select\nmsck repair table t", "explain analyze insert into t values (1)",
     "selects 1", "(drop table t)"],
)  # fmt: skip
def test_what_would_write_is_not_sent(sql: str) -> None:
    stack, athena = asked({})
    with pytest.raises(SluiceError) as caught:
        rows(stack, sql)
    assert caught.value.code == 2
    athena.start_query_execution.assert_not_called()


@pytest.mark.parametrize(
    "sql",
    ["select 1", " \n(SELECT 1) UNION (SELECT 2)", "/* a */ -- b\nWITH a AS (SELECT 1) SELECT * FROM a", "values 1",
     "show tables", "describe t", "explain select 1", "explain analyze verbose select 1"],
)  # fmt: skip
def test_what_reads_is_sent(sql: str) -> None:
    assert rows(asked({"a": "bigint"}, [data("a"), data("1")])[0], sql) == [(1,)]


@pytest.mark.parametrize(("category", "code"), [(1, 1), (2, 2)])
def test_a_query_that_fails_says_why_in_one_line(category: int, code: int) -> None:
    stack, _ = asked({}, states=("FAILED",), reason="COLUMN_NOT_FOUND: line 1:8:\n  Column 'a'", category=category)
    with pytest.raises(SluiceError, match="COLUMN_NOT_FOUND: line 1:8: Column 'a'") as caught:
        rows(stack)
    assert caught.value.code == code


def test_sql_that_athena_refuses_ends_with_its_message() -> None:
    stack, athena = asked({})
    error = {"Error": {"Code": "InvalidRequestException", "Message": "line 1:1: mismatched input"}}
    athena.start_query_execution.side_effect = ClientError(error, "StartQueryExecution")
    with pytest.raises(SluiceError, match="mismatched input") as caught:
        rows(stack)
    assert caught.value.code == 2


def test_a_query_that_is_interrupted_is_stopped() -> None:
    stack, athena = asked({})
    athena.get_query_execution.side_effect = KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        rows(stack)
    athena.stop_query_execution.assert_called_once_with(QueryExecutionId="q1")


def test_without_a_lake_the_toggle_is_named() -> None:
    with pytest.raises(SluiceError, match="lake_enabled") as caught:
        rows(Stack("http://127.0.0.1:1", "us-east-1", {}))
    assert caught.value.code == 1
