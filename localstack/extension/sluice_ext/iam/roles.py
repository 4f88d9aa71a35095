"""The policies of a role, and its permissions boundary, as they are deployed now."""

from functools import lru_cache
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends

from sluice_ext.caller.sessions import account_of
from sluice_ext.iam import policy


def policies_of(role_arn: str) -> list[Any]:
    """Statements of the role's inline and attached policies; empty when there is no such role."""
    role = _role(role_arn)
    if role is None:
        return []
    documents = [*list(role.policies.values()), *(p.document for p in list(role.managed_policies.values()))]
    return [statement for document in documents for statement in statements_of(document)]


def boundary_of(role_arn: str) -> str:
    """ARN of the role's permissions boundary; empty when it has none."""
    role = _role(role_arn)
    return str(role.permissions_boundary_arn or "") if role else ""


def boundary_statements(role_arn: str, boundary: str) -> tuple[Any, ...]:
    """Statements of a role's boundary; none, so that nothing is allowed, when the policy is gone.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    """
    found = iam_backends[account_of(role_arn)][role_arn.split(":")[1]].managed_policies.get(boundary)
    return statements_of(found.document) if found else ()


def _role(role_arn: str) -> Any | None:
    try:
        return iam_backends[account_of(role_arn)][role_arn.split(":")[1]].get_role(role_arn.rsplit("/", 1)[-1])
    except NotFoundException:
        return None


@lru_cache(maxsize=1024)
def statements_of(document: str) -> tuple[Any, ...]:
    """The statements of a policy (JSON), parsed once."""
    return tuple(policy.statements(document))
