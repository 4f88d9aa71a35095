"""What a request may hold: names, sizes and JSON, checked as on AWS.

Names have 1 to 80 characters without blanks, brackets, wildcards and control characters. An input or output has 256 KiB
(262,144 bytes) at most. A name is free again 90 days after its execution ended.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from localstack.aws.api.stepfunctions import InvalidExecutionInput, ValidationException
from localstack.services.stepfunctions import quotas
from localstack.services.stepfunctions.provider import StepFunctionsProvider

from sluice_ext.patching import replace

MAX_BYTES: Final = 262_144
_REUSE: Final = timedelta(days=90)


def check_length(name: str, text: str) -> None:
    """Raises ValidationException for an input or output over the limit."""
    if len(text.encode()) > MAX_BYTES:
        raise ValidationException(
            f"1 validation error detected: Value at '{name}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_BYTES}"
        )


def parsed(text: str) -> Any:
    """The value of a JSON text; NaN and Infinity are no JSON. Raises ValueError."""
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def start(self: Any, context: Any, state_machine_arn: str, *rest: Any, **options: Any) -> Any:
        _check_start(self, options.get("name"), options.get("input"))
        return original_start(self, context, state_machine_arn, *rest, **options)

    def start_sync(self: Any, context: Any, state_machine_arn: str, *rest: Any, **options: Any) -> Any:
        _check_start(self, options.get("name"), options.get("input"))
        return original_sync(self, context, state_machine_arn, *rest, **options)

    def create(self: Any, context: Any, request: Any, **options: Any) -> Any:
        self._validate_activity_name(request["name"])
        return original_create(self, context, request, **options)

    def same(self: Any, execution: Any, state_machine: Any, name: str, input_data: Any) -> Any:
        if execution is not None and execution.stop_date and datetime.now(UTC) - execution.stop_date > _REUSE:
            return None
        return original_same(self, execution, state_machine, name, input_data)

    original_start = replace(StepFunctionsProvider, "start_execution", start)
    original_sync = replace(StepFunctionsProvider, "start_sync_execution", start_sync)
    original_create = replace(StepFunctionsProvider, "create_state_machine", create)
    expect = "(self, execution, state_machine, name, input_data)"
    original_same = replace(StepFunctionsProvider, "_idempotent_start_execution", same, expect=expect)
    replace(quotas, "MAX_STATE_SIZE_UTF8_BYTES", MAX_BYTES + 1)  # LocalStack wants fewer bytes, not as many


def _check_start(provider: Any, name: str | None, text: str | None) -> None:
    if name is not None:
        provider._validate_activity_name(name)
    if text is None:
        return
    check_length("input", text)
    try:
        parsed(text)
    except ValueError as error:
        raise InvalidExecutionInput(f"Invalid State Machine Execution Input: '{error}'") from error
