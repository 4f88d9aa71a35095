"""What goes on to the next environment is what is in service in the one before, byte for byte."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sluice import build
from sluice.build import BuiltArtifact, Manifest, artifacts, tested
from sluice.cli import register_verbs, run
from sluice.pipeline.stack import Stack

FUNCTIONS = {"ingest": "core.ingest", "load": "warehouse.load", "migrate": "warehouse.migrate"}


class NotThere(Exception):
    """ResourceNotFoundException."""


@dataclass(frozen=True)
class Account(Stack):
    """A stack of three functions; `migrate` has no alias."""

    code: dict[str, str] = field(default_factory=dict)

    class exceptions:  # noqa: N801 - a client's
        ResourceNotFoundException = NotThere

    def client(self, service: str, **_: Any) -> Any:
        assert service == "lambda"
        return self

    def get_function_configuration(self, FunctionName: str, Qualifier: str = "") -> dict[str, str]:  # noqa: N803
        key = FunctionName.removeprefix("x-")
        if Qualifier and key == "migrate":
            raise NotThere
        assert Qualifier == ("" if key == "migrate" else "live")
        code = base64.b64encode(bytes.fromhex(self.code[key])).decode()
        return {"CodeSha256": code, "Handler": f"{FUNCTIONS[key]}.handler.handler"}


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    """What is built was tested and is in service."""
    code = {key: f"0{number}" * 32 for number, key in enumerate(FUNCTIONS)}
    names = {FUNCTIONS[key].replace(".", "-"): sha256 for key, sha256 in code.items()}
    made = {name: BuiltArtifact(name, f"{name}.zip", "i", sha256, 1, 1) for name, sha256 in names.items()}
    manifest = Manifest(tmp_path, made)
    artifacts._write_manifest(manifest)
    everything = {sha256: dict.fromkeys(tested.SUITES, 1) for sha256 in code.values()}
    (tmp_path / tested.FILE).write_text(json.dumps(everything))
    functions = {key: {"name": f"x-{key}", "log_group": "", "alarms": True} for key in FUNCTIONS}
    core = {"functions": functions, "queues": {}, "workflows": {}, "tables": {}, "notices": []}
    found = Account(None, "us-east-1", {"branches": {"core": core}, "function_alias": "live"}, code=code)
    monkeypatch.setattr(build, "build", lambda: manifest)
    register_verbs()
    monkeypatch.setattr(Stack, "load", lambda **_: found)
    return found


def test_the_same_bytes_may_go(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["promote", "--from", "dev", "--to", "prod"]) == 0
    assert "dev has all of it in service" in capsys.readouterr().err


@pytest.mark.parametrize("key", FUNCTIONS)
def test_other_bytes_are_named(account: Account, capsys: pytest.CaptureFixture[str], key: str) -> None:
    account.code[key] = "ff" * 32
    assert run(["promote", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["differences"]
    assert [(one["artifact"], one["in_service"]) for one in found] == [(FUNCTIONS[key].replace(".", "-"), "ff" * 32)]


def test_what_was_not_tested_is_refused_before_anything_is_asked(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / tested.FILE).unlink()
    monkeypatch.setattr(Account, "client", lambda *_: pytest.fail("asked"))
    assert run(["promote"]) == 1
    assert run(["promote", "--untested"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "sluice: core-ingest and 2 more artifacts did not pass contract, e2e, infra, unit: run `make test`",
        "sluice: --untested is refused in prod: run `make test`",
    ]
