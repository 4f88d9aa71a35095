"""`sluice taxi` without a stack: what it asks for, what it shows, and how an end becomes an exit code."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sluice import cli
from sluice.pipeline import stack

cli.register_verbs()
MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:sluice-dev-taxi"
AT = datetime(2026, 11, 5, 11, tzinfo=UTC)
VERIFIED = {"raw": 1048, "loaded": 1000, "rejected": 48, "reasons": {"other_month": 48}}
COUNTS = VERIFIED | {"month": "2024-09", "batch": "2024-09-2", "source": "raw/x"}
FAILURE = {
    "state": "LoadRedshift",
    "reason": "States.TaskFailed",
    "detail": json.dumps({"ErrorMessage": "LoadFailed: x"}),
}


class Fake:
    """Any client of a stack with four attempts: two of one month, one that waits, one that runs."""

    class exceptions:  # noqa: N801
        class ExecutionDoesNotExist(Exception):
            response: ClassVar = {"Error": {"Message": "it does not exist"}}

        class ExecutionNotRedrivable(Exception):
            response: ClassVar = {"Error": {"Message": "Execution is SUCCEEDED and cannot be redriven"}}

        class ResourceNotFoundException(Exception):
            pass

    def __init__(self) -> None:
        self.statuses = {
            "2024-11-1": "RUNNING", "2024-10-1": "SUCCEEDED", "2024-09-2": "SUCCEEDED", "2024-09-1": "FAILED",
        }  # fmt: skip
        self.outputs: dict[str, Any] = {"taxi_state_machine_arn": MACHINE}
        self.invoked: list[tuple[str, Any]] = []
        self.redriven: list[str] = []
        self.answer: dict[str, Any] = {"batch": "2024-09-2", "new": True, "status": "RUNNING"}
        self.error = False
        self.operation = ""

    def __getitem__(self, name: str) -> str:
        return str(self.outputs.get(name, name))

    def client(self, _service: str, **_settings: Any) -> Fake:
        return self

    def get_paginator(self, operation: str) -> Fake:
        self.operation = operation
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        match self.operation:
            case "list_executions":
                return [{"executions": [{"name": name}]} for name in self.statuses]
            case "list_schedules":
                return [{"Schedules": [{"Name": "2024-10-1"}]}]
            case "filter_log_events":
                return [{"events": [{"message": f"line of {request['logGroupName']}\n"}]}]
            case _:
                return [self.get_execution_history(request["executionArn"])]

    def get_schedule(self, GroupName: str, Name: str) -> dict[str, str]:  # noqa: N803
        assert (GroupName, Name) == ("taxi_schedule_group", "2024-10-1")
        return {"ScheduleExpression": "at(2026-11-06T11:00:00)"}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        name = executionArn.rpartition(":")[2]
        if name not in self.statuses:
            raise self.exceptions.ExecutionDoesNotExist
        found = {"name": name, "status": self.statuses[name], "startDate": AT, "executionArn": executionArn}
        waits = name == "2024-10-1"
        output = {"raw": {"next_try": "2026-11-06T11:00:00+00:00"}} if waits else {"verified": VERIFIED}
        return found | ({"output": json.dumps(output)} if self.statuses[name] == "SUCCEEDED" else {})

    def get_execution_history(self, executionArn: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        ended = json.dumps({"ended": {"notice": FAILURE}})
        events = [
            {"id": 1, "type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "LoadRedshift"}},
            {
                "id": 2,
                "type": "TaskSubmitted",
                "taskSubmittedEventDetails": {"output": json.dumps({"JobRunId": "jr_1"})},
            },
            {
                "id": 3,
                "type": "PassStateExited",
                "stateExitedEventDetails": {"name": "DescribeFailure", "output": ended},
            },
        ]
        return {"events": events}

    def redrive_execution(self, executionArn: str) -> None:  # noqa: N803
        name = executionArn.rpartition(":")[2]
        if self.statuses[name] == "SUCCEEDED":
            raise self.exceptions.ExecutionNotRedrivable
        self.redriven.append(name)
        self.statuses[name] = "SUCCEEDED"

    @property
    def in_service(self) -> dict[str, str]:
        return {"Qualifier": "live"}

    def invoke(self, FunctionName: str, Payload: bytes, Qualifier: str) -> dict[str, Any]:  # noqa: N803
        assert Qualifier == "live"
        self.invoked.append((FunctionName, json.loads(Payload)))
        body = io.BytesIO(json.dumps(self.answer).encode())
        return {"Payload": body} | ({"FunctionError": "Unhandled"} if self.error else {})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.delenv("COLUMNS", raising=False)
    found = Fake()
    monkeypatch.setattr(stack, "choose", lambda _target, _env: found)
    return found


def sluice(*words: str) -> int:
    return cli.run(["taxi", *words])


def as_json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_run_starts_a_month_and_ends_well_when_it_is_loaded(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("run", "2024-09", "--json", "--source-url", "http://x/{year}-{month}") == 0
    assert fake.invoked == [("taxi_function", {"month": "2024-09", "source_url": "http://x/{year}-{month}"})]
    [found] = as_json(capsys)
    assert (found["batch"], found["outcome"], found["rows"]) == ("2024-09-2", "loaded", VERIFIED)


def test_a_month_that_waits_or_fails_is_an_exit_code(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.answer = {"batch": "2024-10-1", "new": False, "status": "SUCCEEDED"}
    assert sluice("run", "2024-10") == 1
    said = capsys.readouterr()
    assert "not published; looked for again at 2026-11-06T11:00:00+00:00" in said.out
    assert "was made: 2024-10-1" in said.err
    fake.answer = {"batch": "2024-09-1", "new": True, "status": "RUNNING"}
    assert sluice("run", "2024-09") == 1
    assert "States.TaskFailed LoadFailed: x" in capsys.readouterr().out


def test_no_wait_shows_the_attempt_as_it_stands(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.answer = {"batch": "2024-11-1", "new": True, "status": "RUNNING"}
    assert sluice("run", "2024-11", "--no-wait", "--json") == 0
    assert [(one["status"], one["state"]) for one in as_json(capsys)] == [("RUNNING", "LoadRedshift")]


def test_backfill_starts_every_month_and_judges_all(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("backfill", "--from", "2023-11", "--to", "2024-02", "--json") == 0
    assert [body["month"] for _, body in fake.invoked] == ["2023-11", "2023-12", "2024-01", "2024-02"]
    assert len(as_json(capsys)) == 4


@pytest.mark.parametrize(
    "words",
    [("run", "September"), ("run", "2024-13"), ("backfill", "--from", "2024-02", "--to", "2024-01"),
     ("status", "2024-09-0"), ("verify", "2024")],
)  # fmt: skip
def test_what_is_no_month_is_wrong_use(fake: Fake, words: tuple[str, ...]) -> None:
    assert sluice(*words) == 2
    assert fake.invoked == []


def test_status_shows_attempts_and_what_is_scheduled(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("status", "--json") == 0
    found = as_json(capsys)
    assert [(one["batch"], one["status"], one["outcome"]) for one in found["attempts"]] == [
        ("2024-11-1", "RUNNING", ""), ("2024-10-1", "SUCCEEDED", "unpublished"), ("2024-09-2", "SUCCEEDED", "loaded"),
        ("2024-09-1", "FAILED", ""),
    ]  # fmt: skip
    assert found["scheduled"] == [{"name": "2024-10-1", "when": "at(2026-11-06T11:00:00)"}]
    assert sluice("status", "2024-09") == 0
    said = capsys.readouterr().out
    assert "2024-09-1" in said
    assert "2024-10-1" in said, "what is scheduled"
    assert sluice("status", "2024-09-1", "--json") == 0
    assert [one["state"] for one in as_json(capsys)["attempts"]] == ["LoadRedshift"]
    assert sluice("status", "2024-09-7") == 1


def test_redrive_goes_on_with_a_failed_attempt_and_no_other(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("redrive", "2024-09-1") == 0
    assert fake.redriven == ["2024-09-1"]
    assert sluice("redrive", "2024-09-2") == 1
    assert "Execution is SUCCEEDED and cannot be redriven" in capsys.readouterr().err


def test_verify_shows_counts_of_every_month_that_was_loaded(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.answer = COUNTS
    assert sluice("verify") == 0
    assert fake.invoked == [("taxi_steps_function", {"step": "verify", "month": "2024-09"})]
    assert "other_month 48" in capsys.readouterr().out


def test_verify_names_the_numbers_that_differ(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.error = True
    fake.answer = {"errorType": "NotReconciled", "errorMessage": "2024-09-2: clean rows 1000, rows in the table 999"}
    assert sluice("verify", "2024-09") == 1
    said = capsys.readouterr().err
    assert "clean rows 1000, rows in the table 999" in said
    assert "sluice logs" not in said
    fake.answer = {"errorType": "ClientError", "errorMessage": "broken"}
    assert sluice("verify", "2024-09") == 1
    assert "broken; see sluice logs taxi-steps" in capsys.readouterr().err


def test_logs_has_the_runs_of_an_attempts_jobs(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("logs", "2024-09-1", "--json") == 0
    lines = [f"line of /aws-glue/python-jobs/{part}" for part in ("output", "error")]
    assert as_json(capsys) == [{"job": "load", "run": "jr_1", "lines": lines}]


def test_a_stack_without_the_branch_says_so(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.outputs = {}
    for words in (("run", "2024-09"), ("status",), ("verify",), ("show",), ("logs", "2024-09-1")):
        assert sluice(*words) == 1
        assert "taxi_enabled is off" in capsys.readouterr().err


def test_generate_writes_a_file_under_its_public_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("generate", "2024-09", str(tmp_path), "-n", "200") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["yellow_tripdata_2024-09.parquet"]
    assert "200 trips, 53 of them to be rejected" in capsys.readouterr().err
    assert sluice("generate", "2024-09", str(tmp_path / "nowhere")) == 2
