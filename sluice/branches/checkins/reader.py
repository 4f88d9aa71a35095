"""Check-ins as the host reads and submits them: rows, a day's files, and the log of their runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from checkins.request import day_of as checked_day
from checkins.request import failed_rows_key
from checkins.rows import Checkins
from checkins.run_log import Log
from checkins.schema import CHECKIN
from sluice.console import FAILED, fail
from sluice.names import require
from sluice.paths import DATASETS_DIR
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import parse_catalog
from sluice_pipeline.dynamo.pages import InvalidQuery
from sluice_pipeline.requests import InvalidRequest

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack
    from sluice_pipeline.dynamo.pages import Page


def day_of(text: str) -> str:
    """A day as YYYY-MM-DD; today's (UTC) without one. Ends with code 2 when it is no date."""
    try:
        return checked_day(text or f"{datetime.now(UTC):%Y-%m-%d}")
    except InvalidRequest as error:
        fail(str(error))


def page(stack: Stack, dataset: str, user: str, since: str, until: str, limit: int, cursor: str) -> Page:
    """A page of a user's check-ins, newest first. Ends with code 2 when the question or the dataset is wrong."""
    require("dataset with a section `checkin`", dataset, CHECKIN.all(parse_catalog(compile_catalog(DATASETS_DIR))))
    rows = Checkins(stack.client("dynamodb"), stack["checkins_table"], dataset)
    try:
        return rows.of_user(user, since, until, limit, cursor)
    except InvalidQuery as error:
        fail(str(error))


def submit(stack: Stack, wanted: dict[str, str]) -> dict[str, Any]:
    """What the executor answers: ``day``, ``submitted`` and ``missing``. Ends with code 1 when it fails."""
    answer = stack.client("lambda", read_timeout=900).invoke(
        FunctionName=stack["checkin_executor_function"], Payload=json.dumps(wanted).encode(), **stack.in_service
    )
    done: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        fail(f"the executor failed: {done.get('errorMessage', done)}; see sluice logs checkin-executor", FAILED)
    return done


def states_of_day(stack: Stack, day: str) -> list[dict[str, Any]]:
    """Every state of every run for a day, as the log has them."""
    return list(_log(stack).of_day(day))


def states_of_run(stack: Stack, name: str) -> list[dict[str, Any]]:
    """The states of a run in their order. Ends with code 1 when the log has no such run."""
    states = list(_log(stack).states(name))
    if not states:
        fail(f"the log has no run {name}: see sluice checkins runs --day", FAILED)
    return states


def failed_rows(stack: Stack, name: str) -> list[dict[str, Any]]:
    """The rows of a run that failed a test. Ends with code 1 when the run was not tested."""
    s3 = stack.client("s3")
    try:
        body = s3.get_object(Bucket=stack["quarantine_bucket"], Key=failed_rows_key(name))["Body"].read()
    except s3.exceptions.NoSuchKey:
        fail(f"the run {name} was not tested: see sluice checkins log {name}", FAILED)
    return [json.loads(line) for line in body.splitlines()]


def _log(stack: Stack) -> Log:
    return Log(stack.client("dynamodb"), stack["checkin_log_table"])
