"""Fault control: make the n-th call of a function fail or wait, or kill the function at it.

A fault (JSON): `function` (name) or `role` (name or ARN), `service`, `operation`, `nth` (default 1), `times`
(default 1, 0 = for ever), `about` (a list of strings, one of which must occur in the call's parameters), `action`.
A field that is left out matches every call. With `share` (0 to 1) the fault hits that share of the calls it counts from
the nth on, chosen by `seed` (a string): the same seed and order of calls give the same choice. Actions:

| action | effect |
|---|---|
| error:<code> | the call is refused with this error code and does nothing |
| cancel:<codes> | a DynamoDB transaction is cancelled; the codes are its items' reasons, with commas between |
| delay:<ms> | the call is carried out after this time |
| kill-before | the function's process is killed; the call is not carried out |
| kill-after | the call is carried out, then the process is killed before it gets the answer |

Besides AWS calls there is one more: service `lambda`, operation `Return`, a function's answer to the service. Every
action but `delay` on it kills the function when its work is done, before the service gets the answer.
"""

import itertools
import random
import threading
from dataclasses import dataclass, field
from typing import Any

from sluice_ext.caller.functions import Caller

# Reasons of a cancelled transaction and their messages.
CANCELLATIONS = {
    "None": "",
    "ConditionalCheckFailed": "The conditional request failed",
    "ItemCollectionSizeLimitExceeded": "Collection size exceeded.",
    "TransactionConflict": "Transaction is ongoing for the item",
    "ProvisionedThroughputExceeded": (
        "The level of configured provisioned throughput for the table was exceeded. "
        "Consider increasing your provisioning level with the UpdateTable API"
    ),
    "ThrottlingError": "Throughput exceeds the current capacity of your table or index",
    "ValidationError": "One or more parameter values were invalid.",
}
_TRANSACTIONS = ("TransactWriteItems", "TransactGetItems", "ExecuteTransaction")
_ids = itertools.count(1)
_lock = threading.Lock()
_faults: list["Fault"] = []


class InvalidFault(ValueError):
    """The description of a fault is not valid; the message says why."""


@dataclass
class Fault:
    """One fault, with the number of calls it counted (``seen``) and hit (``hits``)."""

    action: str
    function: str = ""
    role: str = ""
    service: str = ""
    operation: str = ""
    nth: int = 1
    times: int = 1
    about: list[str] = field(default_factory=list)
    share: float = 1.0
    seed: str = ""
    id: int = field(default_factory=lambda: next(_ids))
    seen: int = 0
    hits: int = 0

    @classmethod
    def parse(cls, body: Any) -> "Fault":
        """From JSON. Raises InvalidFault with the reason."""
        if not isinstance(body, dict):
            raise InvalidFault("a fault is a JSON object")
        known = {"action", "function", "role", "service", "operation", "nth", "times", "about", "share", "seed"}
        if unknown := set(body) - known:
            raise InvalidFault(f"unknown fields: {', '.join(sorted(unknown))}")
        kind, _, argument = str(body.get("action", "")).partition(":")
        if kind == "delay" and not argument.isdigit():
            raise InvalidFault("delay needs milliseconds, for example delay:500")
        if kind == "error" and not argument:
            raise InvalidFault("error needs a code, for example error:ThrottlingException")
        if kind == "cancel" and not set(argument.split(",")) <= set(CANCELLATIONS):
            raise InvalidFault(f"cancel needs reasons with commas between: {', '.join(CANCELLATIONS)}")
        if kind not in ("cancel", "delay", "error", "kill-before", "kill-after"):
            raise InvalidFault("action must be error:<code>, cancel:<codes>, delay:<ms>, kill-before or kill-after")
        for name in ("nth", "times"):
            if not isinstance(body.get(name, 1), int) or body.get(name, 1) < (name == "nth"):
                raise InvalidFault(f"{name} must be a number")
        about = body.get("about", [])
        if not isinstance(about, list) or not all(isinstance(text, str) and text for text in about):
            raise InvalidFault("about must be a list of strings")
        share = body.get("share", 1.0)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise InvalidFault("share must be between 0 and 1")
        return cls(**body)

    def matches(self, caller: Caller, service: str, operation: str, parameters: str) -> bool:
        """Whether the fault counts this call."""
        if self.function and self.function not in (caller.function_name, caller.function_arn):
            return False
        if self.role and self.role not in (caller.role_arn, caller.role_arn.rsplit("/", 1)[-1]):
            return False
        same_service = not self.service or self.service.lower() == service.lower()
        if not same_service or (self.operation and self.operation.lower() != operation.lower()):
            return False
        if self.action.startswith("cancel:") and operation not in _TRANSACTIONS:
            return False
        return not self.about or any(text in parameters for text in self.about)

    def due(self) -> bool:
        """Whether the fault hits the call that was just counted."""
        if self.seen < self.nth or (self.times and self.seen >= self.nth + self.times):
            return False
        return self.share >= 1 or random.Random(f"{self.seed}/{self.seen}").random() < self.share

    def to_json(self) -> dict[str, Any]:
        """As GET shows it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def add(fault: Fault) -> Fault:
    """Make the fault count calls from now on."""
    with _lock:
        _faults.append(fault)
    return fault


def listed() -> list[dict[str, Any]]:
    """All faults with their counters."""
    with _lock:
        return [fault.to_json() for fault in _faults]


def clear() -> int:
    """Remove all faults; returns how many there were."""
    with _lock:
        removed = len(_faults)
        _faults.clear()
        return removed


def count(caller: Caller, service: str, operation: str, parameters: Any) -> str | None:
    """Count this call. Returns the action of the first fault that hits it, if any.

    ``parameters``: the request's parameters, or for ``Return`` the function's event.
    """
    hit = None
    if not _faults:
        return None
    text = str(parameters)
    with _lock:
        for fault in _faults:
            # `Return` is not an AWS call: only a fault that names it counts it.
            if operation == "Return" and fault.operation.lower() != "return":
                continue
            if not fault.matches(caller, service, operation, text):
                continue
            fault.seen += 1
            if hit is None and fault.due():
                fault.hits += 1
                hit = fault.action
    return hit
