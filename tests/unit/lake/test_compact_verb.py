"""`sluice compact` with a workflow that is a fake: what it starts, prints and returns."""

from __future__ import annotations

import io
import json
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from sluice import cli
from sluice.pipeline import stack as stacks
from tests.support.fakes import FakeStack

cli.register_verbs()

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:sluice-dev-lake-compaction"
RESULT = {
    "dates": {"compacted": 1, "current": 2, "left": 0, "failed": 0, "changed": 0},
    "outcomes": [
        {"dataset": "shipments", "day": "2026-03-01", "done": "compacted", "reason": "",
         "before": {"files": 40, "bytes": 4_000_000, "rows": 900},
         "after": {"files": 1, "bytes": 3_000_000, "rows": 900}},
        {"dataset": "shipments", "day": "2026-03-02", "done": "current", "reason": "", "before": {}, "after": {}},
    ],
}  # fmt: skip


class Workflow:
    """Of Step Functions, what the verb uses; ``status`` is that of every execution."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.status = "SUCCEEDED"
        self.exceptions = MagicMock(ClientError=ClientError)

    def start_execution(self, **request: Any) -> dict[str, Any]:
        self.started.append(request)
        return {}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        if executionArn.endswith(":nosuch"):
            raise ClientError({"Error": {"Code": "ExecutionDoesNotExist"}}, "DescribeExecution")
        return {"status": self.status}

    def get_execution_history(self, **_request: Any) -> dict[str, Any]:
        cause = json.dumps({"ErrorMessage": "1 dates failed, first shipments 2026-03-01: RowsDiffer"})
        return {"events": [{"taskFailedEventDetails": {"cause": cause}}]}


@pytest.fixture
def workflow(monkeypatch: pytest.MonkeyPatch) -> Workflow:
    found, glue, s3 = Workflow(), MagicMock(), MagicMock()
    glue.get_paginator.return_value.paginate.return_value = [{"TableList": [{"Name": "shipments"}]}]
    s3.get_object.side_effect = lambda **_request: {"Body": io.BytesIO(json.dumps(RESULT).encode())}
    monkeypatch.setattr("sluice.branches.lake.compactions._POLL_SECONDS", 0)
    stack = FakeStack()
    stack.outputs |= {"lake_compaction_arn": MACHINE, "lake_database": "silver", "lake_bucket": "lake"}
    for name, client in (("stepfunctions", found), ("glue", glue), ("s3", s3)):
        setattr(stack, name, client)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(stacks, "choose", lambda _target, _env: stack)
    return found


def test_it_starts_one_compaction_and_shows_the_dates(workflow: Workflow, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compact", "shipments", "--day", "2026-03-01"]) == 0
    [started] = workflow.started
    assert (started["stateMachineArn"], json.loads(started["input"])) == (
        MACHINE, {"dataset": "shipments", "day": "2026-03-01"},
    )  # fmt: skip
    said = capsys.readouterr()
    assert "2026-03-01" in said.out
    assert "2026-03-02" not in said.out
    assert f"started {started['name']}" in said.err
    assert "2 dates: compacted before, and unchanged" in said.err


def test_without_a_dataset_it_is_about_all_and_need_not_wait(
    workflow: Workflow, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow.status = "RUNNING"
    assert cli.run(["compact", "--no-wait"]) == 0
    [started] = workflow.started
    assert json.loads(started["input"]) == {"dataset": "*", "day": "*"}
    assert f"see `sluice compact --show {started['name']}`" in capsys.readouterr().err


def test_a_former_one_is_shown_and_none_is_started(workflow: Workflow, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compact", "--show", "by-hand-x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "name": "by-hand-x", "status": "SUCCEEDED", "cause": "", "result": RESULT,
    }  # fmt: skip
    assert workflow.started == []


def test_one_that_failed_is_code_1_with_what_glue_said(workflow: Workflow, capsys: pytest.CaptureFixture[str]) -> None:
    workflow.status = "FAILED"
    assert cli.run(["compact"]) == 1
    assert "FAILED: 1 dates failed, first shipments 2026-03-01: RowsDiffer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nosuch"], 2, "shipments"),
        (["--day", "2026-02-30"], 2, "'2026-02-30' is not a date"),
        (["--show", "nosuch"], 1, "there is no compaction nosuch"),
    ],
)
def test_wrong_use_is_one_line_and_starts_nothing(
    workflow: Workflow, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["compact", *words]) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert workflow.started == []


def test_a_stack_without_compaction_says_why(workflow: Workflow, capsys: pytest.CaptureFixture[str]) -> None:
    del workflow
    stack: Any = stacks.choose("", "")
    del stack.outputs["lake_compaction_arn"]
    assert cli.run(["compact"]) == 1
    assert "lake_partitions is not registered" in capsys.readouterr().err
