"""What an event source mapping of a queue may say.

https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-queueconfig

Replaced: `LambdaProvider.validate_event_source_mapping`, which accepts a batching window for a FIFO queue, a queue
whose visibility timeout is less than the function's timeout, and numbers out of their ranges; and
`validate_event_pattern`, which accepts operators that mappings do not have.
"""

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError
from localstack.aws.api import CommonServiceException
from localstack.aws.api.lambda_ import InvalidParameterValueException
from localstack.services.lambda_ import provider
from localstack.services.lambda_.event_source_mapping.pollers import poller
from localstack.services.lambda_.provider import LambdaProvider
from localstack.utils.aws.arns import parse_arn

from sluice_ext import patterns
from sluice_ext.delivery import mapping_filters
from sluice_ext.iam import behalf
from sluice_ext.patching import replace
from sluice_ext.sqs.queues import queue_of

_MAX_FILTERS: Final = 5
# Name in AWS's message, lowest and highest value.
_RANGES: Final = {
    "BatchSize": ("batchSize", 1, 10_000),
    "MaximumBatchingWindowInSeconds": ("maximumBatchingWindowInSeconds", 0, 300),
    "MaximumConcurrency": ("scalingConfig.maximumConcurrency", 2, 1000),
}


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def validate(self: Any, context: Any, request: Any) -> Any:
        check_numbers(request)
        found = original(self, context, request)
        source, version = request.get("EventSourceArn"), found[3]
        if source and parse_arn(source)["service"] == "sqs":
            _check_queue(source, version, request)
        return found

    def validate_with_reason(self: Any, context: Any, request: Any) -> Any:
        try:
            return validate(self, context, request)
        except (behalf.NotAllowed, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] != "AccessDenied":
                raise
            message = f"The function execution role does not have permissions to call ReceiveMessage on SQS ({error})"
            raise InvalidParameterValueException(message, Type="User") from None

    original = replace(
        LambdaProvider, "validate_event_source_mapping", validate_with_reason, expect="(self, context, request)"
    )
    replace(poller, "matches_event", mapping_filters.matches_event, expect="(event_pattern, event)")
    replace(provider, "validate_event_pattern", is_pattern, expect="(event_pattern)")


def is_pattern(event_pattern: str) -> bool:
    """Whether it is a pattern for mappings."""
    try:
        patterns.compile_pattern(event_pattern, patterns.MAPPING)
    except patterns.InvalidPattern:
        return False
    return True


def check_numbers(request: Mapping[str, Any]) -> None:
    """Raises ValidationException for a number out of its range, and an error for too many filters."""
    given = {**request, **(request.get("ScalingConfig") or {})}
    for name, (called, lowest, highest) in _RANGES.items():
        number = given.get(name)
        if number is None or lowest <= number <= highest:
            continue
        bound = f"less than or equal to {highest}" if number > highest else f"greater than or equal to {lowest}"
        raise CommonServiceException(
            "ValidationException",
            f"1 validation error detected: Value '{number}' at '{called}' failed to satisfy constraint: "
            f"Member must have value {bound}",
        )
    if len((request.get("FilterCriteria") or {}).get("Filters") or []) > _MAX_FILTERS:
        raise InvalidParameterValueException(f"A mapping can have at most {_MAX_FILTERS} filters.", Type="User")


def _check_queue(source: str, version: Any, request: Mapping[str, Any]) -> None:
    if source.endswith(".fifo") and request.get("MaximumBatchingWindowInSeconds"):
        raise InvalidParameterValueException("Batching window is not supported for FIFO queues.", Type="User")
    try:
        queue = queue_of(source)
    except LookupError:
        raise InvalidParameterValueException(
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
            "SQS Error Message: The specified queue does not exist.",
            Type="User",
        ) from None
    behalf.demand(version.config.role, behalf.POLL, source)
    if queue.visibility_timeout < version.config.timeout:
        raise InvalidParameterValueException(
            f"Queue visibility timeout: {queue.visibility_timeout} seconds is less than "
            f"Function timeout: {version.config.timeout} seconds",
            Type="User",
        )
