"""Whether IAM policy documents allow an action on a resource. Pure: no engine, no network.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

moto's own evaluator (moto/iam/access_control.py) is not used: it reads a pattern's dots and question marks as regular
expressions and a condition that does not hold as an explicit deny, and it ignores NotResource and the case of actions.
This one decides unknown things against the caller: an unknown condition operator or key never lets an Allow hold and
never stops a Deny. A key is known when the context has it, or when it is in `ABSENT`: no call here has it, as on AWS.
Policy variables (`${aws:...}`) are not replaced.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from sluice_ext.iam import condition_keys

ALLOWED, DENIED, NOT_ALLOWED = "allowed", "explicitly denied", "not allowed"
# For a resource that the caller of `decide` does not know: every pattern matches it.
UNKNOWN = ""
Statement = Mapping[str, Any]
# Keys that a call of this engine's single account has only if the context says so: there is no organization, no VPC
# endpoint and no user, and what acts for a service gives its source.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
ABSENT: frozenset[str] = frozenset(
    f"aws:{name}"
    for name in (
        "principalorgid", "principalorgpaths", "resourceorgid", "resourceorgpaths", "sourceorgid", "sourceorgpaths",
        "sourcevpc", "sourcevpce", "vpcsourceip", "multifactorauthpresent", "multifactorauthage", "username",
        "federatedprovider", "calledvia", "calledviafirst", "calledvialast", "sourcearn", "sourceaccount",
        "sourceowner", "principalservicename", "principalarn",
    )
) | condition_keys.KNOWN  # fmt: skip


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


def _like_arn(wanted: str, found: str) -> bool:
    """Each of the six parts between colons is compared for itself."""
    patterns, parts = wanted.split(":", 5), found.split(":", 5)
    return len(patterns) == len(parts) == 6 and all(map(matches, patterns, parts))


def _in_network(wanted: str, found: str) -> bool:
    return ipaddress.ip_address(found) in ipaddress.ip_network(wanted, strict=False)


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "stringequals": lambda wanted, found: wanted == found,
    "stringequalsignorecase": lambda wanted, found: wanted.lower() == found.lower(),
    "stringlike": _like,
    "arnequals": _like_arn,
    "arnlike": _like_arn,
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
    """All operators and keys must hold. ``unknown``: the result of an operator or key that is not known."""
    return all(
        _holds(operator.lower(), listed(wanted), key.lower(), context, unknown)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _holds(operator: str, wanted: list[str], key: str, context: Mapping[str, str], unknown: bool) -> bool:
    found = context.get(key)
    # Every key of the context has one value, so these say only what a missing one means:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
    quantifier, _, plain = operator.rpartition(":")
    if quantifier not in ("", "foranyvalue", "forallvalues") or (found is None and key not in ABSENT):
        return unknown
    if plain == "null":
        return (found is None) == (wanted[0].lower() == "true")
    optional = plain.endswith("ifexists") or quantifier == "forallvalues"
    plain = plain.removesuffix("ifexists")
    negated = plain in _NEGATED
    test = _TESTS.get(_NEGATED.get(plain, plain))
    if test is None:
        return unknown
    if found is None:
        return optional or (negated and not quantifier)
    try:
        return any(test(value, found) for value in wanted) != negated
    except ValueError:
        return unknown
