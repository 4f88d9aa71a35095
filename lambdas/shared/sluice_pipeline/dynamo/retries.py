"""How a call to DynamoDB is tried again: conflicts a few times, throttles for some seconds.

The SDK retries throttles of a whole call three times and never a cancelled transaction; neither outlasts a table that
is scaling up. Waits grow exponentially with full jitter:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html#Programming.Errors.RetryAndBackoff
https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
"""

import random
import time
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError

from sluice_pipeline.runtime.errors import code_of

BUDGET_SECONDS: Final = 10.0  # for which a throttled call is tried; functions have at least twice that
CONFLICT_TRIES: Final = 8
_FIRST_WAIT: Final = 0.04  # seconds, at most
_LONGEST_WAIT: Final = 2.0
# As the error of a call, and as the reason why a transaction was cancelled. InternalServerError and
# TransactionInProgressException leave open whether the write took place, so only what may be repeated meets them here.
THROTTLES: Final = frozenset(
    (
        "ThrottlingError",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "TransactionInProgressException",
        "InternalServerError",
    )
)


class TransientError(RuntimeError):
    """The call may succeed later: SQS or the state machine is to retry the work."""


class Throttled(TransientError):
    """DynamoDB throttled a call for longer than its time budget."""


class TransactionRefused(RuntimeError):
    """DynamoDB cancelled a transaction because of conflicts again and again, or for a reason that no retry helps."""


class Retries:
    """The retries of one call. Conflicts are counted; throttles are not, they only have ``budget`` seconds.

    The budget begins with the first throttle, and again after progress.
    """

    def __init__(self, what: str, budget: float = BUDGET_SECONDS) -> None:
        self._what = what
        self._budget = budget
        self._conflicts = 0
        self._throttles = 0
        self._deadline = 0.0

    def conflict(self, cause: Exception | None = None) -> None:
        """Waits before the next try; raises TransactionRefused after the last."""
        self._conflicts += 1
        if self._conflicts == CONFLICT_TRIES:
            raise TransactionRefused(f"{self._what}: {CONFLICT_TRIES} tries met a conflict") from cause
        time.sleep(wait(self._conflicts))

    def throttled(self, cause: Exception | None = None) -> None:
        """Waits before the next try; raises Throttled when the budget does not allow another."""
        now = time.monotonic()
        if not self._throttles:
            self._deadline = now + self._budget
        self._throttles += 1
        seconds = wait(self._throttles)
        if now + seconds > self._deadline:
            raise Throttled(f"{self._what}: throttled {self._throttles} times in {self._budget:g} s") from cause
        time.sleep(seconds)

    def progress(self) -> None:
        """DynamoDB did a part of the work: the next throttle is a first one."""
        self._throttles = 0

    def call(self, operation: Callable[..., Any], **request: Any) -> Any:
        """The answer of an operation that may be repeated; raises Throttled, or ClientError for any other error."""
        while True:
            try:
                return operation(**request)
            except ClientError as error:
                if code_of(error) not in THROTTLES:
                    raise
                self.throttled(error)


def wait(attempt: int) -> float:
    """Seconds before the try after this one (1, 2, ...)."""
    return random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempt - 1, 10)))
