"""What an error of a target means to EventBridge: its code in a dead-letter message, and whether it is tried again.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-rule-dlq
Pure: no engine, no network.
"""

import re
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError

# Code of the target's error -> (EventBridge's code, whether it is tried again). The first that matches counts.
_CODES: Final = [
    (re.compile(pattern), code, again)
    for pattern, code, again in (
        (r"Throttl|TooManyRequests|SlowDown|RequestLimit|ProvisionedThroughput", "THROTTLING", True),
        (r"AccessDenied|Authorization|NotAuthorized|Forbidden|KMS.*Denied", "NO_PERMISSIONS", False),
        (r"NonExistent|NotFound|DoesNotExist|NoSuch|QueueDeleted", "NO_RESOURCE", False),
        (r"AlreadyExists", "RESOURCE_ALREADY_EXISTS", False),
        (r"LimitExceeded|QuotaExceeded", "RESOURCE_LIMIT_EXCEEDED", True),
        (r"InvalidExecutionInput|InvalidJson|InvalidRequestContent", "INVALID_JSON", False),
        (r"Invalid|Validation|MissingParameter|TooLarge|TooLong", "INVALID_PARAMETER", False),
    )
]


@dataclass(frozen=True)
class Failure:
    """``code`` and ``message`` as a dead-letter message has them; ``again``: EventBridge tries the target again."""

    code: str
    message: str
    again: bool


def of(error: Exception) -> Failure:
    """The failure that an exception of a target's sender is."""
    if isinstance(error, RoleNotAssumed):
        return Failure("FAILED_TO_ASSUME_ROLE", str(error), False)
    if isinstance(error, NotImplementedError):
        return Failure("SDK_CLIENT_ERROR", f"This engine does not deliver to such a target: {error}", False)
    if not isinstance(error, ClientError):
        return Failure("INTERNAL_ERROR", str(error) or type(error).__name__, True)
    code, message = str(error.response["Error"].get("Code")), str(error.response["Error"].get("Message"))
    for pattern, known, again in _CODES:
        if pattern.search(code):
            return Failure(known, message, again)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 500)
    # An error of the request is the same the next time.
    return Failure("ERROR_FROM_TARGET" if status >= 500 else "SDK_CLIENT_ERROR", message, status >= 500)


class RoleNotAssumed(PermissionError):
    """The role of the target does not let EventBridge assume it."""
