"""Attempts at a month: executions of the workflow, one at a time.

An item of the table has the last attempt of each month. Who wants to start the next one takes its number by a
condition, which holds for one of two at the same time. The number names the execution, so the other one, and who comes
after a death between the two calls, starts the same execution and not a second one.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.requests import InvalidRequest
from taxi.month import Month, batch_of

ATTEMPT_SK: Final = "attempt"
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: an execution is known for 90 days.
FORGOTTEN: Final = timedelta(days=89)
_ALIVE: Final = ("RUNNING", "PENDING_REDRIVE")
_TRIES: Final = 20  # each of them lost to another caller


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asks for.

    after: a retry of this batch: nothing is started when another attempt has been made since.
    first: nothing is started when any attempt has been made (a schedule's call, which may come twice).
    since: when the month was looked for first, of a retry.
    request: names the call: one that Lambda repeats after its function died has the same name, and gets its attempt.
    """

    month: Month
    source_url: str
    after: str = ""
    since: str = ""
    first: bool = False
    request: str = ""

    def is_void(self, item: dict[str, Any]) -> bool:
        """Whether the month's last attempt is this call's own, or the reason to start another one is gone."""
        repeated = bool(self.request) and self.request == item.get("request")
        return repeated or self.first or bool(self.after and self.after != item["batch"])


@dataclass(frozen=True, slots=True)
class Started:
    """``new``: whether this call started it. ``status``: of an execution that was there before."""

    month: str
    batch: str
    new: bool
    status: str


def month_pk(month: Month) -> str:
    return f"month#{month}"


class Runs:
    def __init__(self, table: Table, workflows: Any, machine: str, now: Callable[[], datetime] | None = None) -> None:
        self._table = table
        self._workflows = workflows
        self._machine = machine
        self._now = now or (lambda: datetime.now(UTC))

    def start(self, wanted: Wanted) -> Started:
        """Starts the next attempt at a month, unless one runs, or the caller's reason is gone."""
        for _ in range(_TRIES):
            item = self._table.get(month_pk(wanted.month), ATTEMPT_SK)
            status = self._status(item) if item else None
            if item and status is None and not self._forgotten(item):
                return self._execute(item)  # its number was taken, and then its function died
            if item and (status in _ALIVE or wanted.is_void(item)):
                return Started(str(wanted.month), item["batch"], new=False, status=status or "ENDED")
            if claimed := self._claim(wanted, int(item["attempt"]) if item else 0):
                return self._execute(claimed)
        raise RuntimeError(f"{wanted.month}: another caller was faster {_TRIES} times")

    def _claim(self, wanted: Wanted, before: int) -> dict[str, Any] | None:
        """The item with the next attempt; None when another caller took it."""
        batch = batch_of(wanted.month, before + 1)
        given = {"year": f"{wanted.month.year:04d}", "month": f"{wanted.month.month:02d}", "batch": batch}
        given |= {"source_url": wanted.source_url, "since": wanted.since}
        values = {":attempt": before + 1, ":batch": batch, ":at": self._now().isoformat(), ":input": _canonical(given)}
        values |= {":request": wanted.request}
        condition = "attempt = :before" if before else "attribute_not_exists(pk)"
        return self._table.update(
            month_pk(wanted.month),
            ATTEMPT_SK,
            "SET attempt = :attempt, #batch = :batch, claimed_at = :at, #input = :input, #request = :request",
            condition,
            values | ({":before": before} if before else {}),
        )

    def _execute(self, item: dict[str, Any]) -> Started:
        month = item["batch"].rpartition("-")[0]
        try:
            # The same name with the same input is answered with the execution that runs; nothing is started twice:
            # https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
            self._workflows.start_execution(stateMachineArn=self._machine, name=item["batch"], input=item["input"])
        except self._workflows.exceptions.ExecutionAlreadyExists:
            return Started(month, item["batch"], new=False, status="ENDED")
        return Started(month, item["batch"], new=True, status="RUNNING")

    def _status(self, item: dict[str, Any]) -> str | None:
        """None when Step Functions does not know the execution."""
        arn = f"{self._machine.replace(':stateMachine:', ':execution:')}:{item['batch']}"
        try:
            return str(self._workflows.describe_execution(executionArn=arn)["status"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return None

    def _forgotten(self, item: dict[str, Any]) -> bool:
        return self._now() - datetime.fromisoformat(item["claimed_at"]) > FORGOTTEN


def wanted_of(event: dict[str, Any], zone: str, source_url: str, request: str = "") -> Wanted:
    """``{"month": "2024-09"}`` by hand, with ``source_url`` of another file; with ``after`` and ``since`` a retry;
    ``{"scheduled_time": ...}`` of the monthly schedule. ``source_url``: of the public file. Raises InvalidRequest."""
    known = {"month", "source_url", "after", "since", "scheduled_time"}
    for name, value in event.items():
        if name not in known:
            raise InvalidRequest(f"{name} is unknown; known are {', '.join(sorted(known))}")
        if not isinstance(value, str):
            raise InvalidRequest(f"{name} is not a string")
    if ("month" in event) == ("scheduled_time" in event):
        raise InvalidRequest("either month or scheduled_time is needed")
    if "scheduled_time" in event:
        return Wanted(Month.scheduled(event["scheduled_time"], zone), source_url, first=True, request=request)
    since = event.get("since", "")
    if since:
        since_of(since)
    url, after = event.get("source_url") or source_url, event.get("after", "")
    return Wanted(Month.parse(event["month"]), url, after, since, request=request)


def since_of(text: str) -> datetime:
    """Raises InvalidRequest."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"since {text!r} is not a time") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _canonical(given: dict[str, str]) -> str:
    """The same text for the same input: an execution's name may come twice with the same input only."""
    return json.dumps(given, sort_keys=True, separators=(",", ":"))
