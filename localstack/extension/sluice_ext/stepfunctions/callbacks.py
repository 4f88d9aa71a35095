"""Task tokens: one whose task has ended is refused as on AWS, and an output is JSON of 256 KiB at most.

LocalStack looks for a token in running executions only, and takes any text. Replaced: SendTaskSuccess, SendTaskFailure
and SendTaskHeartbeat.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
"""

from typing import Any

from localstack.aws.api import RequestContext
from localstack.aws.api.stepfunctions import (
    ExecutionStatus,
    InvalidOutput,
    InvalidToken,
    SendTaskFailureOutput,
    SendTaskHeartbeatOutput,
    SendTaskSuccessOutput,
    TaskTimedOut,
)
from localstack.services.stepfunctions.asl.eval.callback.callback import (
    CallbackEndpoint,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
)
from localstack.services.stepfunctions.provider import StepFunctionsProvider

from sluice_ext.patching import replace
from sluice_ext.stepfunctions.requests import check_length, parsed


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    replace(StepFunctionsProvider, "send_task_success", send_task_success)
    replace(StepFunctionsProvider, "send_task_failure", send_task_failure)
    replace(StepFunctionsProvider, "send_task_heartbeat", send_task_heartbeat)


def send_task_success(
    self: Any, context: RequestContext, task_token: str, output: str, **_kwargs: Any
) -> SendTaskSuccessOutput:
    check_length("output", output)
    waiting = _endpoint(self, context, task_token)  # a token that is none comes before an output that is none
    try:
        parsed(output)
    except ValueError as error:
        raise InvalidOutput(f"Invalid Output: '{error}'") from error
    waiting.notify(CallbackOutcomeSuccess(callback_id=task_token, output=output))
    return SendTaskSuccessOutput()


def send_task_failure(
    self: Any,
    context: RequestContext,
    task_token: str,
    error: str | None = None,
    cause: str | None = None,
    **_kwargs: Any,
) -> SendTaskFailureOutput:
    outcome = CallbackOutcomeFailure(callback_id=task_token, error=error, cause=cause)
    _endpoint(self, context, task_token).notify(outcome)
    return SendTaskFailureOutput()


def send_task_heartbeat(self: Any, context: RequestContext, task_token: str, **_kwargs: Any) -> SendTaskHeartbeatOutput:
    _endpoint(self, context, task_token).notify_heartbeat()
    return SendTaskHeartbeatOutput()


def _endpoint(provider: Any, context: RequestContext, token: str) -> CallbackEndpoint:
    """What waits for the token. Raises InvalidToken for an unknown one, TaskTimedOut for one whose task has ended."""
    for execution in list(provider.get_store(context).executions.values()):
        env = execution.exec_worker.env if execution.exec_worker else None
        endpoint = env.callback_pool_manager.get(token) if env else None
        if endpoint is None:
            continue
        ended = execution.exec_status != ExecutionStatus.RUNNING
        if ended or endpoint.consumer_error is not None or endpoint.get_outcome() is not None:
            raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")
        return endpoint
    raise InvalidToken("Invalid token")
