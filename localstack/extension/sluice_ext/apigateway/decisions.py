"""The answers of Lambda authorizers: their form, and the time for which they are kept. Pure: no engine.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
"""

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

from sluice_ext.iam import policy

_MAX_KEPT: Final = 10_000
_VERSIONS: Final = ("2012-10-17", "2008-10-17")


class Invalid(Exception):
    """An answer that API Gateway takes for an error of the configuration."""


@dataclass(frozen=True)
class Granted:
    """Whom an authorizer recognised, and what that one may call. ``context``: flat, every value a text."""

    principal: str
    statements: tuple[Any, ...]
    context: dict[str, str]
    usage_key: str


def granted(answer: Any) -> Granted:
    """The answer of a function. Raises Invalid."""
    if not isinstance(answer, dict):
        raise Invalid("its answer is no object")
    principal, document = answer.get("principalId"), answer.get("policyDocument")
    if not isinstance(principal, str) or not principal:
        raise Invalid("its answer has no principalId")
    if not isinstance(document, dict):
        raise Invalid("its answer has no policyDocument")
    if document.get("Version", _VERSIONS[1]) not in _VERSIONS:
        raise Invalid(f"its policy has the version {document['Version']}")
    found = policy.statements(document)
    for statement in found:
        _check_statement(statement)
    context = answer.get("context") or {}
    if not isinstance(context, dict) or not all(isinstance(v, str | int | float | bool) for v in context.values()):
        raise Invalid("its context is no object of texts, numbers and booleans")
    return Granted(
        principal,
        tuple(found),
        {name: str(v).lower() if isinstance(v, bool) else str(v) for name, v in context.items()},
        str(answer.get("usageIdentifierKey") or ""),
    )


def _check_statement(statement: Any) -> None:
    if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
        raise Invalid("a statement of its policy has no Effect of Allow or Deny")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        value = statement.get(one, statement.get(other))
        texts = value if isinstance(value, list) else [value]
        if not texts or not all(isinstance(text, str) and text for text in texts):
            raise Invalid(f"a statement of its policy has no {one}")
    if not isinstance(statement.get("Condition", {}), dict):
        raise Invalid("a statement of its policy has a Condition that is no object")


class Cache:
    """Answers by caller, for their time to live. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Hashable, tuple[float, Granted]] = {}

    def get(self, key: Hashable, now: float | None = None) -> Granted | None:
        """What is kept for this key and is not too old."""
        until, found = self._kept.get(key, (0.0, None))
        return found if found is not None and until > (time.monotonic() if now is None else now) else None

    def put(self, key: Hashable, found: Granted, seconds: float, now: float | None = None) -> None:
        """Keep it for so many seconds."""
        moment = time.monotonic() if now is None else now
        with self._lock:
            if len(self._kept) >= _MAX_KEPT:
                self._kept = {name: kept for name, kept in self._kept.items() if kept[0] > moment}
            if len(self._kept) < _MAX_KEPT:
                self._kept[key] = (moment + seconds, found)

    def forget(self, api: str, stage: str) -> None:
        """Drop what is kept for a stage. The key begins with these two."""
        with self._lock:
            self._kept = {k: v for k, v in self._kept.items() if not (isinstance(k, tuple) and k[:2] == (api, stage))}


CACHE: Final = Cache()
