"""The compaction workflow as the host starts it, follows it, and reads how it ended."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail
from sluice.names import require
from sluice.polling import poll

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

RUNNING, SUCCEEDED = "RUNNING", "SUCCEEDED"
EVERY = "*"
_POLL_SECONDS = 0.5
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Execution:
    """``result``: what the job wrote (lambdas/lake/compaction/run.py), None when it did not come so far."""

    name: str
    status: str
    cause: str = ""
    result: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        return self.status in (SUCCEEDED, RUNNING)

    def to_dict(self) -> dict[str, Any]:
        from dataclasses import asdict

        return asdict(self)


class Compactions:
    """Of a deployed stack. Ends with code 1 when it has none."""

    def __init__(self, stack: Stack) -> None:
        if not stack.outputs.get("lake_compaction_arn"):
            fail("the stack compacts nothing: lake_enabled is off, or lake_partitions is not registered", FAILED)
        self._stack = stack
        self._client = stack.client("stepfunctions")
        self._machine = stack["lake_compaction_arn"]

    def start(self, dataset: str, day: str) -> str:
        """The execution's name. Ends with code 2 when there is no such dataset, or the day is no date."""
        if dataset:
            glue, database = self._stack.client("glue"), self._stack["lake_database"]
            pages = glue.get_paginator("get_tables").paginate(DatabaseName=database)
            require("dataset", dataset, {table["Name"] for page in pages for table in page["TableList"]})
        wanted = {"dataset": dataset or EVERY, "day": _checked(day) if day else EVERY}
        name = f"by-hand-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
        self._client.start_execution(stateMachineArn=self._machine, name=name, input=json.dumps(wanted))
        return name

    def get(self, name: str) -> Execution:
        """How it stands. Ends with code 1 when there is none of this name."""
        arn = f"{self._machine.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            found = self._client.describe_execution(executionArn=arn)
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("ExecutionDoesNotExist", "InvalidArn"):
                raise
            fail(f"there is no compaction {name}", FAILED)
        if found["status"] == RUNNING:
            return Execution(name, RUNNING)
        return Execution(name, found["status"], self._cause(arn, found), self._result(name))

    def follow(self, name: str) -> Execution:
        """Waits for the end; the workflow's own time limit is the deadline."""
        found, _ = poll(lambda: self.get(name), lambda one: one.status != RUNNING, seconds=None, interval=_POLL_SECONDS)
        return found

    def _cause(self, arn: str, found: dict[str, Any]) -> str:
        """What Glue says of the run, where it was the run that failed."""
        if found["status"] == SUCCEEDED:
            return ""
        pages = self._client.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=100)
        for event in pages["events"]:
            cause = str((event.get("taskFailedEventDetails") or {}).get("cause") or "")
            try:
                return str(json.loads(cause)["ErrorMessage"])
            except (ValueError, KeyError, TypeError):
                if cause:
                    return " ".join(cause.split())
        return " ".join(str(found.get("cause") or "").split())

    def _result(self, name: str) -> dict[str, Any] | None:
        s3 = self._stack.client("s3")
        try:
            body = s3.get_object(Bucket=self._stack["lake_bucket"], Key=f"compaction/{name}.json")["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None
        found: dict[str, Any] = json.loads(body)
        return found


def _checked(day: str) -> str:
    try:
        if not _DAY.fullmatch(day):
            raise ValueError
        datetime.strptime(day, "%Y-%m-%d")
    except ValueError:
        fail(f"{day!r} is not a date such as 2026-03-01")
    return day
