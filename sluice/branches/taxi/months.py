"""Months of taxi trips as the host starts, follows and verifies them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail
from sluice.polling import poll
from sluice_pipeline.requests import InvalidRequest
from taxi.month import Month, attempt_of

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

RUNNING, SUCCEEDED = "RUNNING", "SUCCEEDED"
LOADED, UNPUBLISHED = "loaded", "unpublished"
JOBS = {"IngestRaw": "ingest", "TransformTrips": "transform", "LoadRedshift": "load"}
_POLL_SECONDS = 0.5
_PAGE = 1000


@dataclass(frozen=True)
class Attempt:
    """An execution. ``outcome``: loaded or unpublished once it has succeeded; ``rows``: raw, loaded, rejected and the
    reasons; ``state``: where it is or ended."""

    batch: str
    status: str
    started: str
    outcome: str = ""
    state: str = ""
    error: str = ""
    next_try: str = ""
    rows: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.status in (SUCCEEDED, RUNNING)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def month_of(text: str) -> Month:
    """Ends with code 2 when it is no month."""
    try:
        return Month.parse(text)
    except InvalidRequest as error:
        fail(str(error))


def months_between(since: str, until: str) -> list[Month]:
    """Both included. Ends with code 2 when they are no months, or in the wrong order."""
    first, last = month_of(since), month_of(until)
    if last < first:
        fail(f"{last} is before {first}")
    found = [first]
    while found[-1] < last:
        found.append(found[-1].plus(1))
    return found


class Months:
    """Of a deployed stack. Ends with code 1 when the branch is off."""

    def __init__(self, stack: Stack) -> None:
        if not stack.outputs.get("taxi_state_machine_arn"):
            fail("the stack has no taxi trips: taxi_enabled is off", FAILED)
        self._stack = stack
        self._workflows = stack.client("stepfunctions")
        self._machine = stack["taxi_state_machine_arn"]

    def start(self, month: Month, source_url: str = "") -> dict[str, Any]:
        """``batch``, and whether it is ``new``: an attempt that runs already is not started a second time."""
        wanted = {"month": str(month)} | ({"source_url": source_url} if source_url else {})
        return self._invoke("taxi_function", "taxi", wanted)

    def verify(self, month: Month) -> dict[str, Any]:
        """Counts of a month whose rows are all accounted for. Ends with code 1, and the numbers, when they are not."""
        return self._invoke("taxi_steps_function", "taxi-steps", {"step": "verify", "month": str(month)})

    def redrive(self, batch: str) -> None:
        """An attempt that failed goes on at the state that failed. Ends with code 1 when it did not fail."""
        errors = self._workflows.exceptions
        try:
            self._workflows.redrive_execution(executionArn=self._arn(batch))
        except (errors.ExecutionNotRedrivable, errors.ExecutionDoesNotExist) as error:
            fail(f"{batch} cannot go on: {error.response['Error']['Message']}", FAILED)

    def get(self, batch: str) -> Attempt:
        """Ends with code 1 when there is none, with code 2 when it is no attempt's name."""
        try:
            attempt_of(batch)
        except InvalidRequest as error:
            fail(str(error))
        try:
            found = self._workflows.describe_execution(executionArn=self._arn(batch))
        except self._workflows.exceptions.ExecutionDoesNotExist:
            fail(f"there is no attempt {batch}: see sluice taxi status", FAILED)
        return self._attempt(found)

    def follow(self, batch: str) -> Attempt:
        """Waits for the end; the workflow's own time limit is the deadline."""
        found, _ = poll(
            lambda: self.get(batch), lambda one: one.status != RUNNING, seconds=None, interval=_POLL_SECONDS
        )
        return found

    def last(self, limit: int, month: Month | None = None) -> list[Attempt]:
        """The last attempts, newest first; all of a month's, when one is given."""
        found = []
        for item in self._executions():
            if month is None or item["name"].startswith(f"{month}-"):
                found.append(self.get(item["name"]))
            if len(found) == limit:
                break
        return found

    def loaded(self) -> list[Month]:
        """The months of which an attempt was made, in their order."""
        names = {item["name"].rpartition("-")[0] for item in self._executions()}
        return sorted(map(Month.parse, names))

    def waiting(self) -> list[dict[str, str]]:
        """Schedules that start months: ``name`` and ``when``."""
        pages = self._stack.client("scheduler").get_paginator("list_schedules")
        group = self._stack["taxi_schedule_group"]
        names = [one["Name"] for page in pages.paginate(GroupName=group) for one in page["Schedules"]]
        get = self._stack.client("scheduler").get_schedule
        return [{"name": name, "when": get(GroupName=group, Name=name)["ScheduleExpression"]} for name in sorted(names)]

    def job_runs(self, batch: str) -> Iterator[tuple[str, str]]:
        """The jobs' names as in JOBS, and the runs' ids, of an attempt, in their order."""
        self.get(batch)
        pages = self._workflows.get_paginator("get_execution_history").paginate(executionArn=self._arn(batch))
        for page in pages:
            for event in page["events"]:
                output = (event.get("taskSubmittedEventDetails") or {}).get("output")
                started = json.loads(output) if output else {}
                if "JobRunId" in started:
                    yield self._job_of(event, page["events"]), str(started["JobRunId"])

    def _job_of(self, event: dict[str, Any], events: list[dict[str, Any]]) -> str:
        entered = [one for one in events if one["type"] == "TaskStateEntered" and one["id"] < event["id"]]
        state = entered[-1]["stateEnteredEventDetails"]["name"] if entered else ""
        return JOBS.get(state, "")

    def _executions(self) -> Iterator[dict[str, Any]]:
        pages = self._workflows.get_paginator("list_executions").paginate(stateMachineArn=self._machine)
        return (item for page in pages for item in page["executions"])

    def _attempt(self, found: dict[str, Any]) -> Attempt:
        batch, status, started = found["name"], found["status"], found["startDate"].isoformat()
        if status == SUCCEEDED:
            ended = json.loads(found["output"])
            if "verified" in ended:
                return Attempt(batch, status, started, LOADED, "Verify", rows=ended["verified"])
            return Attempt(batch, status, started, UNPUBLISHED, "IngestRaw", next_try=ended["raw"]["next_try"])
        events = self._workflows.get_execution_history(
            executionArn=found["executionArn"], reverseOrder=True, maxResults=_PAGE
        )["events"]
        if status == RUNNING:
            return Attempt(batch, status, started, state=_entered(events))
        failed = next((one for one in map(_failure, events) if one), None) or {}
        error = " ".join(str(part) for part in (failed.get("reason"), failed.get("detail")) if part)
        return Attempt(
            batch, status, started, state=failed.get("state") or _entered(events), error=error or found.get("cause", "")
        )

    def _arn(self, batch: str) -> str:
        return f"{self._machine.replace(':stateMachine:', ':execution:')}:{batch}"

    def _invoke(self, function: str, log: str, wanted: dict[str, Any]) -> dict[str, Any]:
        answer = self._stack.client("lambda", read_timeout=900).invoke(
            FunctionName=self._stack[function], Payload=json.dumps(wanted).encode(), **self._stack.in_service
        )
        done: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            kind, message = done.get("errorType"), done.get("errorMessage", str(done))
            fail(
                message if kind in ("NotReconciled", "InvalidRequest") else f"{message}; see sluice logs {log}", FAILED
            )
        return done


def _entered(events: list[dict[str, Any]]) -> str:
    """The state that was entered last; events newest first."""
    return next(
        (str(one["stateEnteredEventDetails"]["name"]) for one in events if "stateEnteredEventDetails" in one), ""
    )


def _failure(event: dict[str, Any]) -> dict[str, Any] | None:
    """What the state DescribeFailure made for the notice."""
    details = event.get("stateExitedEventDetails") or {}
    if details.get("name") != "DescribeFailure":
        return None
    notice: dict[str, Any] = json.loads(details["output"])["ended"]["notice"]
    with contextlib.suppress(ValueError, AttributeError):  # a job's failure is Glue's description of its run
        notice["detail"] = json.loads(notice["detail"]).get("ErrorMessage") or notice["detail"]
    return notice
