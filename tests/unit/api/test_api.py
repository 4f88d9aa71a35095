"""The analytics API without a server: what may be asked, what a custom query may be, and how values become JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from psycopg import sql
from pydantic import ValidationError

from api.answers import ApiError, Result, error_body, success_body
from api.models import MODELS, REQUEST, name_of
from api.queries import questions
from api.queries.analytics import OPERATIONS, question_of
from api.queries.custom_query import checked
from api.queries.reading import as_json, encoded
from api.queries.result_cache import key_of
from sluice.branches.api import client as api_client
from sluice.branches.api.commands import _parsed
from sluice.console import SluiceError
from sluice.paths import DATASETS_DIR
from sluice.pipeline.stack import Stack
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import Catalog, parse_catalog

INJECTION = "'; DROP TABLE silver.shipments; --"


@pytest.fixture(autouse=True)
def _catalog(monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """Only a function's package has the catalog."""
    catalog = parse_catalog(compile_catalog(DATASETS_DIR))
    for module in ("questions", "silver_operations"):
        monkeypatch.setattr(f"api.queries.{module}.load_catalog", lambda: catalog)
    return catalog


def request(operation: str, **parameters: Any) -> Any:
    return REQUEST.validate_python({"operation": operation, "parameters": parameters})


def text_of(operation: str, **parameters: Any) -> str:
    return " ".join(question_of(request(operation, **parameters)).sql.as_string().split())


# --- custom queries ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM silver.shipments",
        "select carrier, count(*) from silver.shipments group by 1 having count(*) > 1 order by 2 desc limit 3;",
        "WITH s AS (SELECT * FROM silver.shipments) SELECT count(*) FROM s",
        "SELECT 1 UNION ALL SELECT 2",
        "(SELECT 1)",
        "SELECT date_trunc('month', event_time), sum(line_total)::numeric(12,2) FROM silver.invoice_lines GROUP BY 1",
        "SELECT a.shipment_id FROM silver.shipments a JOIN silver.tracking_events b USING (shipment_id)",
        "SELECT carrier, rank() OVER (PARTITION BY origin ORDER BY weight_kg DESC) FROM silver.shipments",
        "SELECT rows_by_table->>'shipments' FROM control.loads WHERE rows_by_table @> '{}'",
        "SELECT origin, destination, avg(weight_kg) FROM silver.shipments GROUP BY CUBE (origin, destination)",
        "SELECT CASE WHEN weight_kg > 10 THEN 'heavy' ELSE 'light' END FROM silver.shipments WHERE carrier ILIKE 'b%'",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY weight_kg) FROM silver.shipments",
        "SELECT count(*) FILTER (WHERE event_time > now() - interval '1 day') FROM silver.shipments",
    ],
)
def test_a_select_is_taken_and_means_the_same_when_rewritten(query: str) -> None:
    written = checked(query)
    assert checked(written) == written


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ("SELECT * FROM shipments", "SELECT * FROM silver.shipments"),
        ('SELECT * FROM "shipments" AS s', 'SELECT * FROM silver."shipments" AS s'),
        (
            "SELECT shipments.carrier FROM shipments JOIN control.loads AS l ON TRUE",
            "SELECT shipments.carrier FROM silver.shipments JOIN control.loads AS l ON TRUE",
        ),
        (
            "WITH s AS (SELECT * FROM shipments) SELECT (SELECT COUNT(*) FROM flights) FROM s",
            "WITH s AS (SELECT * FROM silver.shipments) SELECT (SELECT COUNT(*) FROM silver.flights) FROM s",
        ),
    ],
)
def test_a_dataset_needs_no_schema(query: str, written: str) -> None:
    assert checked(query) == written
    assert checked(written) == written


ATTACKS = {
    "two statements": "SELECT 1; DELETE FROM silver.shipments",
    "a second one behind a comment": "SELECT 1 /* ; */; -- \n DROP TABLE silver.shipments",
    "nothing": " ; -- nothing",
    "no SQL": "SELEKT 1",
    "open string": "SELECT 'a",
    "insert": "INSERT INTO silver.shipments VALUES (1)",
    "update": "UPDATE silver.shipments SET carrier = 'x'",
    "delete": "DELETE FROM silver.shipments",
    "merge": "MERGE INTO silver.shipments s USING control.loads l ON true WHEN MATCHED THEN DELETE",
    "writing in WITH": "WITH gone AS (DELETE FROM silver.shipments RETURNING *) SELECT * FROM gone",
    "select into": "SELECT * INTO silver.copy FROM silver.shipments",
    "create as": "CREATE TABLE silver.copy AS SELECT * FROM silver.shipments",
    "lock": "SELECT * FROM silver.shipments FOR UPDATE",
    "lock inside": "SELECT * FROM (SELECT * FROM silver.shipments FOR SHARE) s",
    "copy": "COPY silver.shipments TO PROGRAM 'id'",
    "set": "SET default_transaction_read_only = off",
    "begin": "BEGIN READ WRITE",
    "call": "CALL something()",
    "do": "DO $$ BEGIN END $$",
    "explain": "EXPLAIN ANALYZE SELECT 1",
    "sleep": "SELECT pg_sleep(60)",
    "sleep with its schema": "SELECT pg_catalog.pg_sleep(60)",
    "sleep in quotes": 'SELECT "pg_sleep"(60)',
    "sleep in FROM": "SELECT * FROM pg_sleep(60)",
    "sleep among rows": "SELECT * FROM ROWS FROM (pg_sleep(60)) x",
    "sleep as an argument": "SELECT make_interval(days => pg_sleep(1)::int)",
    "sleep in ORDER BY": "SELECT 1 ORDER BY (SELECT pg_sleep(60))",
    "sleep in LIMIT": "SELECT 1 LIMIT (SELECT length(pg_sleep(60)::text))",
    "read a file": "SELECT pg_read_file('/etc/passwd')",
    "import a file": "SELECT lo_import('/etc/passwd')",
    "another server": "SELECT * FROM dblink('host=evil', 'SELECT 1') AS t(a int)",
    "settings": "SELECT set_config('statement_timeout', '0', false)",
    "sequence": "SELECT nextval('s')",
    "advisory lock": "SELECT pg_advisory_lock(1)",
    "end a backend": "SELECT pg_terminate_backend(1)",
    "SQL in a function": "SELECT query_to_xml('SELECT 1', true, true, '')",
    "notify": "SELECT pg_notify('a', 'b')",
    "many rows of nothing": "SELECT * FROM generate_series(1, 1000000000)",
    "much text": "SELECT repeat('x', 1000000000)",
    "who am I": "SELECT current_user",
    "catalog": "SELECT * FROM pg_catalog.pg_authid",
    "catalog by its short name": "SELECT * FROM pg_authid",
    "catalog hidden by WITH": "SELECT * FROM pg_user, (WITH pg_user AS (SELECT 1) SELECT * FROM pg_user) x",
    "information schema": "SELECT * FROM information_schema.tables",
    "another database": "SELECT * FROM postgres.silver.shipments",
    "a catalog table in capitals": "SELECT * FROM PG_User",
    "a temporary table": "SELECT * FROM pg_temp.shipments",
    "placeholder": "SELECT %s, $1",
    "named placeholder": "SELECT :name",
    "escape string": r"SELECT E'\\', ', pg_sleep(60) --'",
    "unicode string": r"SELECT U&'\0041'",
    "dollar string": "SELECT $$a'; SELECT pg_sleep(1); --$$",
    "operator by its schema": "SELECT 1 OPERATOR(pg_catalog.+) 2",
    "name of an object": "SELECT 'pg_authid'::regclass",
    "NUL": "SELECT 'a\0b'",
    "deep": "SELECT " + "(" * 4000 + "1" + ")" * 4000,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_anything_else_is_refused(attack: str) -> None:
    with pytest.raises(ApiError) as refusal:
        checked(ATTACKS[attack])
    assert (refusal.value.status, refusal.value.kind) == (400, "QueryRefused")


def test_comments_do_not_reach_the_server() -> None:
    assert checked("SELECT 1 /* a */ AS x -- b\n /*!50000 c */") == "SELECT 1 AS x"


# --- operations -------------------------------------------------------------------------------------------------------


def test_every_model_has_an_operation_and_the_other_way_round() -> None:
    assert {name_of(model) for model in MODELS} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("nothing", {}),
        ("", {}),
        ("count_analysis", {"dataset": INJECTION}),
        ("count_analysis", {"metric": INJECTION}),
        ("count_analysis", {"group_by": INJECTION}),
        ("count_analysis", {"group_by": "carrier\0"}),
        ("count_analysis", {"having": f">=1{INJECTION}"}),
        ("count_analysis", {"since": INJECTION}),
        ("count_analysis", {"until": "0001-01-01T00:00:00+14:00"}),
        ("count_analysis", {"limit": INJECTION}),
        ("count_analysis", {"limit": "5"}),
        ("count_analysis", {"limit": True}),
        ("count_analysis", {"limit": 0}),
        ("count_analysis", {"limit": 1_000_001}),
        ("count_analysis", {"unknown": 1}),
        ("revenue_analysis", {"group_by": INJECTION}),
        ("database_info", {"exact": INJECTION}),
        ("simple_demo", {"rows": 101}),
        ("custom_query", {}),
        ("custom_query", {"sql": ""}),
        ("custom_query", {"sql": "SELECT " + "1," * 5_000 + "1"}),
    ],
)
def test_what_is_wrong_by_its_shape_is_refused(operation: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        request(operation, **parameters)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"dataset": "pg_authid"}, "flights, invoice_lines"),
        ({"group_by": "weight_kg"}, "carrier"),
        ({"dataset": "flights", "group_by": "passwd"}, "dest"),
    ],
)
def test_names_come_from_the_catalog(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiError) as refusal:
        question_of(request("count_analysis", **parameters))
    assert refusal.value.status == 400
    assert said in refusal.value.suggestions[0]


def test_values_are_bound_and_never_written_into_the_text() -> None:
    asked = request("count_analysis", group_by="carrier", since="2026-03-01", until="2026-04-01", having=">=17")
    question = question_of(asked)
    assert question.values == ("2026-03-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00", 17)
    text = question.sql.as_string()
    assert text.count("%s") == 3
    assert "2026" not in text
    assert "17" not in text


def test_a_column_is_quoted() -> None:
    assert 'SELECT "carrier" AS "group", count(*) AS value FROM "silver"."shipments"' in text_of(
        "count_analysis", group_by="carrier"
    )
    assert questions.between('a"b', "x", None)[0].as_string() == 'WHERE "a""b" >= %s::timestamptz'


def test_ages_count_back_from_the_beginning_of_the_day() -> None:
    since = datetime.fromisoformat(request("count_analysis", since="7d").parameters.since)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert timedelta(days=6) <= today - since <= timedelta(days=8)
    assert (since.hour, since.minute) == (0, 0)


# --- answers ----------------------------------------------------------------------------------------------------------


def test_postgresqls_values_become_jsons() -> None:
    row = {
        "n": None,
        "price": Decimal("12.50"),
        "exact": Decimal("12345678901234567890.12"),
        "whole": Decimal("3.00"),
        "nan": float("nan"),
        "at": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "took": timedelta(seconds=1.5),
        "id": UUID(int=1),
        "deep": {"a": [Decimal("0.1"), float("inf")]},
        "raw": b"\x00\xff",
        "text": "ä\U0001f600",
    }
    assert json.loads(as_json(row)) == {
        "n": None,
        "price": 12.5,
        "exact": "12345678901234567890.12",
        "whole": 3,
        "nan": None,
        "at": "2026-03-01T12:00:00Z",
        "took": 1.5,
        "id": "00000000-0000-0000-0000-000000000001",
        "deep": {"a": [0.1, None]},
        "raw": "00ff",
        "text": "ä\U0001f600",
    }


def rows(count: int) -> Iterator[dict[str, Any]]:
    return ({"n": n} for n in range(count))


def test_rows_over_the_limit_are_left_out_and_the_result_says_so() -> None:
    assert encoded(rows(3), 3) == Result('[{"n": 0}, {"n": 1}, {"n": 2}]', 3)
    assert encoded(rows(4), 3) == Result('[{"n": 0}, {"n": 1}, {"n": 2}]', 3, truncated=True)
    assert encoded(rows(0), 3) == Result("[]", 0)


def test_a_result_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ApiError, match="more than 20 bytes"):
        encoded(rows(5), 5, max_bytes=20)


def test_both_shapes_are_as_they_are_described() -> None:
    body = json.loads(success_body("simple_demo", "id", 1.23456, Result('[{"n": 1}]', 1, cached=True)))
    timestamp = body["metadata"].pop("timestamp")
    assert datetime.fromisoformat(timestamp)
    assert body == {
        "success": True,
        "operation": "simple_demo",
        "operationId": "id",
        "executionTime": 1.235,
        "data": [{"n": 1}],
        "metadata": {"resultCount": 1, "cacheHit": True, "truncated": False},
    }
    assert json.loads(error_body("Kind", "why", ["do"])) == {
        "success": False,
        "error": {"message": "why", "type": "Kind"},
        "suggestions": ["do"],
    }


def test_the_same_question_about_the_same_data_has_one_key() -> None:
    assert key_of("a", {"x": 1, "y": 2}, "v") == key_of("a", {"y": 2, "x": 1}, "v")
    different = {key_of("a", {"x": 1}, "v"), key_of("b", {"x": 1}, "v"), key_of("a", {"x": 2}, "v")}
    assert len(different | {key_of("a", {"x": 1}, "w")}) == 4


def test_the_verbs_parameters_are_names_and_values() -> None:
    assert _parsed(["group_by=sku", "having=>=3"]) == {"group_by": "sku", "having": ">=3"}
    with pytest.raises(SluiceError, match="NAME=VALUE"):
        _parsed(["group_by"])


def test_a_question_has_no_text_of_the_callers_but_in_a_custom_query() -> None:
    needed = {"relationship_network": {"root": INJECTION}, "time_series_patterns": {"metric": INJECTION}}
    for name in OPERATIONS.keys() - {"custom_query"}:
        question = question_of(request(name, **needed.get(name, {})))
        assert not question.foreign, name
        assert "DROP TABLE" not in question.sql.as_string(), name
    question = question_of(request("custom_query", sql="SELECT 1 AS a"))
    assert (question.foreign, question.sql) == (True, sql.SQL("SELECT 1 AS a"))


def test_urls_lead_to_the_engine_or_to_aws() -> None:
    outputs = {"api_id": "abc", "api_stage": "v1"}
    local = Stack("http://127.0.0.1:4999", "us-east-1", outputs)
    account = Stack(None, "eu-west-1", outputs)
    assert api_client.base_url(local) == "http://127.0.0.1:4999/_aws/execute-api/abc/v1"
    assert api_client.base_url(account) == "https://abc.execute-api.eu-west-1.amazonaws.com/v1"
    given = "http://127.0.0.1:4566/bucket/analytics/a.json?X-Amz-Signature=b"
    assert api_client.reachable(local, given) == given.replace("4566", "4999")
    assert api_client.reachable(account, given) == given
