"""ClientRequestToken of TransactWriteItems: a repeated request within ten minutes changes nothing.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from sluice_ext.dynamodb.errors import DynamoError
from sluice_ext.dynamodb.requests import constraint, violated

_VALID_SECONDS = 600.0
_LENGTH = 36
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


def idempotent(call: Callable[[Any, dict[str, Any]], Any]) -> Callable[[Any, dict[str, Any]], Any]:
    """Wrap the operation. Callers hold the provider's lock."""

    def once(backend: Any, body: dict[str, Any]) -> Any:
        token = body.get("ClientRequestToken")
        if not token:
            return call(backend, body)
        if len(token) > _LENGTH:
            raise violated([constraint(token, "clientRequestToken", f"have length less than or equal to {_LENGTH}")])
        key = (backend.account_id, backend.region_name, token)
        digest = hashlib.sha256(
            json.dumps(body.get("TransactItems") or body.get("TransactStatements"), sort_keys=True).encode()
        ).hexdigest()
        now = time.time()
        known = TOKENS.digest(key, now)
        if known is not None:
            if known != digest:
                raise DynamoError(
                    "IdempotentParameterMismatchException",
                    "The request uses the same client token as a previous, but non-identical request.",
                )
            return {}
        answer = call(backend, body)
        TOKENS.add(key, now, digest)
        return answer

    return once
