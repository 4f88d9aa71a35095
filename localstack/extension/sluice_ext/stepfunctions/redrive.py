"""RedriveExecution: an execution that failed, was stopped or timed out begins again at the state that it ended in.

LocalStack has the operation in its API and not in its provider. The state gets the input that it had, its retries count
from 0, the state machine's timeout counts from the redrive, and the definition is the one of the first start. A Map or
Parallel begins again as a whole. ``$$.Execution.RedriveCount`` and ``RedriveTime`` are those of AWS.
https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from localstack.aws.api import RequestContext, handler
from localstack.aws.api.stepfunctions import (
    ExecutionNotRedrivable,
    ExecutionRedriveStatus,
    ExecutionStatus,
    HistoryEventType,
    RedriveExecutionOutput,
    StateMachineType,
)
from localstack.services.stepfunctions.backend.execution import Execution
from localstack.services.stepfunctions.backend.execution_worker import ExecutionWorker
from localstack.services.stepfunctions.provider import StepFunctionsProvider

from sluice_ext.patching import replace
from sluice_ext.stepfunctions import checkpoints

_ENDED: Final = (ExecutionStatus.FAILED, ExecutionStatus.ABORTED, ExecutionStatus.TIMED_OUT)
_PERIOD: Final = timedelta(days=14)
_MAX_EVENTS: Final = 24_999
_MAX_REDRIVES: Final = 1000
_LOCK: Final = threading.Lock()


def install() -> None:
    """Add the operation, and what descriptions say of it; raises UnexpectedEngine at another LocalStack."""

    def environment(self: Any) -> Any:
        env = original_environment(self)
        execution = getattr(self._execution_communication, "execution", None)
        data = env.states.context_object.context_object_data["Execution"]
        data["RedriveCount"] = _count(execution)
        if at := getattr(execution, "sluice_redriven_at", None):
            data["RedriveTime"] = Execution._to_serialized_date(at)
        return env

    def describe(self: Any) -> Any:
        return original_describe(self) | _facts(self, with_status=True)

    def listed(self: Any) -> Any:
        return original_listed(self) | _facts(self, with_status=False)

    original_environment = replace(ExecutionWorker, "_get_evaluation_environment", environment, expect="(self)")
    original_describe = replace(Execution, "to_describe_output", describe, expect="(self)")
    original_listed = replace(Execution, "to_execution_list_item", listed, expect="(self)")
    # The name of the function has to be the one of the API: calls are dispatched by it.
    StepFunctionsProvider.redrive_execution = redrive_execution


@handler("RedriveExecution")
def redrive_execution(
    self: Any, context: RequestContext, execution_arn: str, client_token: str | None = None, **_kwargs: Any
) -> RedriveExecutionOutput:
    self._validate_state_machine_execution_arn(execution_arn)
    execution = self._get_execution(context=context, execution_arn=execution_arn)
    if execution.sm_type != StateMachineType.STANDARD:
        self._raise_resource_type_not_in_context(resource_type=execution.sm_type)
    with _LOCK:
        if client_token and client_token == getattr(execution, "sluice_redrive_token", None):
            return RedriveExecutionOutput(redriveDate=execution.sluice_redriven_at)
        if reason := _reason(execution):
            raise ExecutionNotRedrivable(reason)
        execution.sluice_redrive_token = client_token
        return RedriveExecutionOutput(redriveDate=_redrive(execution))


def _count(execution: Any) -> int:
    return int(getattr(execution, "sluice_redrives", 0))


def _reason(execution: Any) -> str:
    """Why the execution cannot be redriven; empty when it can."""
    if execution.exec_status not in _ENDED:
        return f"Execution is {execution.exec_status} and cannot be redriven"
    if datetime.now(UTC) - execution.stop_date > _PERIOD:
        return "Execution has exceeded the max redrive period of 14 days"
    if len(execution.to_history_output()["events"]) >= _MAX_EVENTS:
        return f"Execution history event limit of {_MAX_EVENTS} exceeded"
    if _count(execution) >= _MAX_REDRIVES:
        return f"Execution has exceeded the max of {_MAX_REDRIVES} redrives"
    return ""


def _facts(execution: Any, *, with_status: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"redriveCount": _count(execution)}
    if at := getattr(execution, "sluice_redriven_at", None):
        found["redriveDate"] = at
    if with_status and execution.sm_type == StateMachineType.STANDARD:
        reason = _reason(execution)
        found["redriveStatus"] = ExecutionRedriveStatus.NOT_REDRIVABLE if reason else ExecutionRedriveStatus.REDRIVABLE
        if reason:
            found["redriveStatusReason"] = reason
    return found


def _redrive(execution: Any) -> datetime:
    """Starts it again; when that was."""
    old, events = execution.exec_worker.env, list(execution.to_history_output()["events"])
    checkpoint = getattr(old, "sluice_checkpoint", None)
    # What the former run still does (a stopped task goes on by itself) is no longer this execution's.
    execution.exec_worker._execution_communication.terminated = lambda: None
    vars(execution).pop("sluice_stop", None)
    at = execution.sluice_redriven_at = datetime.now(UTC)
    execution.sluice_redrives = _count(execution) + 1
    execution.error = execution.cause = execution.stop_date = execution.output = None
    worker = execution.exec_worker = execution._get_start_execution_worker()
    env = worker.env = worker._get_evaluation_environment()
    checkpoints._restore_history(env, events, (len(events), len(events)))
    env.map_run_record_pool_manager = old.map_run_record_pool_manager
    env.event_manager.add_event(
        context=env.event_history_context,
        event_type=HistoryEventType.ExecutionRedriven,
        event_details={"executionRedrivenEventDetails": {"redriveCount": execution.sluice_redrives}},
    )
    execution.exec_status = ExecutionStatus.RUNNING
    execution.publish_execution_status_change_event()
    checkpoints.go_on(execution, checkpoint, since=at)
    return at
