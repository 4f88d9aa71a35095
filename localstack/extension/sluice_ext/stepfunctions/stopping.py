"""A stopped execution is ABORTED at once, as on AWS, even while its task still runs.

LocalStack lets the task end first, which may take minutes, and then reports the task's failure as the execution's. It
lists an execution before its thread has begun; a stop, or a request for its history, then waits for its first event.
Replaced: `Execution.stop`, `Execution.to_history_output` and `BaseExecutionWorkerCommunication.terminated`.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from localstack.aws.api.stepfunctions import ExecutionStatus
from localstack.services.stepfunctions.backend.execution import BaseExecutionWorkerCommunication, Execution

from sluice_ext.patching import replace

_MAX_BEGIN_SECONDS: Final = 10.0


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def stop(self: Any, stop_date: datetime, error: str | None, cause: str | None) -> None:
        if _wait_for_begin(self):
            stop_date = datetime.now(UTC)  # and not before it began
        if self.exec_status == ExecutionStatus.RUNNING:
            self.sluice_stop = (stop_date, error, cause)
        original_stop(self, stop_date=stop_date, error=error, cause=cause)
        if self.exec_status != ExecutionStatus.RUNNING:
            return  # it ended before it was stopped
        self.exec_status, self.stop_date = ExecutionStatus.ABORTED, stop_date
        self.error, self.cause = error, cause
        self.publish_execution_status_change_event()

    def terminated(self: Any) -> None:
        if self.execution.exec_status == ExecutionStatus.RUNNING:
            original_terminated(self)

    def to_history_output(self: Any) -> Any:
        _wait_for_begin(self)
        output = original_history(self)
        if self.exec_status == ExecutionStatus.ABORTED and hasattr(self, "sluice_stop"):
            output["events"] = aborted_history(output["events"], *self.sluice_stop)
        return output

    original_stop = replace(Execution, "stop", stop, expect="(self, stop_date, error, cause)")
    original_history = replace(Execution, "to_history_output", to_history_output, expect="(self)")
    original_terminated = replace(BaseExecutionWorkerCommunication, "terminated", terminated, expect="(self)")


def _wait_for_begin(execution: Any) -> bool:
    """Until the execution has its first event; whether that was still to come."""
    until = time.monotonic() + _MAX_BEGIN_SECONDS
    waited = False
    while not _has_begun(execution) and time.monotonic() < until:
        waited = True
        time.sleep(0.005)
    return waited


def _has_begun(execution: Any) -> bool:
    env = execution.exec_worker.env if execution.exec_worker else None
    if execution.exec_status not in (None, ExecutionStatus.RUNNING):
        return True
    return env is not None and bool(env.event_manager._history_event_list)


def aborted_history(
    events: Iterable[dict[str, Any]], stop_date: datetime, error: str | None, cause: str | None
) -> list[dict[str, Any]]:
    """The events before the stop, then ExecutionAborted; without what the task still does after it."""
    before = [event for event in events if event["timestamp"] <= stop_date and event["type"] != "ExecutionAborted"]
    details = {name: value for name, value in (("error", error), ("cause", cause)) if value is not None}
    aborted = {
        "id": len(before) + 1,
        "previousEventId": 0,
        "type": "ExecutionAborted",
        "timestamp": stop_date,
        "executionAbortedEventDetails": details,
    }
    return [*before, aborted]
