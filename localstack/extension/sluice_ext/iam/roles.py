"""The policies of a role, and its permissions boundary, as they are deployed now."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends

from sluice_ext.caller.sessions import account_of
from sluice_ext.iam import policy


@dataclass(frozen=True)
class Rights:
    """Statements of a role's inline and attached policies, and of its permissions boundary; None when it has none.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    """

    policies: list[Any]
    boundary: tuple[Any, ...] | None = None


def found(role_arn: str) -> Any | None:
    """moto's role; None when there is none."""
    try:
        return _backend(role_arn).get_role(role_arn.rsplit("/", 1)[-1])
    except NotFoundException:
        return None


def rights_of(role_arn: str) -> Rights:
    """A role that does not exist has none. A boundary whose policy is gone allows nothing."""
    role = found(role_arn)
    if role is None:
        return Rights([])
    documents = [*list(role.policies.values()), *(p.document for p in list(role.managed_policies.values()))]
    own = [statement for document in documents for statement in statements_of(document)]
    if not role.permissions_boundary_arn:
        return Rights(own)
    limit = _backend(role_arn).managed_policies.get(role.permissions_boundary_arn)
    return Rights(own, statements_of(limit.document) if limit else ())


def boundary_of(role_arn: str) -> str:
    """ARN of the role's permissions boundary; empty when it has none."""
    role = found(role_arn)
    return str(role.permissions_boundary_arn or "") if role else ""


def _backend(role_arn: str) -> Any:
    return iam_backends[account_of(role_arn)][role_arn.split(":")[1]]


@lru_cache(maxsize=1024)
def statements_of(document: str) -> tuple[Any, ...]:
    """The statements of a policy (JSON), parsed once."""
    return tuple(policy.statements(document))
