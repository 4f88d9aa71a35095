"""A pytest plugin of the suite's run: the port of the engine, and one outcome per test in a JSON file.

SUITE_PORT is the engine's port, SUITE_RESULTS the file: {test: [outcome, the error's last lines]}. It runs in the
environment of the suite, which has no part of this project.
"""

import json
import os
from pathlib import Path
from typing import Any

import requests
from botocore.client import BaseClient

from localstack import constants

constants.DEFAULT_PORT_EDGE = int(os.environ["SUITE_PORT"])  # the suite's conftest takes its port from there
_ERROR = 1500  # characters
_found: dict[str, list[str]] = {}
_call = BaseClient._make_api_call


def _api_call(client: Any, operation: str, given: dict[str, Any]) -> Any:
    """The engine has an interpreter for python3.13 only: functions in older Python run with that one.

    Lambda's API tests do not run their functions, and compare the name of the runtime.
    """
    runs = "test_lambda_api" not in os.environ.get("PYTEST_CURRENT_TEST", "")
    if operation == "CreateFunction" and runs and str(given.get("Runtime")).startswith("python3."):
        given = given | {"Runtime": "python3.13"}
    return _call(client, operation, given)


_request = requests.Session.request


def _plain_request(session: Any, method: str, url: str, *arguments: Any, **options: Any) -> Any:
    """The engine speaks HTTP: what a test sends to an https address by itself goes there, too."""
    return _request(session, method, url.replace("https://localhost.", "http://localhost.", 1), *arguments, **options)


BaseClient._make_api_call = _api_call
requests.Session.request = _plain_request


def pytest_runtest_logreport(report: Any) -> None:
    """The worst outcome of a test's three phases; a skip is none of the engine's."""
    name, error = report.nodeid, ""
    if report.failed:
        error = str(report.longrepr)[-_ERROR:]
    elif report.skipped:
        error = str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", ""))
    if report.when == "call" or report.outcome != "passed":
        known = _found.get(name)
        if known is None or report.failed:
            _found[name] = [report.outcome if report.when == "call" or not report.failed else "error", error]
    if report.when == "teardown":
        _write()


def pytest_sessionfinish(session: Any) -> None:
    """A file also of a run that was stopped."""
    _write()


def _write() -> None:
    path = Path(os.environ["SUITE_RESULTS"])
    path.with_suffix(".new").write_text(json.dumps(_found, indent=1, sort_keys=True))
    path.with_suffix(".new").replace(path)
