"""The call record (which function called what, in order) and the effect of faults, both in the gateway's chain."""

import threading
import time
from collections import deque
from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.handlers import run_custom_response_handlers, serve_custom_service_request_handlers
from localstack.http import Response
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

from sluice_ext.caller.functions import caller_of
from sluice_ext.faults import rules
from sluice_ext.faults.cancelling import cancelled

_MAX_CALLS = 200_000
_record: deque[dict[str, Any]] = deque(maxlen=_MAX_CALLS)
_lock = threading.Lock()
_number = 0

# The request parameters that are recorded: they name what the call was about.
_SUBJECTS = ("Bucket", "Key", "TableName", "QueueUrl", "TopicArn", "FunctionName", "logGroupName", "VersionId")
_STATUS = {
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "InternalError": 500,
    "InternalServerError": 500,
    "AccessDenied": 403,
    # As S3 answers, also to HEAD, which has no body: a client sees the status only.
    "NoSuchKey": 404,
    "NoSuchVersion": 404,
    "NoSuchBucket": 404,
    "NoSuchUpload": 404,
    "ConditionalRequestConflict": 409,
    "OperationAborted": 409,
    "PreconditionFailed": 412,
}


def install() -> None:
    """Join the chain: after the request is parsed, and before the response is sent."""
    serve_custom_service_request_handlers.append(_on_request)
    run_custom_response_handlers.append(_on_response)


def since(number: int) -> dict[str, Any]:
    """Calls after ``number``, and the number for the next query."""
    with _lock:
        return {"calls": [dict(call) for call in _record if call["number"] > number], "next": _number}


def _on_request(_chain: Any, context: RequestContext, _response: Response) -> None:
    global _number
    if context.is_internal_call or context.operation is None:
        return
    caller = caller_of(extract_access_key_id_from_auth_header(context.request.headers))
    if caller is None:
        return
    service, operation = context.service.service_name, context.operation.name
    parameters = context.service_request or {}
    with _lock:
        # Under one lock, so that the record has the order in which faults counted the calls.
        _number += 1
        action = rules.count(caller, service, operation, parameters)
        call = {
            "number": _number,
            "time": time.time(),
            "function": caller.function_name,
            "role": caller.role_arn,
            "service": service,
            "operation": operation,
            "parameters": {name: str(parameters[name]) for name in _SUBJECTS if parameters.get(name)},
            "status": None,
            "fault": action,
        }
        _record.append(call)
    context.sluice_call = call
    kind, _, argument = (action or "").partition(":")
    if kind == "delay":
        time.sleep(int(argument) / 1000)
    elif kind == "error":
        status = _STATUS.get(argument, 400)
        raise CommonServiceException(argument, "Refused by fault control", status_code=status, sender_fault=True)
    elif kind == "cancel":
        raise cancelled(argument, parameters)
    elif kind == "kill-before":
        caller.executor.kill_process()
        raise CommonServiceException("ServiceUnavailable", "Caller killed by fault control", status_code=503)
    elif kind == "kill-after":
        context.sluice_kill = caller.executor


def _on_response(_chain: Any, context: RequestContext, response: Response) -> None:
    call = getattr(context, "sluice_call", None)
    if call is not None:
        call["status"] = response.status_code
    executor = getattr(context, "sluice_kill", None)
    if executor is not None:
        executor.kill_process()
