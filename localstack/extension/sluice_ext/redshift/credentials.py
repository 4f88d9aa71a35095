"""Who a caller is in the database, and with which password.

A role is ``IAMR:<role>``, a user is ``IAM:<user>``. They get a password that PostgreSQL accepts until it expires;
within its first half another call gets the same one.
https://docs.aws.amazon.com/redshift-serverless/latest/APIReference/API_GetCredentials.html
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from localstack.aws.api import RequestContext
from localstack.aws.connect import connect_to
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

from sluice_ext import postgres, settings
from sluice_ext.caller import sessions
from sluice_ext.redshift import database
from sluice_ext.redshift.store import STORES, Login, Namespace, all_namespaces, now

DEFAULT_SECONDS: Final = 900
MAX_SECONDS: Final = 3600


@dataclass(frozen=True)
class Identity:
    """A caller: its access key, the ARN of its role, user or account, and the whole ARN with the session's name."""

    access_key: str
    owner: str
    session: str

    @property
    def database_user(self) -> str:
        """Its name in the database."""
        kind, _, name = self.owner.rsplit(":", 1)[-1].partition("/")
        name = name.rsplit("/", 1)[-1]
        if kind == "role":
            return f"IAMR:{name}"
        return f"IAM:{name}" if kind == "user" else "IAM:RootIdentity"


def identity_of(context: RequestContext) -> Identity:
    """Who makes this call."""
    key = extract_access_key_id_from_auth_header(context.request.headers) or ""
    if session := sessions.session_of(key):
        return Identity(key, session.role_arn, session.principal)
    arn = _asked(key, context.region)
    resource = arn.rsplit(":", 1)[-1]
    if resource.startswith("assumed-role/"):
        partition, account = arn.split(":")[1], arn.split(":")[4]
        return Identity(key, f"arn:{partition}:iam::{account}:role/{resource.split('/')[1]}", arn)
    return Identity(key, arn, arn)


@lru_cache(maxsize=1024)
def _asked(access_key: str, region: str) -> str:
    sts = connect_to(aws_access_key_id=access_key, aws_secret_access_key="-", region_name=region).sts
    return str(sts.get_caller_identity()["Arn"])


def demand(context: RequestContext, action: str, resource: str) -> None:
    """Record that the caller uses this action. Raises AccessDeniedException if policies are enforced and forbid it."""
    session = sessions.session_of(extract_access_key_id_from_auth_header(context.request.headers))
    if session is None or not settings.IAM_RECORDED:
        return
    # moto's IAM is large; an engine without SLUICE_IAM does not load it.
    from sluice_ext.iam import gateway, policy

    decision = gateway.decide(session, action, resource, context.region)
    if decision != policy.ALLOWED:
        raise gateway.refusal(context, session, action, resource, decision)


def login(namespace: Namespace, user: str, seconds: int = DEFAULT_SECONDS, renew: bool = False) -> Login:
    """The password of a user that IAM stands for. Raises Unreachable."""
    with STORES.lock:
        longest = now() + timedelta(seconds=seconds)
        # A user has one password on the server, in whichever namespace it asks for it.
        for one in [namespace, *all_namespaces()]:
            known = one.logins.get(user)
            if not renew and known and now() < known.refresh and known.expires <= longest:
                if one is not namespace:
                    database.admit(namespace, user)
                    namespace.logins[user] = known
                return known
        fresh = Login(postgres.new_password(), longest, now() + timedelta(seconds=seconds / 2))
        database.ensure_user(namespace, user, fresh.password, fresh.expires)
        for one in all_namespaces():
            one.logins.pop(user, None)
        namespace.logins[user] = fresh
        return fresh


def clients(access_key: str, region: str) -> Any:
    """Clients of the engine's services with this access key: ``clients(...).s3``."""
    return connect_to(aws_access_key_id=access_key, aws_secret_access_key="-", region_name=region)
