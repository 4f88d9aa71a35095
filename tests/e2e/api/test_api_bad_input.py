"""The analytics API: one shape for every error, and nothing that an attack changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import sql

from sluice.branches.api import client as api_client
from sluice.branches.api.client import Client
from tests.support.api import data_of, error_of
from tests.support.pipeline import Pipeline
from tests.support.warehouse import Warehouse

pytestmark = pytest.mark.usefixtures("api_deployed")

INJECTIONS = (
    "'; DROP TABLE silver.shipments; --",
    "1 OR 1=1",
    '" UNION SELECT passwd FROM pg_shadow --',
    "a\0b",
    "\ud800",
)


@pytest.fixture
def unchanged(warehouse: Warehouse, pipe: Pipeline) -> Iterator[None]:
    """Everything in the warehouse is as it was when the test is over."""

    def picture() -> list[Any]:
        with warehouse.administrator() as administrator:
            tables = administrator.execute(
                "SELECT n.nspname, c.relname, c.relkind, c.relacl::text, c.relowner FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1, 2"
            ).fetchall()
            rows = [
                administrator.execute(
                    sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, name))
                ).fetchone()
                for schema, name, kind, *_ in tables
                if kind in "rp"
            ]
            roles = administrator.execute("SELECT rolname, rolsuper, rolconfig FROM pg_roles ORDER BY 1").fetchall()
            return [*tables, *rows, *roles]

    before = picture()
    yield
    assert picture() == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("operation", "parameter"),
    [
        ("count_analysis", "dataset"),
        ("count_analysis", "metric"),
        ("count_analysis", "group_by"),
        ("count_analysis", "having"),
        ("count_analysis", "since"),
        ("count_analysis", "until"),
        ("count_analysis", "limit"),
        ("revenue_analysis", "group_by"),
        ("database_info", "exact"),
        ("simple_demo", "rows"),
        ("custom_query", "sql"),
    ],
)
def test_sql_injection_through_every_parameter(api: Client, operation: str, parameter: str) -> None:
    for text in INJECTIONS:
        answer = api.ask(operation, **{parameter: text})
        read = operation == "custom_query" and text != "\ud800"  # half a character is no text
        error_of(answer, 400, "QueryRefused" if read else "InvalidRequest")
        if operation != "custom_query" and text.isprintable():
            error_of(api.get("/analytics", operation=operation, **{parameter: text}), 400, "InvalidRequest")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1; DELETE FROM silver.shipments",
        "SELECT 1 /* ; */; DROP TABLE silver.shipments -- harmless",
        "WITH gone AS (DELETE FROM silver.shipments RETURNING *) SELECT * FROM gone",
        "SELECT * INTO silver.copy FROM silver.shipments",
        "INSERT INTO silver.shipments SELECT * FROM silver.shipments",
        "SELECT * FROM silver.shipments FOR UPDATE",
        "COPY silver.shipments TO PROGRAM 'touch /tmp/hacked'",
        "SET ROLE sluice_loader",
        "SELECT set_config('default_transaction_read_only', 'off', false)",
        "SELECT pg_sleep(60)",
        "SELECT lo_import('/etc/passwd')",
        "SELECT * FROM pg_catalog.pg_authid",
        r"SELECT E'\\', ', pg_sleep(60) --'",
    ],
)
def test_writes_and_tricks_in_a_custom_query_are_refused(api: Client, query: str) -> None:
    error_of(api.ask("custom_query", sql=query), 400, "QueryRefused")


def test_what_postgresql_finds_wrong_is_the_callers_to_know(api: Client) -> None:
    for query, said in (
        ("SELECT nothing FROM silver.shipments", 'column "nothing" does not exist'),
        ("SELECT 1 / 0", "division by zero"),
        ("SELECT * FROM silver.nothing", 'relation "silver.nothing" does not exist'),
    ):
        assert said in error_of(api.ask("custom_query", sql=query), 400, "QueryFailed")
    error_of(api.ask("custom_query", sql="SELECT 1 AS a, 2 AS a"), 400, "QueryRefused")
    assert data_of(api.ask("simple_demo", rows=1)) == [{"n": 1, "square": 1}]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{", b'"text"', b"{}", b"\xff\xfe", b'{"operation": null}', b'{"operation": ["a"]}',
        b'{"operation": "drop_everything"}', b'{"operation": "simple_demo", "parameters": []}',
        b'{"operation": "simple_demo", "parameters": {"rows": "3"}}',
        b'{"operation": "simple_demo", "parameters": {"rows": 1e400}}',
        b'{"operation": "simple_demo", "parameters": {"more": 1}}', b'{"operation": "simple_demo", "more": 1}',
        b"[" * 5000,
    ],
)  # fmt: skip
def test_a_body_that_is_none_of_the_operations(api: Client, body: bytes) -> None:
    error_of(api.send("POST", "/analytics", body=body), 400, "InvalidRequest")


def test_a_query_string_that_is_none_of_the_operations(api: Client) -> None:
    for query in (
        {}, {"operation": "drop_everything"}, {"operation": ["simple_demo", "database_info"]},
        {"operation": "simple_demo", "rows": "many"}, {"operation": "simple_demo", "more": "1"},
        {"operation": "simple_demo", "rows": ["1", "2"]}, {"operation": "custom_query", "sql": "SELECT 1"},
    ):  # fmt: skip
        error_of(api.send("GET", "/analytics", query=query), 400, "InvalidRequest")


def test_a_path_or_a_method_that_is_not_there(api: Client, stranger: Client) -> None:
    error_of(api.get("/nothing"), 404, "NotFound")
    error_of(api.get("/analytics/../../etc/passwd"), 404, "NotFound")
    error_of(stranger.send("GET", "/"), 404, "NotFound")
    answer = api.send("DELETE", "/analytics")
    error_of(answer, 405, "MethodNotAllowed")
    assert answer.headers["Allow"] == "GET, POST"


def test_without_a_valid_key_nothing_is_answered(pipe: Pipeline, stranger: Client) -> None:
    forged = Client(api_client.base_url(pipe.stack), "0" * 40)
    for client in (stranger, forged):
        error_of(client.get("/analytics", operation="simple_demo"), 403, "Forbidden")
        error_of(client.ask("simple_demo"), 403, "Forbidden")
        error_of(client.get("/nothing"), 403, "Forbidden")


def test_an_oversized_body_is_refused(api: Client) -> None:
    large = b'{"operation": "custom_query", "parameters": {"sql": "' + b"x" * 150_000 + b'"}}'
    error_of(api.send("POST", "/analytics", body=large), 413, "RequestTooLarge")
    error_of(api.send("POST", "/analytics", body=large.replace(b"x" * 150_000, b"x" * 11_000)), 400, "InvalidRequest")
    huge = b"x" * (10 * 1024 * 1024 + 1)
    error_of(api.send("POST", "/analytics", body=huge), 413, "RequestTooLarge")


def test_a_result_that_is_too_large_is_refused(api: Client) -> None:
    hundred = " UNION ALL ".join(["SELECT 1 AS a"] * 40)
    wide = f"SELECT * FROM ({hundred}) x, ({hundred}) y, ({hundred}) z".replace("SELECT *", "SELECT x.a")
    answer = api.ask("custom_query", sql=wide.replace("x.a", f"'{'x' * 6000}' AS text"), limit=1000)
    error_of(answer, 400, "ResultTooLarge")
    error_of(api.ask("simple_demo", rows=101), 400, "InvalidRequest")
    error_of(api.ask("count_analysis", limit=1001), 400, "InvalidRequest")
