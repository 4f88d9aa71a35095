"""A day's check-in files as the host submits them, and the rows of a run that failed a test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipeline.checkin_runs import failed_rows_key
from sluice.console import FAILED, fail

if TYPE_CHECKING:
    from sluice.stack import Stack


def submit(stack: Stack, wanted: dict[str, str]) -> dict[str, Any]:
    """What the executor answers: ``day``, ``submitted`` and ``missing``. Ends with code 1 when it fails."""
    answer = stack.client("lambda", read_timeout=900).invoke(
        FunctionName=stack["checkin_executor_function"], Payload=json.dumps(wanted).encode()
    )
    done: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        fail(f"the executor failed: {done.get('errorMessage', done)}; see sluice logs checkin-executor", FAILED)
    return done


def failed_rows(stack: Stack, name: str) -> list[dict[str, Any]]:
    """The rows of a run that failed a test. Ends with code 1 when the run was not tested."""
    s3 = stack.client("s3")
    try:
        body = s3.get_object(Bucket=stack["quarantine_bucket"], Key=failed_rows_key(name))["Body"].read()
    except s3.exceptions.NoSuchKey:
        fail(f"the run {name} was not tested: see sluice checkins log {name}", FAILED)
    return [json.loads(line) for line in body.splitlines()]
