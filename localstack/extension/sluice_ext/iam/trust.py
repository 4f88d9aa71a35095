"""Whether a service may assume a role, by the role's trust policy.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from collections.abc import Sequence
from typing import Any, Final

from sluice_ext import settings
from sluice_ext.iam import policy

_ASSUME: Final = "sts:AssumeRole"


def assumable(role: str, account: str, services: Sequence[str], must_exist: bool = False, source_arn: str = "") -> bool:
    """Whether the role (its ARN) lets one of the services assume it.

    One that does not exist does where policies are not enforced, unless it must exist. ``source_arn``: what the service
    does it for, which a policy may ask for as aws:SourceArn.
    """
    # moto's IAM is large: it is loaded when it is asked.
    from sluice_ext.iam import roles

    found = roles.found(role)
    if found is None:
        return not (must_exist or settings.IAM_ENFORCED)
    context = {"aws:sourceaccount": account} | ({"aws:sourcearn": source_arn} if source_arn else {})
    statements = [_trusting(one, services) for one in policy.statements(found.assume_role_policy_document or "{}")]
    return policy.decide(statements, _ASSUME, policy.UNKNOWN, context) == policy.ALLOWED


def _trusting(statement: Any, services: Sequence[str]) -> dict[str, Any]:
    """The statement, without its actions when it is about others than these services."""
    principal = statement.get("Principal") or {}
    named = policy.listed(principal if isinstance(principal, str) else principal.get("Service", []))
    about = "*" in named or any(one in named for one in services)
    return dict(statement) if about else dict(statement) | {"Action": []}
