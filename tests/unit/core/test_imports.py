"""What a function loads at its cold start: nothing of a layer it has not, nothing slow that only some calls need."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from sluice.build.functions import Function, Sources
from sluice.paths import LAMBDAS_DIR, SHARED_DIR
from tests.support.handlers import ENVIRONMENT

SOURCES = Sources()
FUNCTIONS = SOURCES.functions

# Modules that come with a layer: a function without the layer would fail where they are missing.
OF_A_LAYER = {
    "arrow": {"pyarrow", "numpy"},
    "postgres": {"psycopg", "psycopg_binary", "yoyo", "sqlparse"},
    "api": {"pydantic", "pydantic_core", "sqlglot"},
}
# What the host has and no layer does, and what a function loads only when a call needs it.
NEVER_AT_START = {"yaml", "jsonschema", "duckdb", "sluice", "pytest", "sqlglot", "aws_xray_sdk", "pandas", "numpy"}
# Modules of a layer that only these functions need.
ONLY_IN = {"yoyo": {"warehouse.migrate"}, "pyarrow.dataset": set[str](), "pyarrow.compute": {
    "core.transform", "checkins.steps", "quality.audit"}}  # fmt: skip
# Stands in for a package that only a layer has.
NOT_ON_THE_HOST = {"yoyo.py": "get_backend = read_migrations = None\n"}
CORE = {"core", "sluice_pipeline"}

SCRIPT = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps({name: getattr(module, "__file__", None) for name, module in sys.modules.items()}))
"""


@pytest.fixture(scope="module")
def loaded_by(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Function], dict[str, str | None]]:
    """Name and file of every module that is loaded once a function's handler is, from what its zip holds."""
    absent = tmp_path_factory.mktemp("absent")
    for name, source in NOT_ON_THE_HOST.items():
        (absent / name).write_text(source)

    @cache
    def loaded(function: Function) -> dict[str, str | None]:
        folder = tmp_path_factory.mktemp(function.artifact)
        for name, member in SOURCES.code_of(function).items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(member if isinstance(member, bytes) else member.read_bytes())
        answer = subprocess.run(
            [sys.executable, "-c", SCRIPT, f"{function.package}.handler"],
            env={**ENVIRONMENT, "PATH": os.environ["PATH"], "PYTHONPATH": f"{folder}{os.pathsep}{absent}"},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        found: dict[str, str | None] = json.loads(answer.stdout)
        return found

    return loaded


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.package)
def test_a_function_loads_what_its_layers_hold_and_no_more(
    function: Function, loaded_by: Callable[[Function], dict[str, str | None]]
) -> None:
    names = loaded_by(function)
    roots = {name.split(".")[0] for name in names}
    missing = {name for layer, of_layer in OF_A_LAYER.items() if layer not in function.layers for name in of_layer}
    assert roots & missing == set(), "of a layer that the function has not"
    assert roots & NEVER_AT_START == set(), "loaded at every start, needed by some calls"
    elsewhere = {name for name, functions in ONLY_IN.items() if name in names and function.package not in functions}
    assert elsewhere == set()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.package)
def test_a_functions_zip_holds_all_that_it_imports(
    function: Function, loaded_by: Callable[[Function], dict[str, str | None]]
) -> None:
    files = [Path(file) for file in loaded_by(function).values() if file]
    assert [file for file in files if file.is_relative_to(LAMBDAS_DIR)] == []


def test_the_core_and_the_shared_package_name_no_branch() -> None:
    """Not even in an import that only runs when it is needed."""
    branches = {function.package.split(".")[0] for function in FUNCTIONS} - CORE
    assert branches >= {"api", "checkins", "feedback", "warehouse"}
    for folder in (LAMBDAS_DIR / "core", SHARED_DIR / "sluice_pipeline"):
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert [name for name in names if name.split(".")[0] in branches] == [], file


@pytest.mark.parametrize("function", [f for f in FUNCTIONS if f.package.startswith("core.")], ids=lambda f: f.package)
def test_the_core_loads_no_branch(function: Function, loaded_by: Callable[[Function], dict[str, str | None]]) -> None:
    branches = {other.package.split(".")[0] for other in FUNCTIONS} - CORE
    assert {name for name in loaded_by(function) if name.split(".")[0] in branches} == set()
