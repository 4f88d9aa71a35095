"""Whose access key is this? Each execution environment has credentials of its own, so every call can be told apart."""

import threading
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Caller:
    """A function (and its role) behind an access key. ``executor`` is the environment that holds the key."""

    function_name: str
    function_arn: str
    role_arn: str
    executor: Any


_callers: dict[str, Caller] = {}
_lock = threading.Lock()


def remember(access_key: str, caller: Caller) -> None:
    """The environment of ``caller`` was given ``access_key``."""
    with _lock:
        _callers[access_key] = caller


def forget(executor: Any) -> None:
    """The environment is gone."""
    with _lock:
        for key in [k for k, caller in _callers.items() if caller.executor is executor]:
            del _callers[key]


def caller_of(access_key: str | None) -> Caller | None:
    """The function whose environment holds this access key."""
    return _callers.get(access_key or "")
