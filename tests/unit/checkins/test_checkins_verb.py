"""`sluice checkins` without a stack: what it refuses, what it shows, and how an end becomes an exit code."""

import io
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from sluice import cli
from sluice.pipeline import stack

cli.register_verbs()
NAME = f"checkin-2026-03-01-{'0f' * 16}"
STATE = {
    "pk": {"S": f"run#{NAME}"}, "sk": {"S": "2#test"}, "state": {"S": "test"}, "status": {"S": "failed"},
    "startedAt": {"S": "2026-03-02T03:30:01.000Z"}, "attempts": {"N": "1"}, "error": {"S": "hard: has_a_venue"},
    "counts": {"M": {"rows": {"N": "3"}}}, "source": {"S": "bronze/checkins/dt=2026-03-01/a.csv"},
}  # fmt: skip


class Fake:
    """Any client of a stack that holds one failed run."""

    in_service: Mapping[str, str] = {}

    def __init__(self, answer: dict[str, Any] | None = None, states: bool = True) -> None:
        self.answer = answer or {}
        self.states = [STATE] if states else []
        self.invoked: list[Any] = []

    def __getitem__(self, name: str) -> str:
        return name

    def client(self, _service: str, **_settings: Any) -> "Fake":
        return self

    def get_paginator(self, _operation: str) -> "Fake":
        return self

    def paginate(self, **_request: Any) -> list[dict[str, Any]]:
        return [{"Items": self.states}]

    def query(self, **_request: Any) -> dict[str, Any]:
        row = {"checkin_id": {"S": "c1"}, "latitude": {"N": "52.5"}}
        return {"Items": [{"row": {"M": row}}]}

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "checkin_executor_function"
        self.invoked.append(json.loads(Payload))
        failed = {"FunctionError": "Unhandled"} if "errorMessage" in self.answer else {}
        return {"Payload": io.BytesIO(json.dumps(self.answer).encode())} | failed


def run(monkeypatch: pytest.MonkeyPatch, fake: Fake, *arguments: str) -> int:
    monkeypatch.setattr(stack, "choose", lambda _target, _env: fake)
    return cli.run(["checkins", *arguments])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["ls", "--user", ""], "user must have"),
        (["ls", "--user", "u", "--from", "soon"], "from is no time"),
        (["ls", "--user", "u", "--from", "2026-03-02", "--to", "2026-03-01"], "from must lie before to"),
        (["ls", "--user", "u", "-n", "1001"], "limit must lie between"),
        (["ls", "--user", "u", "--cursor", "x"], "cursor is none"),
        (["submit", "--day", "soon"], "'soon' is not a date"),
        (["runs", "--day", "2026-02-30"], "'2026-02-30' is not a date"),
    ],
)
def test_wrong_use_ends_with_code_two_and_one_line(
    arguments: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, Fake(), *arguments) == 2
    said = capsys.readouterr().err.strip()
    assert reason in said
    assert "\n" not in said


def test_rows_are_json_numbers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, Fake(), "ls", "--user", "u", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"items": [{"checkin_id": "c1", "latitude": 52.5}], "cursor": ""}


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], {"id": "", "hard_testing": ""}),
        (["--id", "again", "--hard"], {"id": "again", "hard_testing": "true"}),
        (["--soft"], {"id": "", "hard_testing": "false"}),
    ],
)
def test_a_submission_asks_the_executor(
    options: list[str], asked: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = {"key": "bronze/checkins/dt=2026-03-01/a.csv", "name": NAME, "new": True}
    fake = Fake({"day": "2026-03-01", "submitted": [one], "missing": []})
    assert run(monkeypatch, fake, "submit", "--day", "2026-03-01", *options) == 0
    assert fake.invoked == [{"day": "2026-03-01"} | asked]
    assert "a.csv" in capsys.readouterr().out


def test_a_day_without_a_file_and_an_executor_that_fails_end_with_code_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = Fake({"day": "2026-03-01", "submitted": [], "missing": ["checkins"]})
    assert run(monkeypatch, nothing, "submit", "--day", "2026-03-01") == 1
    assert "checkins has no file of 2026-03-01" in capsys.readouterr().err
    assert run(monkeypatch, Fake({"errorMessage": "no such bucket"}), "submit", "--day", "2026-03-01") == 1
    assert "the executor failed: no such bucket" in capsys.readouterr().err


def test_the_log_shows_states_and_says_when_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, Fake(), "log", NAME, "--json") == 0
    [state] = json.loads(capsys.readouterr().out)
    assert (state["state"], state["status"], state["counts"]) == ("test", "failed", {"rows": 3})
    assert run(monkeypatch, Fake(), "runs", "--day", "2026-03-01") == 0
    assert "failed" in capsys.readouterr().out
    assert run(monkeypatch, Fake(states=False), "log", NAME) == 1
    assert f"the log has no run {NAME}" in capsys.readouterr().err


def test_dynamodbs_numbers_have_a_json_form(capsys: pytest.CaptureFixture[str]) -> None:
    from sluice import console

    console.print_json({"whole": Decimal("3"), "part": Decimal("0.25"), "big": Decimal("1E+2")})
    assert json.loads(capsys.readouterr().out) == {"whole": 3, "part": 0.25, "big": 100}
