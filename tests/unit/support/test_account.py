"""`make e2e TARGET=aws`: what is asked of an account is chosen by what a test uses, and nothing of it breaks calls."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sluice.paths import ROOT
from tests.support import account, changes

FOLDERS = ("tests/e2e/core", "tests/e2e/faults", "tests/e2e/afterwards")
MIN_TESTS = 40
FORBIDDEN = ("breakable", "fault", "timeouts(", "changed_", "paused(", "environment(", "configure(", "cold(",
             "Instance", "subprocess", "update_function", "put_bucket", "warehouse")  # fmt: skip


def run(env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--collect-only", *FOLDERS]
    shell = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "AWS_", "SLUICE_"))}
    shell |= {"TARGET": "aws", "ENV": env, "AWS_EC2_METADATA_DISABLED": "true"}
    return subprocess.run(command, cwd=ROOT, env=shell, capture_output=True, text=True, check=False, timeout=110)


def functions_of(file: str) -> dict[str, str]:
    """The source of each function and class of a file, by its name."""
    text = (ROOT / file).read_text(encoding="utf-8")
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return {node.name: ast.get_source_segment(text, node) or "" for node in found}


def used(name: str, functions: dict[str, str], seen: set[str]) -> Iterator[str]:
    """The source of a function, and of all of its file that it names."""
    seen.add(name)
    yield functions[name]
    words = {node.id for node in ast.walk(ast.parse(functions[name])) if isinstance(node, ast.Name)}
    words |= {node.arg for node in ast.walk(ast.parse(functions[name])) if isinstance(node, ast.arg)}
    for word in sorted(words & functions.keys() - seen):
        yield from used(word, functions, seen)


def test_enough_tests_are_chosen_and_none_of_them_breaks_calls_or_changes_what_is_deployed() -> None:
    """Judged apart from the choice: by the text of each test and of all that it uses in its file."""
    done = run("dev")
    assert done.returncode == 0, done.stdout + done.stderr
    chosen = sorted({line.partition("[")[0] for line in done.stdout.splitlines() if line.startswith("tests/e2e/")})
    assert len([line for line in done.stdout.splitlines() if line.startswith("tests/e2e/")]) >= MIN_TESTS
    assert "tests/e2e/core/test_core_path.py::test_a_clean_object_is_in_silver_row_for_row" in chosen
    assert not [name for name in chosen if "/engines/" in name or "/afterwards/" in name or "sweep" in name]
    for nodeid in chosen:
        file, _, name = nodeid.partition("::")
        text = "\n".join(used(name, functions_of(file), set()))
        assert [word for word in FORBIDDEN if word in text] == [], nodeid


def test_prod_is_refused_in_one_line_before_anything_is_asked() -> None:
    done = run("prod")
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert done.returncode != 0
    assert len(said) == 1
    assert "not for prod" in said[0]


def test_an_environment_in_which_nothing_is_deployed_is_named_with_the_commands() -> None:
    stack: Any = SimpleNamespace(outputs={})
    assert account.refusal("dev", stack).startswith("nothing is deployed in dev: `make plan TARGET=aws ENV=dev`")
    assert account.refusal("dev", SimpleNamespace(outputs={"bronze_bucket": "b"})) == ""  # type: ignore[arg-type]


def harmless(pipe: Any) -> object:
    return sorted(pipe.keys("silver"))


def faulty(pipe: Any) -> object:
    return pipe.fault("ingest", "s3", "GetObject", "kill-before")


def changing(pipe: Any) -> None:
    changes.cold(pipe, "ingest")


def starting() -> object:
    return subprocess.run(["true"], check=True)


class Settings:
    def wide(self, pipe: Any) -> object:
        return pipe.lambda_.update_event_source_mapping(BatchSize=1)


def deep(pipe: Any) -> object:
    def inner() -> object:
        return Settings().wide(pipe)

    return inner()


@pytest.mark.parametrize(
    ("function", "reaches"),
    [(harmless, False), (faulty, True), (changing, True), (starting, True), (deep, True), (lambda p: deep(p), True)],
)
def test_what_a_function_reaches_is_seen_through_what_it_calls(function: Callable[..., Any], reaches: bool) -> None:
    assert bool(list(account._Reach().of(function))) is reaches
