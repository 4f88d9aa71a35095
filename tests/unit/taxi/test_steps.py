"""taxi-steps: what is looked for again, what is accounted for, and how a failed run ends and goes on."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import MagicMock

import pytest

from tests.support.handlers import Context, loaded

BATCH = "2024-09-2"
RAW = "raw/yellow/year=2024/month=09/" + "a" * 64 + ".parquet"
URL = "https://example.com/{year}-{month}.parquet"
SETTINGS = {"RETRY_HOURS": "24", "RETRY_DAYS": "3", "SOURCE_URL": URL}
INGEST = {"published": True, "rows": 1048, "key": RAW}
TRANSFORM = {
    "raw": 1048, "clean": 1000, "rejected": {"other_month": 48, "no_pickup": 0},
    "files": [{"key": "x", "rows": 1000, "bytes": 1}],
}  # fmt: skip
LOAD = {"loaded": 1000, "rejected": 48, "raw": 1048}
COUNTED: dict[str, Any] = {
    "counted": 1000, "elsewhere": 0, "attempt": 2, "raw": 1048, "loaded": 1000, "rejected": 48, "source": RAW,
}  # fmt: skip


class NoSuchKey(Exception):
    pass


class ConflictException(Exception):
    pass


class Function:
    def __init__(self, module: Any, clients: dict[str, MagicMock]) -> None:
        self.module = module
        self.s3, self.scheduler, self.redshift = clients["s3"], clients["scheduler"], clients["redshift-data"]
        self.reports: dict[str, Any] = {"ingest": INGEST, "transform": TRANSFORM, "load": LOAD}
        self.counted = COUNTED
        self.s3.exceptions.NoSuchKey = NoSuchKey
        self.scheduler.exceptions.ConflictException = ConflictException
        self.s3.get_object.side_effect = self._report
        self.redshift.execute_statement.return_value = {"Id": "s"}
        self.redshift.describe_statement.return_value = {"Status": "FINISHED"}
        self.redshift.get_statement_result.side_effect = lambda **_: {"Records": [self._record()]}

    def _report(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        _, job, month, name = Key.split("/")
        if (month, name) != ("2024-09", f"{BATCH}.json") or job not in self.reports:
            raise NoSuchKey
        return {"Body": io.BytesIO(json.dumps(self.reports[job]).encode())}

    def _record(self) -> list[dict[str, Any]]:
        return [
            {"isNull": True} if value is None else {"stringValue" if isinstance(value, str) else "longValue": value}
            for value in self.counted.values()
        ]

    def run(self, step: str, **event: Any) -> Any:
        return self.module.handler({"step": step, "name": BATCH, "batch": BATCH, **event}, Context())

    def published(self, since: str = "", url: str = URL) -> Any:
        return self.run("published", started="2026-11-05T11:00:00Z", since=since, source_url=url)


@pytest.fixture
def function() -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "scheduler", "redshift-data")}
    with loaded("taxi.steps.handler", settings=SETTINGS, **clients) as module:
        yield Function(module, clients)


def just_now() -> str:
    return datetime.now(UTC).isoformat()


def test_a_published_month_goes_on(function: Function) -> None:
    assert function.published() == {"outcome": "published", "rows": 1048, "key": RAW, "next_try": ""}
    function.scheduler.create_schedule.assert_not_called()


def test_a_month_that_is_not_published_is_looked_for_again_by_a_schedule_of_its_own(function: Function) -> None:
    function.reports["ingest"] = {"published": False}
    since = just_now()
    done = function.published(since)
    at = datetime.fromisoformat(done["next_try"])
    assert done["outcome"] == "later"
    assert timedelta(hours=23, minutes=59) < at - datetime.fromisoformat(since) < timedelta(hours=24, minutes=1)
    [call] = function.scheduler.create_schedule.call_args_list
    asked = call.kwargs
    assert (asked["Name"], asked["ActionAfterCompletion"]) == (BATCH, "DELETE")
    assert asked["ScheduleExpression"] == f"at({at:%Y-%m-%dT%H:%M:%S})"
    assert asked["ScheduleExpressionTimezone"] == "UTC"
    assert json.loads(asked["Target"]["Input"]) == {"month": "2024-09", "after": BATCH, "since": since}


def test_a_retry_of_another_file_is_about_that_file(function: Function) -> None:
    function.reports["ingest"] = {"published": False}
    function.published(just_now(), "https://other.example/{year}-{month}")
    event = json.loads(function.scheduler.create_schedule.call_args.kwargs["Target"]["Input"])
    assert event["source_url"] == "https://other.example/{year}-{month}"


def test_a_step_that_comes_again_arranges_nothing_new(function: Function) -> None:
    function.reports["ingest"] = {"published": False}
    function.scheduler.create_schedule.side_effect = ConflictException
    assert function.published(just_now())["outcome"] == "later"


def test_a_month_is_not_looked_for_without_end(function: Function) -> None:
    function.reports["ingest"] = {"published": False}
    since = (datetime.now(UTC) - timedelta(days=2, hours=1)).isoformat()
    assert function.published(since)["outcome"] == "late"
    function.scheduler.create_schedule.assert_not_called()


def test_a_job_that_ended_without_its_report_is_an_error(function: Function) -> None:
    del function.reports["ingest"]
    with pytest.raises(RuntimeError, match=r"reports/ingest/2024-09/2024-09-2.json is not there"):
        function.published()


def test_every_row_is_accounted_for(function: Function) -> None:
    assert function.run("verify") == {
        "month": "2024-09", "batch": BATCH, "raw": 1048, "loaded": 1000, "rejected": 48,
        "reasons": {"other_month": 48}, "source": RAW,
    }  # fmt: skip
    bound = function.redshift.execute_statement.call_args.kwargs["Parameters"]
    assert {one["name"]: one["value"] for one in bound} == {
        "month": "2024-09", "first_day": "2024-09-01", "next_day": "2024-10-01"}  # fmt: skip


def test_a_month_is_verified_without_the_name_of_its_attempt(function: Function) -> None:
    done = function.module.handler({"step": "verify", "month": "2024-09"}, Context())
    assert (done["batch"], done["loaded"]) == (BATCH, 1000)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"counted": 999}, "rows that load reported 1000, rows in the table 999"),
        ({"counted": 2000}, "raw rows 1048, rows in the table and rejected ones 2048"),
        ({"elsewhere": 3}, "rows of another month in the table 3"),
        ({"raw": 1049}, "raw rows 1048, raw rows that the load recorded 1049"),
        ({"rejected": 47}, "rejected rows 48, rejected rows that the load recorded 47"),
        ({"source": "raw/other"}, f"raw file {RAW}, loaded from raw/other"),
        ({"attempt": 3}, "the table has the rows of 2024-09-3, and 2024-09-2 was to be verified"),
        ({"attempt": None, "counted": 0}, "2024-09 was never loaded; the table has 0 rows of it"),
    ],
)
def test_a_difference_fails_and_names_its_numbers(function: Function, change: dict[str, Any], words: str) -> None:
    function.counted = COUNTED | change
    with pytest.raises(RuntimeError, match=words):
        function.run("verify")


@pytest.mark.parametrize(
    ("job", "change", "words"),
    [
        ("ingest", {"rows": 1049}, "rows of the raw file 1049, rows that transform read 1048"),
        ("transform", {"clean": 999}, "rows that transform read 1048, its clean and rejected rows 1047"),
        ("transform", {"files": []}, "clean rows 1000, rows of their files 0"),
        ("load", {"loaded": 999}, "clean rows 1000, rows that load reported 999"),
        ("load", {"rejected": 47}, "rejected rows 48, rejected rows that load reported 47"),
    ],
)
def test_a_report_that_contradicts_another_fails(
    function: Function, job: str, change: dict[str, Any], words: str
) -> None:
    function.reports[job] = function.reports[job] | change
    with pytest.raises(RuntimeError, match=words):
        function.run("verify")


def test_a_query_that_redshift_refuses_says_why(function: Function) -> None:
    function.redshift.describe_statement.return_value = {"Status": "FAILED", "Error": "ERROR: permission denied"}
    with pytest.raises(RuntimeError, match="permission denied"):
        function.run("verify")


def test_a_failed_run_ends_with_its_state_and_a_redrive_is_sent_back_to_it(function: Function) -> None:
    at = {"state": "LoadRedshift", "error": "Glue.Failed", "failed_at": 1}
    with pytest.raises(RuntimeError, match="LoadRedshift: Glue.Failed"):
        function.run("end", **at, redrives=1)
    assert function.run("end", **at, redrives=2) == {"resume": "LoadRedshift"}


def test_an_unknown_step_is_refused(function: Function) -> None:
    with pytest.raises(ValueError, match="there is no step 'load'"):
        function.run("load")
