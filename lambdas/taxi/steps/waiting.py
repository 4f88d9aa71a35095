"""A month that is not published yet is looked for again later: by a schedule that fires once, and is gone then.

It is visible (`sluice taxi status`, the Scheduler's console), survives whatever ends here, and has the attempt's name,
so a step that is repeated makes it once. Its call names the attempt that it follows: when another was made since, it
does nothing.
"""

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from taxi.month import attempt_of
from taxi.runs import since_of


@dataclass(frozen=True, slots=True)
class Retrying:
    """When and how long a month is looked for again, and what the schedule calls."""

    hours: int
    days: int
    group: str
    function_arn: str
    role_arn: str


class Waiting:
    def __init__(self, scheduler: Any, retrying: Retrying) -> None:
        self._scheduler = scheduler
        self._retrying = retrying

    def next_try(self, batch: str, since: str, source_url: str, now: datetime) -> datetime | None:
        """When the month is looked for again, once that is arranged; None when it was looked for long enough."""
        month, _ = attempt_of(batch)
        at = now.astimezone(UTC).replace(microsecond=0) + timedelta(hours=self._retrying.hours)
        if at > since_of(since) + timedelta(days=self._retrying.days):
            return None
        event = {"month": str(month), "after": batch, "since": since}
        event |= {"source_url": source_url} if source_url else {}
        # A former try of this step may have made it.
        with contextlib.suppress(self._scheduler.exceptions.ConflictException):
            self._scheduler.create_schedule(
                Name=batch,
                GroupName=self._retrying.group,
                Description=f"Looks for the taxi trips of {month} again",
                ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
                ScheduleExpressionTimezone="UTC",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target={
                    "Arn": self._retrying.function_arn,
                    "RoleArn": self._retrying.role_arn,
                    "Input": json.dumps(event, sort_keys=True),
                },
            )
        return at
