"""Jobs of the analytics API: started once, done or failed for good, notified, listed, downloaded."""

from __future__ import annotations

import base64
import json
import urllib.request
import uuid
from typing import Any

import pytest

from sluice.branches.api import client as api_client
from sluice.branches.api.client import Answer, Client
from tests.support.api import data_of, error_of, invoice_lines, loaded, own_year
from tests.support.pipeline import Pipeline, until
from tests.support.warehouse import Warehouse

TEN = " UNION ALL ".join(f"SELECT {n} AS n" for n in range(10))


pytestmark = pytest.mark.usefixtures("api_deployed")


def start(api: Client, operation: str, key: str | None = None, **parameters: Any) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else None
    answer = api.post("/analytics/jobs", {"operation": operation, "parameters": parameters}, headers)
    assert answer.status == 202, answer.body
    job: dict[str, Any] = answer.body["job"]
    return job


def ended(api: Client, job_id: str) -> Answer:
    def look() -> Answer | None:
        answer = api.get(f"/analytics/jobs/{job_id}")
        assert answer.status == 200, answer.body
        return answer if answer.body["job"]["state"] in ("succeeded", "failed") else None

    return until(f"the end of job {job_id}", look)


def notice(pipe: Pipeline, job_id: str) -> dict[str, Any]:
    """The one notice about a job."""
    [found] = until(f"the notice of job {job_id}", lambda: pipe.mail.notices(job=job_id))
    return found


def executions(pipe: Pipeline, job_id: str) -> list[str]:
    pages = (
        pipe.stack.client("stepfunctions")
        .get_paginator("list_executions")
        .paginate(stateMachineArn=pipe.stack["analytics_state_machine_arn"])
    )
    return [execution["status"] for page in pages for execution in page["executions"] if execution["name"] == job_id]


def execution_arn(pipe: Pipeline, job_id: str) -> str:
    return f"{pipe.stack['analytics_state_machine_arn'].replace(':stateMachine:', ':execution:')}:{job_id}"


def test_a_small_result_comes_with_the_job(pipe: Pipeline, warehouse: Warehouse, api: Client) -> None:
    year = own_year(pipe)
    loaded(pipe, warehouse, "invoice_lines", invoice_lines(pipe.run, 30, year))
    within = {"group_by": "month", "since": f"{year}-01-01", "until": f"{year + 1}-01-01"}
    job = start(api, "revenue_analysis", **within)
    assert (job["operation"], job["parameters"]["group_by"], job["finishedAt"]) == ("revenue_analysis", "month", None)
    answer = ended(api, job["id"])
    done = answer.body["job"]
    assert (done["state"], done["resultCount"], done["truncated"]) == ("succeeded", 3, False)
    assert answer.body["data"] == data_of(api.ask("revenue_analysis", **within))
    assert done["createdAt"] <= done["startedAt"] <= done["finishedAt"]
    sent = notice(pipe, job["id"])
    assert sent["attributes"] == {"dataset": "*", "severity": "info", "kind": "analytics.done"}
    assert (sent["operation"], sent["rows"]) == ("revenue_analysis", 3)
    download = api.get(f"/analytics/jobs/{job['id']}/download")
    with urllib.request.urlopen(api_client.reachable(pipe.stack, download.body["url"]), timeout=30) as rows:
        assert json.load(rows) == answer.body["data"]


def test_a_large_result_is_downloaded(pipe: Pipeline, api: Client) -> None:
    query = f"WITH t AS ({TEN}) SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n AS n FROM t a, t b, t c, t d ORDER BY 1"
    job = start(api, "custom_query", sql=query, limit=5000)
    answer = ended(api, job["id"])
    assert "data" not in answer.body
    assert answer.body["download"] == f"/analytics/jobs/{job['id']}/download"
    done = answer.body["job"]
    assert (done["resultCount"], done["truncated"]) == (5000, True)
    download = api.get(answer.body["download"])
    assert (download.status, download.body["resultCount"], download.body["bytes"]) == (200, 5000, done["bytes"])
    with urllib.request.urlopen(api_client.reachable(pipe.stack, download.body["url"]), timeout=30) as rows:
        body = rows.read()
    assert len(body) == done["bytes"]
    assert json.loads(body) == [{"n": n} for n in range(5000)]


def test_the_same_key_is_the_same_job(pipe: Pipeline, api: Client) -> None:
    key = f"key-{pipe.run}"
    first = start(api, "simple_demo", key, rows=3)
    assert start(api, "simple_demo", key, rows=3)["id"] == first["id"]
    ended(api, first["id"])
    again = start(api, "simple_demo", key, rows=3)
    assert (again["id"], again["state"]) == (first["id"], "succeeded")
    until("the execution's end", lambda: executions(pipe, first["id"]) == ["SUCCEEDED"])
    other = {"operation": "simple_demo", "parameters": {"rows": 4}}
    error_of(api.post("/analytics/jobs", other, {"Idempotency-Key": key}), 409, "IdempotencyConflict")
    assert start(api, "simple_demo", rows=3)["id"] != start(api, "simple_demo", rows=3)["id"]


def test_a_job_that_was_recorded_and_not_started_starts_when_it_comes_again(breakable: Pipeline, api: Client) -> None:
    key, body = f"key-{breakable.run}", {"operation": "simple_demo", "parameters": {"rows": 2}}
    with breakable.fault("api", "stepfunctions", "StartExecution", "error:AccessDeniedException", times=20):
        error_of(api.post("/analytics/jobs", body, {"Idempotency-Key": key}), 500, "InternalError")
    job = start(api, "simple_demo", key, rows=2)
    assert ended(api, job["id"]).body["data"] == [{"n": 1, "square": 1}, {"n": 2, "square": 4}]


def test_a_question_that_fails_is_recorded_notified_and_not_tried_again(pipe: Pipeline, api: Client) -> None:
    job = start(api, "custom_query", sql="SELECT 1 / (SELECT count(*) FROM silver.shipments WHERE carrier = '-')")
    answer = ended(api, job["id"])
    error = answer.body["job"]["error"]
    assert (error["type"], error["message"]) == ("JobRefused", "QueryFailed: division by zero")
    error_of(api.get(f"/analytics/jobs/{job['id']}/download"), 409, "JobFailed")
    sent = notice(pipe, job["id"])
    assert sent["attributes"] == {"dataset": "*", "severity": "error", "kind": "analytics.failed"}
    assert sent["reason"] == "JobRefused"
    until("the execution's end", lambda: executions(pipe, job["id"]) == ["FAILED"])
    history = pipe.stack.client("stepfunctions").get_execution_history(executionArn=execution_arn(pipe, job["id"]))
    assert sum(event["type"] == "TaskScheduled" for event in history["events"]) == 3  # run, record, notify


def test_a_database_that_is_away_is_waited_for(pipe: Pipeline, warehouse: Warehouse, api: Client) -> None:
    with warehouse.administrator() as administrator:
        job = None
        administrator.execute("ALTER ROLE sluice_reader NOLOGIN")
        try:
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sluice_reader'"
            )
            job = start(api, "simple_demo", rows=1)
            until("a first attempt", lambda: api.get(f"/analytics/jobs/{job['id']}").body["job"]["state"] == "running")
        finally:
            administrator.execute("ALTER ROLE sluice_reader LOGIN")
    assert ended(api, job["id"]).body["data"] == [{"n": 1, "square": 1}]


def test_a_job_that_is_stopped_is_recorded_and_notified(pipe: Pipeline, api: Client) -> None:
    rows = " UNION ALL ".join(["SELECT 1 AS a"] * 60)
    slow = f"WITH r AS ({rows}) SELECT count(*) FROM r a, r b, r c, r d, r e"
    job = start(api, "custom_query", sql=slow)
    until("its beginning", lambda: api.get(f"/analytics/jobs/{job['id']}").body["job"]["state"] == "running")
    error_of(api.get(f"/analytics/jobs/{job['id']}/download"), 409, "JobNotFinished")
    pipe.stack.client("stepfunctions").stop_execution(executionArn=execution_arn(pipe, job["id"]))
    error = ended(api, job["id"]).body["job"]["error"]
    assert error["type"] == "ABORTED"
    assert notice(pipe, job["id"])["reason"] == "ABORTED"


def test_a_schedule_is_a_job_like_any_other(pipe: Pipeline, api: Client) -> None:
    """As EventBridge starts it: under a name of its own, with parameters as text, recorded by no caller."""
    name = str(uuid.uuid4())
    asked = {"request": {"operation": "simple_demo", "parameters": {"rows": "2"}}}
    pipe.stack.client("stepfunctions").start_execution(
        stateMachineArn=pipe.stack["analytics_state_machine_arn"], name=name, input=json.dumps(asked)
    )
    until("the job", lambda: api.get(f"/analytics/jobs/{name}").status == 200)
    assert ended(api, name).body["data"] == [{"n": 1, "square": 1}, {"n": 2, "square": 4}]
    assert name in [job["id"] for job in api.get("/analytics/jobs", limit=20).body["jobs"]]


def test_jobs_are_listed_page_by_page_newest_first(api: Client) -> None:
    started = [start(api, "simple_demo", rows=1)["id"] for _ in range(5)]
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None and not set(started) <= set(found):
        page = api.get("/analytics/jobs", limit=2, cursor=cursor)
        assert page.status == 200, page.body
        assert len(page.body["jobs"]) <= 2
        found += [job["id"] for job in page.body["jobs"]]
        cursor = page.body["cursor"]
    assert [job for job in found if job in started] == started[::-1]
    assert len(found) == len(set(found))
    for job in started:
        ended(api, job)


def test_cursors_that_are_expired_forged_or_none_are_refused(api: Client) -> None:
    for _ in range(2):
        ended(api, start(api, "simple_demo", rows=1)["id"])
    cursor = api.get("/analytics/jobs", limit=1).body["cursor"]
    opened = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    given, _, inner = opened.partition(".")

    def closed(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    elsewhere = closed(json.dumps({"pk": "cache#x", "sk": "answer", "kind": "secret", "created_key": "x"}))
    said = error_of(api.get("/analytics/jobs", cursor=closed(f"{int(given) - 3700}.{inner}")), 400, "InvalidRequest")
    assert "expired" in said
    for forged in (
        closed(f"{int(given) + 9999}.{inner}"), closed(f"{given}.{elsewhere}"), closed(f"{given}."), closed("x"),
        closed(inner), cursor[:-3], "not base64!", "\u00e4", "'; DROP TABLE x; --",
    ):  # fmt: skip
        error_of(api.get("/analytics/jobs", cursor=forged), 400, "InvalidRequest")
    for limit in ("0", "101", "x", "1; DROP TABLE x"):
        error_of(api.get("/analytics/jobs", limit=limit), 400, "InvalidRequest")
    assert api.get("/analytics/jobs", limit=1, cursor=cursor).status == 200


def test_what_is_wrong_is_answered_before_a_job_is_recorded(pipe: Pipeline, api: Client) -> None:
    def post(operation: str, **parameters: Any) -> Answer:
        return api.post("/analytics/jobs", {"operation": operation, "parameters": parameters})

    before = [job["id"] for job in api.get("/analytics/jobs", limit=5).body["jobs"]]
    error_of(post("custom_query", sql="DROP TABLE silver.shipments"), 400, "QueryRefused")
    error_of(post("count_analysis", dataset="nothing"), 400, "InvalidRequest")
    error_of(post("nothing"), 400, "InvalidRequest")
    body = {"operation": "simple_demo", "parameters": {}}
    error_of(api.post("/analytics/jobs", body, {"Idempotency-Key": "a b"}), 400, "InvalidRequest")
    assert [job["id"] for job in api.get("/analytics/jobs", limit=5).body["jobs"]] == before
    error_of(api.get(f"/analytics/jobs/{uuid.uuid4().hex}"), 404, "NotFound")
    error_of(api.get("/analytics/jobs/'; DROP TABLE x"), 400, "InvalidRequest")
    stranger = Client(api_client.base_url(pipe.stack), None)
    error_of(stranger.get("/analytics/jobs"), 403, "Forbidden")
