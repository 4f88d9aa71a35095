"""Which function made a call. Each execution environment has credentials of its own, so its calls can be identified."""

import threading
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Caller:
    """A function and its role. ``executor`` runs its execution environment; fault control kills that."""

    function_name: str
    function_arn: str
    role_arn: str
    executor: Any


_callers: dict[str, Caller] = {}
_lock = threading.Lock()


def remember(access_key: str, caller: Caller) -> None:
    """Record that ``access_key`` was given to the execution environment of ``caller``."""
    with _lock:
        _callers[access_key] = caller


def forget(executor: Any) -> None:
    """Forget the access keys of an execution environment that is stopped."""
    with _lock:
        for key in [k for k, caller in _callers.items() if caller.executor is executor]:
            del _callers[key]


def caller_of(access_key: str | None) -> Caller | None:
    """The function whose execution environment holds this access key; None for any other key."""
    return _callers.get(access_key or "")
