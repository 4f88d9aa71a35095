"""The analytics API: right answers, one shape for every error, and nothing that an attack changes."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from psycopg import sql

from fixtures import shipping
from pipeline.table import Table
from sluice.branches import api_client
from sluice.branches.api_client import Client
from sluice.instance import Instance
from tests.e2e.api import data_of, error_of, invoice_lines, loaded, own_year
from tests.e2e.support import Pipeline
from tests.e2e.warehouse import Warehouse

INJECTIONS = (
    "'; DROP TABLE silver.shipments; --",
    "1 OR 1=1",
    '" UNION SELECT passwd FROM pg_shadow --',
    "a\0b",
    "\ud800",
)


@pytest.fixture(autouse=True)
def _deployed(pipe: Pipeline) -> None:
    if pipe.stack.outputs.get("api_id") is None:
        pytest.skip("api_enabled is off")


@pytest.fixture
def api(pipe: Pipeline) -> Client:
    return Client.of(pipe.stack)


@pytest.fixture
def stranger(pipe: Pipeline) -> Client:
    """Somebody without a key."""
    return Client(api_client.base_url(pipe.stack), None)


@pytest.fixture
def warehouse(pipe: Pipeline, instance: Instance) -> Warehouse:
    return Warehouse(pipe.stack, instance)


# --- right answers ----------------------------------------------------------------------------------------------------


def test_health_needs_no_key_and_asks_the_database(stranger: Client) -> None:
    answer = stranger.get("/health")
    assert (answer.status, answer.body["status"], answer.body["database"]) == (200, "ok", "ok")


def test_the_demonstration_needs_no_data(api: Client) -> None:
    assert data_of(api.get("/analytics", operation="simple_demo", rows=3)) == [
        {"n": 1, "square": 1}, {"n": 2, "square": 4}, {"n": 3, "square": 9}
    ]  # fmt: skip
    assert data_of(api.ask("simple_demo", rows=3)) == data_of(api.get("/analytics", operation="simple_demo", rows=3))


def test_revenue_is_what_the_lines_say(pipe: Pipeline, warehouse: Warehouse, api: Client) -> None:
    year = own_year(pipe)
    lines = invoice_lines(pipe.run, 90, year)
    loaded(pipe, warehouse, "invoice_lines", lines)
    expected: dict[str, Decimal] = {}
    for line in lines:
        month = f"{line['event_time'][:7]}-01"
        expected[month] = expected.get(month, Decimal()) + Decimal(str(line["line_total"]))
    within = {"since": f"{year}-01-01", "until": f"{year + 1}-01-01"}
    found = data_of(api.ask("revenue_analysis", group_by="month", **within))
    assert [(row["group"], Decimal(str(row["revenue"]))) for row in found] == sorted(expected.items())
    assert sum(row["lines"] for row in found) == 90
    assert sum(row["units"] for row in found) == sum(line["quantity"] for line in lines)
    by_sku = data_of(api.ask("revenue_analysis", group_by="sku", **within, limit=1000))
    assert sum(Decimal(str(row["revenue"])) for row in by_sku) == sum(expected.values())
    assert [row["revenue"] for row in by_sku] == sorted((row["revenue"] for row in by_sku), reverse=True)


def test_counts_by_group_with_having_and_limit(pipe: Pipeline, warehouse: Warehouse, api: Client) -> None:
    year = own_year(pipe)
    rows = [
        row | {"event_time": f"{year}{row['event_time'][4:]}", "carrier": f"{pipe.run}-{n % 10 // 4}"}
        for n, row in enumerate(shipping.records("shipments", int(pipe.run[:6], 16), 100))
    ]  # 40, 40 and 20
    loaded(pipe, warehouse, "shipments", rows)
    asked = {"dataset": "shipments", "group_by": "carrier", "since": f"{year}-01-01", "until": f"{year + 1}-01-01"}
    expected = [{"group": f"{pipe.run}-{n}", "value": count} for n, count in ((0, 40), (1, 40), (2, 20))]
    assert data_of(api.ask("count_analysis", **asked)) == expected
    assert data_of(api.get("/analytics", operation="count_analysis", **asked)) == expected
    assert data_of(api.ask("count_analysis", **asked, having=">20")) == expected[:2]
    cut = api.ask("count_analysis", **asked, limit=2)
    assert (data_of(cut), cut.body["metadata"]["truncated"]) == (expected[:2], True)
    days = Counter(row["event_time"][:10] for row in rows)
    by_date = data_of(api.ask("count_analysis", **asked | {"group_by": "date"}))
    assert {row["group"]: row["value"] for row in by_date} == days
    whole = {name: value for name, value in asked.items() if name != "group_by"}
    assert data_of(api.ask("count_analysis", **whole)) == [{"value": 100}]
    assert data_of(api.ask("count_analysis", **whole, metric="objects")) == [{"value": 1}]
    assert data_of(api.ask("count_analysis", **whole, metric="days")) == [{"value": len(days)}]


def test_the_tables_are_listed_with_their_rows(pipe: Pipeline, warehouse: Warehouse, api: Client) -> None:
    loaded(pipe, warehouse, "tracking_events", shipping.records("tracking_events", 1, 7))
    tables = {f"{row['schema']}.{row['table']}": row for row in data_of(api.ask("database_info", exact=True))}
    count = warehouse.ask("SELECT count(*) AS n FROM silver.tracking_events")[0]["n"]
    assert tables["silver.tracking_events"]["rows"] == count >= 7
    assert tables["silver.tracking_events"]["last_load"]
    assert {"silver.shipments", "silver.invoice_lines", "silver.flights", "control.loads"} <= set(tables)
    assert not any(name.startswith("pg_") for name in tables)


def test_a_select_of_the_callers_own(pipe: Pipeline, warehouse: Warehouse, api: Client) -> None:
    year = own_year(pipe)
    lines = invoice_lines(pipe.run, 30, year)
    loaded(pipe, warehouse, "invoice_lines", lines)
    query = f"""
        -- by invoice; a '%' and a {{brace}} are no placeholders
        WITH own AS (SELECT * FROM silver.invoice_lines WHERE invoice_id LIKE '{pipe.run}%')
        SELECT invoice_id, sum(quantity * unit_price) AS total FROM own GROUP BY 1 ORDER BY 1 /* all */
    """
    found = data_of(api.ask("custom_query", sql=query))
    expected: dict[str, Decimal] = {}
    for line in lines:
        expected[line["invoice_id"]] = expected.get(line["invoice_id"], Decimal()) + Decimal(str(line["line_total"]))
    assert {row["invoice_id"]: Decimal(str(row["total"])) for row in found} == expected
    assert [row["invoice_id"] for row in found] == sorted(expected)
    cut = api.ask("custom_query", sql=query, limit=3)
    assert (len(data_of(cut)), cut.body["metadata"]["truncated"]) == (3, True)


def test_an_answer_is_kept_until_a_load_changes_the_data(pipe: Pipeline, warehouse: Warehouse, api: Client) -> None:
    year = own_year(pipe)
    within = {"since": f"{year}-01-01", "until": f"{year + 1}-01-01"}

    def revenue() -> tuple[bool, int]:
        answer = api.ask("revenue_analysis", **within)
        lines = sum(row["lines"] for row in data_of(answer))
        return answer.body["metadata"]["cacheHit"], lines

    loaded(pipe, warehouse, "invoice_lines", invoice_lines(pipe.run, 30, year))
    assert revenue() == (False, 30)
    assert revenue() == (True, 30)
    loaded(pipe, warehouse, "invoice_lines", invoice_lines(pipe.run, 12, year), name="b")
    assert revenue() == (False, 42)
    assert revenue() == (True, 42)


def test_a_kept_answer_expires(pipe: Pipeline, api: Client) -> None:
    """Its time is looked at, for DynamoDB removes it some time later only."""
    rows = int(pipe.run, 16) % 90 + 5
    api.ask("simple_demo", rows=rows)
    assert api.ask("simple_demo", rows=rows).body["metadata"]["cacheHit"] is True
    table = pipe.stack["analytics_table"]
    for page in pipe.dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            if item["pk"]["S"].startswith("cache#"):
                Table(pipe.dynamodb, table).update(
                    item["pk"]["S"], item["sk"]["S"], "SET expires_at = :now", "attribute_exists(pk)", {":now": 1}
                )
    assert api.ask("simple_demo", rows=rows).body["metadata"]["cacheHit"] is False


def test_the_document_is_that_of_the_api(stranger: Client, pipe: Pipeline) -> None:
    answer = stranger.get("/openapi.json")
    assert answer.status == 200
    assert {"/health", "/openapi.json", "/analytics"} <= set(answer.body["paths"])
    schemas = answer.body["components"]["schemas"]
    assert "invoice_lines" in schemas["CountParameters"]["properties"]["dataset"]["enum"]
    assert schemas["CountParameters"]["additionalProperties"] is False


# --- bad input and attack ---------------------------------------------------------------------------------------------


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


def test_a_slow_query_is_stopped(api: Client) -> None:
    rows = " UNION ALL ".join(["SELECT 1 AS a"] * 60)
    slow = f"WITH r AS ({rows}) SELECT count(*) FROM r a, r b, r c, r d, r e"
    message = error_of(api.ask("custom_query", sql=slow), 504, "QueryTimeout")
    assert "longer than" in message
    assert data_of(api.ask("simple_demo", rows=1))


def test_a_database_that_is_down_is_told_and_comes_back(warehouse: Warehouse, api: Client, stranger: Client) -> None:
    with warehouse.administrator() as administrator:
        administrator.execute("ALTER ROLE sluice_reader NOLOGIN")
        try:
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sluice_reader'"
            )
            error_of(stranger.get("/health"), 503, "DatabaseUnavailable")
            message = error_of(api.ask("simple_demo"), 503, "DatabaseUnavailable")
            assert message == "the warehouse does not answer"
        finally:
            administrator.execute("ALTER ROLE sluice_reader LOGIN")
    assert stranger.get("/health").status == 200
    assert data_of(api.ask("simple_demo", rows=1))


def test_a_connection_that_was_cut_is_made_again(warehouse: Warehouse, api: Client) -> None:
    with warehouse.administrator() as administrator:
        cut = administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'api'"
        ).fetchall()
    assert cut
    assert data_of(api.ask("simple_demo", rows=2))


def test_a_cache_that_does_not_answer_is_no_error(breakable: Pipeline, api: Client) -> None:
    for operation in ("GetItem", "BatchWriteItem"):
        with breakable.fault("api", "dynamodb", operation, "error:AccessDeniedException", times=20):
            answer = api.ask("custom_query", sql=f"SELECT '{breakable.run} {operation}' AS asked")
            assert data_of(answer) == [{"asked": f"{breakable.run} {operation}"}]
            assert answer.body["metadata"]["cacheHit"] is False


def test_a_key_has_its_limits(pipe: Pipeline) -> None:
    """A key of the deployed plan is throttled by itself, in the API's own shape."""
    client = pipe.stack.client("apigateway")
    plan = client.create_usage_plan(
        name=f"test-{pipe.run}",
        apiStages=[{"apiId": pipe.stack["api_id"], "stage": pipe.stack["api_stage"]}],
        throttle={"rateLimit": 0.01, "burstLimit": 2},
    )["id"]
    key = client.create_api_key(name=f"test-{pipe.run}", enabled=True)
    client.create_usage_plan_key(usagePlanId=plan, keyId=key["id"], keyType="API_KEY")
    try:
        limited = Client(api_client.base_url(pipe.stack), key["value"])
        answers = [limited.ask("simple_demo", rows=1) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        error_of(answers[2], 429, "TooManyRequests")
        assert Client.of(pipe.stack).ask("simple_demo", rows=1).status == 200
    finally:
        client.delete_usage_plan_key(usagePlanId=plan, keyId=key["id"])
        client.delete_usage_plan(usagePlanId=plan)
        client.delete_api_key(apiKey=key["id"])


def test_many_at_once_are_all_answered(pipe: Pipeline) -> None:
    local = threading.local()

    def ask(number: int) -> tuple[int, int]:
        if not hasattr(local, "client"):
            local.client = Client.of(pipe.stack)
        answer = local.client.ask("simple_demo", rows=number % 7 + 1)
        return answer.status, len(answer.body.get("data", []))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(64))) == [(200, number % 7 + 1) for number in range(64)]


def test_pages_of_other_origins_may_ask_where_that_is_allowed(stranger: Client, pipe: Pipeline) -> None:
    """dev allows none: a browser is told nothing that would let it go on."""
    answer = stranger.send("OPTIONS", "/analytics", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert json.dumps(dict(answer.headers)).lower().count("access-control") == 0
