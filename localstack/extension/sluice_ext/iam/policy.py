"""Whether IAM policy documents allow an action on a resource. Pure: no engine, no network.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

moto's own evaluator (moto/iam/access_control.py) is not used: it reads a pattern's dots and question marks as regular
expressions and a condition that does not hold as an explicit deny, and it ignores NotResource and the case of actions.
This one decides unknown things against the caller: an unknown condition operator never lets an Allow hold and never
stops a Deny. Policy variables (`${aws:...}`) are not replaced.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

ALLOWED, DENIED, NOT_ALLOWED = "allowed", "explicitly denied", "not allowed"
# For a resource that the caller of `decide` does not know: every pattern matches it.
UNKNOWN = ""
Statement = Mapping[str, Any]


def statements(document: str | Mapping[str, Any]) -> list[Statement]:
    """The statements of a policy document (JSON text or parsed)."""
    parsed = json.loads(document) if isinstance(document, str) else document
    found = parsed.get("Statement", [])
    return list(found) if isinstance(found, list) else [found]


def decide(policy: Iterable[Statement], action: str, resource: str, context: Mapping[str, str] | None = None) -> str:
    """ALLOWED, DENIED or NOT_ALLOWED. ``context`` holds condition keys in lower case and their values."""
    outcome = NOT_ALLOWED
    for statement in policy:
        if not (covers_action(statement, action) and covers_resource(statement, resource)):
            continue
        effect = statement.get("Effect")
        if not _conditions_met(statement.get("Condition") or {}, context or {}, unknown=effect == "Deny"):
            continue
        if effect == "Deny":
            return DENIED
        if effect == "Allow":
            outcome = ALLOWED
    return outcome


def covers_action(statement: Statement, action: str) -> bool:
    """Whether Action or NotAction covers this action; case does not matter."""
    if "NotAction" in statement:
        return not any(matches(p.lower(), action.lower()) for p in listed(statement["NotAction"]))
    return any(matches(p.lower(), action.lower()) for p in listed(statement.get("Action", [])))


def covers_resource(statement: Statement, resource: str) -> bool:
    """Whether Resource or NotResource covers this ARN."""
    if resource == UNKNOWN:
        return True
    if "NotResource" in statement:
        return not any(matches(p, resource) for p in listed(statement["NotResource"]))
    return any(matches(p, resource) for p in listed(statement.get("Resource", [])))


def listed(value: Any) -> list[str]:
    """A value of a policy as a list; policies may write a single value without one."""
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in (value if isinstance(value, list) else [value])]


def matches(pattern: str, text: str) -> bool:
    """``*`` is any number of characters, ``?`` is one, everything else is itself."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(c) or re.escape(c) for c in pattern), re.DOTALL)


# Conditions: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html


def _like(wanted: str, found: str) -> bool:
    return matches(wanted, found)


def _in_network(wanted: str, found: str) -> bool:
    return ipaddress.ip_address(found) in ipaddress.ip_network(wanted, strict=False)


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "stringequals": lambda wanted, found: wanted == found,
    "stringequalsignorecase": lambda wanted, found: wanted.lower() == found.lower(),
    "stringlike": _like,
    "arnequals": _like,
    "arnlike": _like,
    "bool": lambda wanted, found: wanted.lower() == found.lower(),
    "numericequals": lambda wanted, found: float(wanted) == float(found),
    "numericlessthan": lambda wanted, found: float(found) < float(wanted),
    "numericlessthanequals": lambda wanted, found: float(found) <= float(wanted),
    "numericgreaterthan": lambda wanted, found: float(found) > float(wanted),
    "numericgreaterthanequals": lambda wanted, found: float(found) >= float(wanted),
    "ipaddress": _in_network,
}
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "numericnotequals": "numericequals",
    "notipaddress": "ipaddress",
}


def _conditions_met(conditions: Mapping[str, Any], context: Mapping[str, str], unknown: bool) -> bool:
    """All operators and keys must hold. ``unknown``: the result of an operator that is not in `_TESTS`."""
    return all(
        _holds(operator.lower(), listed(wanted), context.get(key.lower()), unknown)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _holds(operator: str, wanted: list[str], found: str | None, unknown: bool) -> bool:
    if operator == "null":
        return (found is None) == (wanted[0].lower() == "true")
    if operator.endswith("ifexists"):
        if found is None:
            return True
        operator = operator.removesuffix("ifexists")
    negated = operator in _NEGATED
    test = _TESTS.get(_NEGATED.get(operator, operator))
    if test is None:
        return unknown
    if found is None:
        return negated
    try:
        return any(test(value, found) for value in wanted) != negated
    except ValueError:
        return unknown
