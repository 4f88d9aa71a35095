"""Who an access key belongs to, and what the policies of a role say now."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends

from sluice_ext.executor.identity import caller_of
from sluice_ext.iam import policy

# Sessions that services opened, apart from those of functions: a state machine opens one for each task.
_MOST_SESSIONS = 50_000


@dataclass(frozen=True)
class Session:
    """A role that a service of the engine works in. ``name`` is the session's, for messages."""

    role_arn: str
    name: str

    @property
    def principal(self) -> str:
        """ARN of the session as AWS's messages name it."""
        partition, account = self.role_arn.split(":")[1], account_of(self.role_arn)
        return f"arn:{partition}:sts::{account}:assumed-role/{self.role_arn.rsplit('/', 1)[-1]}/{self.name}"


_sessions: OrderedDict[str, Session] = OrderedDict()
_lock = threading.Lock()


def remember(access_key: str, session: Session) -> None:
    """A service (Step Functions, EventBridge, ...) assumed a role and got this key."""
    with _lock:
        _sessions[access_key] = session
        while len(_sessions) > _MOST_SESSIONS:
            _sessions.popitem(last=False)


def session_of(access_key: str | None) -> Session | None:
    """The role behind a key that the engine itself gave to a function or a service; None for anybody else's."""
    caller = caller_of(access_key)
    if caller:
        return Session(caller.role_arn, caller.function_name)
    return _sessions.get(access_key or "")


def account_of(role_arn: str) -> str:
    """Account id in a role's ARN."""
    return role_arn.split(":")[4]


def policies_of(role_arn: str) -> list[Any]:
    """Statements of the role's own and attached policies; none when there is no such role."""
    backend = iam_backends[account_of(role_arn)][role_arn.split(":")[1]]
    try:
        role = backend.get_role(role_arn.rsplit("/", 1)[-1])
    except NotFoundException:
        return []
    documents = [*list(role.policies.values()), *(p.document for p in list(role.managed_policies.values()))]
    return [statement for document in documents for statement in _statements(document)]


@lru_cache(maxsize=1024)
def _statements(document: str) -> tuple[Any, ...]:
    return tuple(policy.statements(document))
