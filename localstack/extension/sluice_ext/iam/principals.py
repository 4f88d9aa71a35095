"""Who a resource's own policy is about, and what it decides. Pure: no engine, no network.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sluice_ext.iam import policy

EVERYONE: Final = "*"


@dataclass(frozen=True)
class Caller:
    """A service (``services``: the names of its principal) or a role's session (ARNs of both) of an account."""

    account: str
    services: tuple[str, ...] = ()
    role: str = ""
    session: str = ""


def service(name: str, account: str, *more: str) -> Caller:
    """The caller that a service is, for example `service("sns.amazonaws.com", "123456789012")`."""
    return Caller(account, (name, *more))


def decide(
    statements: Iterable[policy.Statement],
    caller: Caller,
    action: str,
    resource: str,
    context: Mapping[str, str] | None = None,
    delegated: bool = False,
) -> str:
    """ALLOWED, DENIED or NOT_ALLOWED by a resource's policy.

    The account as a principal of an Allow leaves the decision to its identity policies; ``delegated`` counts it, too.
    """
    about = [one for one in statements if _is_about(one, caller, delegated)]
    return policy.decide(about, action, resource, context)


def _is_about(statement: policy.Statement, caller: Caller, delegated: bool) -> bool:
    denies = statement.get("Effect") == "Deny"
    if "NotPrincipal" in statement:
        # AWS exempts a role from a Deny only if its account is named, too.
        named = statement["NotPrincipal"]
        exempt = _names(named, caller) and (not caller.role or _has_account(named, caller))
        return not exempt if denies else not (_names(named, caller) or _has_account(named, caller))
    named = statement.get("Principal") or {}
    return _names(named, caller) or ((denies or delegated) and _has_account(named, caller))


def _names(principal: Any, caller: Caller) -> bool:
    """Whether the caller itself is named, or everyone."""
    if principal == EVERYONE:
        return True
    if not isinstance(principal, Mapping):
        return False
    accounts = policy.listed(principal.get("AWS", []))
    if EVERYONE in accounts or (caller.role and (caller.role in accounts or caller.session in accounts)):
        return True
    return any(name in policy.listed(principal.get("Service", [])) for name in caller.services)


def _has_account(principal: Any, caller: Caller) -> bool:
    """Whether the account of a role is named, by its id or by the ARN of its root. Services are of no account."""
    if not caller.role or not isinstance(principal, Mapping):
        return False
    named: Sequence[str] = policy.listed(principal.get("AWS", []))
    root = f":iam::{caller.account}:root"
    return caller.account in named or any(one.startswith("arn:") and one.endswith(root) for one in named)
