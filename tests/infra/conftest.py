"""One run of `terraform test` for the whole session; its results and the mocked stack's state are shared."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.infra.planning import ENVS, OfflinePlan, copy_infra, environment, offline_plan, one_provider, terraform

CORE = "core.tftest.hcl"


@dataclass
class MockRun:
    """What `terraform test` reported: run names by file and status, complaints, and states by run."""

    runs: dict[str, dict[str, str]] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    stderr: str = ""


@pytest.fixture(scope="session")
def infra_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of infra/ in which `terraform test` is ready to run."""
    home = tmp_path_factory.mktemp("infra")
    folder = copy_infra(home / "infra")
    made = terraform(folder, "init", "-input=false", "-no-color", env=environment(home))
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="session")
def mock_run(infra_copy: Path) -> MockRun:
    """All tests under infra/tests, run once with mocked providers."""
    result = MockRun()
    others = [f"-filter=tests/{path.name}" for path in (infra_copy / "tests").glob("*.tftest.hcl") if path.name != CORE]
    # -verbose prints states, and 13 MB of provider schema with each: only for the one that is read.
    with one_provider(infra_copy, environment(infra_copy.parent)) as env:
        for options in (["-verbose", f"-filter=tests/{CORE}"], others):
            done = terraform(infra_copy, "test", "-json", *options, env=env)
            result.stderr += done.stderr
            for line in done.stdout.splitlines():
                _record(json.loads(line), result)
    return result


def _record(message: dict[str, Any], result: MockRun) -> None:
    kind, file = message.get("type"), Path(message.get("@testfile", "")).name
    if kind == "test_run" and "status" in message["test_run"]:
        result.runs.setdefault(file, {})[message["test_run"]["run"]] = message["test_run"]["status"]
    elif kind == "test_state":
        result.states[message["@testrun"]] = message["test_state"]
    elif kind == "diagnostic" and message["diagnostic"]["severity"] == "error":
        found = message["diagnostic"]
        text = f"{message.get('@testrun', '')}: {found['summary']}: {found.get('detail', '')}"
        result.errors.setdefault(file, []).append(text)


@pytest.fixture(scope="session")
def mocked_resources(mock_run: MockRun) -> dict[str, dict[str, Any]]:
    """Every resource of the mocked stack by address, with all values known."""
    assert "the_core_stack" in mock_run.states, (mock_run.errors, mock_run.stderr)
    found: dict[str, dict[str, Any]] = {}

    def collect(module: dict[str, Any]) -> None:
        found.update({resource["address"]: resource for resource in module.get("resources", [])})
        for child in module.get("child_modules", []):
            collect(child)

    collect(mock_run.states["the_core_stack"]["root_module"])
    return found


@pytest.fixture(scope="session", params=["dev", "prod"])
def env_plan(request: pytest.FixtureRequest) -> tuple[str, OfflinePlan]:
    """An environment's name and its plan, made without an account."""
    return request.param, offline_plan(ENVS / f"{request.param}.tfvars")
