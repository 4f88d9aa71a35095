"""ClientRequestToken of TransactWriteItems: the same request again within ten minutes changes nothing.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from localstack.aws.api import CommonServiceException
from localstack.http import Response

_VALID_SECONDS = 600.0
# Regions have locks of their own, this is of all of them.
_changing = threading.Lock()
# Oldest first: each is added at the end with the time then.
_seen: dict[tuple[str, str, str], tuple[float, str]] = {}


def idempotent(call: Callable[[Any, Any], Response], locks: Any) -> Callable[[Any, Any], Response]:
    """Wrap the operation; ``locks`` are the provider's, one for each account and region."""

    def once(context: Any, request: Any) -> Response:
        token = request.get("ClientRequestToken")
        if not token:
            return call(context, request)
        key = (context.account_id, context.region, token)
        content = json.dumps(request.get("TransactItems"), sort_keys=True, default=repr)
        digest = hashlib.sha256(content.encode()).hexdigest()
        now = time.monotonic()
        with locks[(context.account_id, context.region)]:
            _forget(now)
            if key in _seen:
                if _seen[key][1] != digest:
                    raise CommonServiceException(
                        "IdempotentParameterMismatchException",
                        "The request uses the same client token as a previous, but non-identical request.",
                        status_code=400,
                    )
                return Response(b"{}", 200, {"Content-Type": "application/x-amz-json-1.0"})
            response = call(context, request)
            if response.status_code == 200:
                with _changing:
                    _seen[key] = (now, digest)
            return response

    return once


def _forget(now: float) -> None:
    """Drop what is over; stops at the first that is not."""
    with _changing:
        while _seen:
            oldest = next(iter(_seen))
            if now - _seen[oldest][0] <= _VALID_SECONDS:
                return
            del _seen[oldest]
