"""ClientRequestToken of TransactWriteItems: a repeated request within ten minutes changes nothing.

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
_Token = tuple[str, str, str]


class Tokens:
    """(account, region, token) -> when it was used (Unix time), digest of the request; the oldest comes first.

    The provider has a lock per account and region; this is shared by all of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[_Token, tuple[float, str]] = {}

    def digest(self, token: _Token, now: float) -> str | None:
        """The digest of the request that used the token; None for one that is new or has expired."""
        with self._lock:
            while self._seen:
                oldest = next(iter(self._seen))
                if now - self._seen[oldest][0] <= _VALID_SECONDS:
                    break
                del self._seen[oldest]
            return self._seen[token][1] if token in self._seen else None

    def add(self, token: _Token, now: float, digest: str) -> None:
        """Record that a request used the token."""
        with self._lock:
            self._seen[token] = (now, digest)

    def dump(self) -> dict[_Token, tuple[float, str]]:
        """Everything, for a saved state."""
        with self._lock:
            return dict(self._seen)

    def load(self, saved: dict[_Token, tuple[float, str]]) -> None:
        """Restore what `dump` returned."""
        with self._lock:
            self._seen.update(saved)


TOKENS = Tokens()


def idempotent(call: Callable[[Any, Any], Response], locks: Any) -> Callable[[Any, Any], Response]:
    """Wrap the operation; ``locks`` are the provider's, one per account and region."""

    def once(context: Any, request: Any) -> Response:
        token = request.get("ClientRequestToken")
        if not token:
            return call(context, request)
        key = (context.account_id, context.region, token)
        content = json.dumps(request.get("TransactItems"), sort_keys=True, default=repr)
        digest = hashlib.sha256(content.encode()).hexdigest()
        now = time.time()
        with locks[(context.account_id, context.region)]:
            known = TOKENS.digest(key, now)
            if known is not None:
                if known != digest:
                    raise CommonServiceException(
                        "IdempotentParameterMismatchException",
                        "The request uses the same client token as a previous, but non-identical request.",
                        status_code=400,
                    )
                return Response(b"{}", 200, {"Content-Type": "application/x-amz-json-1.0"})
            response = call(context, request)
            if response.status_code == 200:
                TOKENS.add(key, now, digest)
            return response

    return once
