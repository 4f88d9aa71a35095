"""The policies of a role as they are deployed now."""

from functools import lru_cache
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends

from sluice_ext.caller.sessions import account_of
from sluice_ext.iam import policy


def policies_of(role_arn: str) -> list[Any]:
    """Statements of the role's inline and attached policies; empty when there is no such role."""
    backend = iam_backends[account_of(role_arn)][role_arn.split(":")[1]]
    try:
        role = backend.get_role(role_arn.rsplit("/", 1)[-1])
    except NotFoundException:
        return []
    documents = [*list(role.policies.values()), *(p.document for p in list(role.managed_policies.values()))]
    return [statement for document in documents for statement in statements_of(document)]


@lru_cache(maxsize=1024)
def statements_of(document: str) -> tuple[Any, ...]:
    """The statements of a policy (JSON), parsed once."""
    return tuple(policy.statements(document))
