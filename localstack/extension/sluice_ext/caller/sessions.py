"""Which role an access key belongs to: a function's, or one that a service of the engine assumed."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from sluice_ext.caller.functions import caller_of

# Sessions that services opened; functions are not among them. A state machine opens one for each task.
_MAX_SESSIONS = 50_000


@dataclass(frozen=True)
class Session:
    """An assumed role. ``name`` is the session's name, for error messages."""

    role_arn: str
    name: str

    @property
    def principal(self) -> str:
        """ARN of the session as AWS's error messages show it."""
        partition, account = self.role_arn.split(":")[1], account_of(self.role_arn)
        return f"arn:{partition}:sts::{account}:assumed-role/{self.role_arn.rsplit('/', 1)[-1]}/{self.name}"


class Sessions:
    """The sessions that services opened, by access key. Thread-safe."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, access_key: str, session: Session) -> None:
        """Record a session; the oldest are forgotten."""
        with self._lock:
            self._sessions[access_key] = session
            while len(self._sessions) > _MAX_SESSIONS:
                self._sessions.popitem(last=False)

    def get(self, access_key: str) -> Session | None:
        """The session with this access key, if any."""
        return self._sessions.get(access_key)

    def dump(self) -> list[tuple[str, Session]]:
        """Everything, for a saved state."""
        with self._lock:
            return list(self._sessions.items())

    def load(self, saved: list[tuple[str, Session]]) -> None:
        """Restore what `dump` returned."""
        for access_key, session in saved:
            self.add(access_key, session)


SESSIONS = Sessions()


def remember(access_key: str, session: Session) -> None:
    """Record that a service (Step Functions, EventBridge, ...) assumed a role and got this access key."""
    SESSIONS.add(access_key, session)


def session_of(access_key: str | None) -> Session | None:
    """The session behind a key that the engine itself gave to a function or a service; None for any other key."""
    caller = caller_of(access_key)
    if caller:
        return Session(caller.role_arn, caller.function_name)
    return SESSIONS.get(access_key or "")


def account_of(role_arn: str) -> str:
    """Account id in a role's ARN."""
    return role_arn.split(":")[4]
