"""The analytics API: right answers, and what happens at its limits."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from fixtures import shipping
from sluice.branches.api import client as api_client
from sluice.branches.api.client import Client
from sluice_pipeline.dynamo.table import Table
from tests.support.api import data_of, error_of, invoice_lines, loaded, own_year
from tests.support.pipeline import Pipeline
from tests.support.warehouse import Warehouse

pytestmark = pytest.mark.usefixtures("api_deployed")


def test_health_needs_no_key_and_the_deep_one_asks_the_database(stranger: Client, api: Client) -> None:
    answer = stranger.get("/health")
    assert (answer.status, answer.body) == (200, {"success": True, "status": "ok"})
    error_of(stranger.get("/health/deep"), 403, "Forbidden")
    answer = api.get("/health/deep")
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
    """Its time is looked at, for DynamoDB removes it some time later only.

    An environment remembers what it has read from the table, so this answer is not read before it expires.
    """
    rows = int(pipe.run, 16) % 90 + 5
    api.ask("simple_demo", rows=rows)
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
    assert {"/health", "/health/deep", "/openapi.json", "/analytics"} <= set(answer.body["paths"])
    schemas = answer.body["components"]["schemas"]
    assert "invoice_lines" in schemas["CountParameters"]["properties"]["dataset"]["enum"]
    assert schemas["CountParameters"]["additionalProperties"] is False


def test_a_slow_query_is_stopped(api: Client) -> None:
    rows = " UNION ALL ".join(["SELECT 1 AS a"] * 60)
    slow = f"WITH r AS ({rows}) SELECT count(*) FROM r a, r b, r c, r d, r e"
    message = error_of(api.ask("custom_query", sql=slow), 504, "QueryTimeout")
    assert "longer than" in message
    assert data_of(api.ask("simple_demo", rows=1))


def test_a_database_that_is_down_is_reported_and_returns(warehouse: Warehouse, api: Client, stranger: Client) -> None:
    with warehouse.administrator() as administrator:
        administrator.execute("ALTER ROLE sluice_reader NOLOGIN")
        try:
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sluice_reader'"
            )
            assert stranger.get("/health").status == 200
            error_of(api.get("/health/deep"), 503, "DatabaseUnavailable")
            message = error_of(api.ask("simple_demo"), 503, "DatabaseUnavailable")
            assert message == "the warehouse does not answer"
        finally:
            administrator.execute("ALTER ROLE sluice_reader LOGIN")
    assert api.get("/health/deep").status == 200
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
    """dev allows none: a browser gets no header that would let it go on."""
    answer = stranger.send("OPTIONS", "/analytics", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert json.dumps(dict(answer.headers)).lower().count("access-control") == 0
