"""What the command loads before it does anything: `sluice --help` and every verb must be there at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sluice import cli
from sluice.paths import ROOT

VERBS = cli.find_verbs()
BUDGET = {"annotated_doc", "shellingham", "typer"}
"""Packages that a verb's module may load; what a verb needs is loaded when it runs."""
BUDGET_OF_HELP = BUDGET | {"attr", "markdown_it", "mdurl", "pygments", "rich"}
"""Typer draws the help with rich, which looks whether attrs is there."""
OWN = {"arguments", "bench", "branches", "cli", "commands", "console", "environment", "options", "paths", "polling"} | {
    "tables"
}
"""The parts of the tool that a verb's module may load; bench and branches: their packages, with nothing in them."""

LOADED = """
import importlib, json, sys
before, found = set(sys.modules), {}
for code in json.loads(sys.stdin.read()):
    exec(code)
    new = set(sys.modules) - before
    found[code] = [name for name in new if getattr(sys.modules[name], "__file__", None)]
    for name in new:
        del sys.modules[name]
print(json.dumps(found))
"""
"""Runs each piece of code as if nothing had been loaded before it, and prints which modules it loaded."""
HELP = "from sluice import cli; cli.register_verbs(); cli.run(['--help'])"


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """The modules that are loaded by each verb's module and by the help, in an interpreter of its own."""
    pieces = [*(f"import {verb.module}" for verb in VERBS), HELP]
    done = subprocess.run(
        [sys.executable, "-c", LOADED], input=json.dumps(pieces), capture_output=True, text=True, check=True, cwd=ROOT
    )
    return {code: set(found) for code, found in json.loads(done.stdout.splitlines()[-1]).items()}


def packages(modules: set[str]) -> set[str]:
    """Those of the modules' packages that are neither Python's own nor the tool's."""
    return {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"sluice"}


def parts(modules: set[str]) -> set[str]:
    return {name.split(".")[1] for name in modules if name.startswith("sluice.")}


@pytest.mark.parametrize("module", [verb.module for verb in VERBS])
def test_a_verbs_module_loads_only_what_parses_its_options(module: str, loaded: dict[str, set[str]]) -> None:
    found = loaded[f"import {module}"]
    assert packages(found) <= BUDGET
    assert parts(found) <= OWN


def test_the_help_loads_typer_and_rich_and_nothing_else(loaded: dict[str, set[str]]) -> None:
    found = loaded[HELP]
    assert packages(found) <= BUDGET_OF_HELP
    assert parts(found) <= OWN


def run_alone(code: str) -> set[str]:
    """The modules that a piece of code loads in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


def test_a_verb_loads_no_other_verb() -> None:
    found = run_alone(
        "from sluice import cli; cli.register_verbs(only=cli.verb_of(['--home', 'x', 'outputs', '--json']))"
    )
    others = {verb.module for verb in VERBS if verb.name != "outputs"}
    assert "sluice.commands.outputs" in found
    assert found & others == set()


def test_a_client_of_aws_needs_no_boto3_until_it_transfers_a_file() -> None:
    made = "from sluice.pipeline.stack import Stack; made = Stack('http://127.0.0.1:1', 'us-east-1')"
    found = run_alone(f"{made}; made.client('s3'); made.client('dynamodb')")
    assert "botocore.client" in found
    assert packages(found).isdisjoint({"boto3", "s3transfer", "rich", "psycopg", "pyarrow", "duckdb"})


FIRST_TASK = """
import contextlib
from sluice import console
class Bar:
    def add_task(self, what, total=None):
        print("task", *sys.modules)
        raise SystemExit(0)
console.progress = lambda: contextlib.nullcontext(Bar())
from sluice import cli
cli.main()
"""


@pytest.mark.parametrize(
    "arguments",
    ["status", "runs", "runs a/key", "runs --dataset flights", "ls", "ls silver/flights/", "verify",
     "verify --dataset flights", "replay --dry-run --dataset flights", "replay --dry-run --run 0a1b"],
)  # fmt: skip
def test_a_verb_of_many_objects_says_what_it_does_before_it_loads_a_client(arguments: str, tmp_path: Path) -> None:
    """There is no engine: a verb that asked for the stack first would end with an error, and without a task."""
    found = run_alone(
        f"import os; os.environ['SLUICE_HOME'] = {str(tmp_path)!r}; os.environ.pop('TARGET', None)\n"
        f"sys.argv = ['sluice', *{arguments.split()!r}]{FIRST_TASK}"
    )
    assert "task" in found
    assert found.isdisjoint({"boto3", "botocore.session", "duckdb", "psycopg", "pyarrow", "pydantic"})


@pytest.mark.parametrize(
    "arguments", [["outputs", "--json"], ["runs"], ["dlq", "ls"], ["quarantine", "ls", "--limit", "x"], ["status"]]
)
def test_options_that_need_no_conversion_load_no_pydantic(arguments: list[str], tmp_path: Path) -> None:
    """Typer would load it for every option; a value that is wrong is still refused."""
    given = ["--home", str(tmp_path), *arguments] if "x" in arguments else arguments
    found = run_alone(
        "import os; os.environ['SLUICE_HOME'] = " + repr(str(tmp_path)) + "\n"
        f"sys.argv = ['sluice', *{given!r}]\nfrom sluice import cli\n"
        "try: cli.main()\nexcept SystemExit as end: print(end.code)"
    )
    assert "sluice.arguments" in found
    assert ("pydantic" in found) == ("x" in arguments)


def test_the_version_needs_no_verb() -> None:
    found = run_alone(
        "sys.argv = ['sluice', '--version']\nfrom sluice import cli\n"
        "try: cli.main()\nexcept SystemExit as end: assert end.code == 0"
    )
    assert not any(name.startswith("sluice.commands.") for name in found)
    assert "pydantic" not in found


def test_outputs_of_a_stack_need_no_client() -> None:
    found = run_alone("import sluice.pipeline.stack, sluice.terraform")
    assert packages(found).isdisjoint({"boto3", "botocore", "rich", "yaml", "psycopg"})


def test_every_verb_is_covered() -> None:
    assert len(VERBS) >= 25
    assert len({verb.name for verb in VERBS}) == len(VERBS)
