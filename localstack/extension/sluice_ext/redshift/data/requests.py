"""Requests of the Data API: what they ask for, where it runs and as whom."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError
from localstack.aws.api import CommonServiceException, RequestContext

from sluice_ext.redshift import credentials, errors
from sluice_ext.redshift.credentials import Identity
from sluice_ext.redshift.data import translating
from sluice_ext.redshift.data.store import Target
from sluice_ext.redshift.store import STORES
from sluice_ext.redshift.workgroups import by_name

# https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html
MAX_BYTES: Final = 100 * 1024
MAX_STATEMENTS: Final = 40
MAX_ACTIVE: Final = 500
# AWS has 500; a PostgreSQL has a hundred connections, which RDS needs, too.
MAX_SESSIONS: Final = 50
MAX_KEEP_SECONDS: Final = 86_400
_PARAMETER: Final = re.compile(r"[0-9a-zA-Z_]+")
NOWHERE: Final = "Redshift endpoint doesn't exist in this region."


def target_of(context: RequestContext, request: Mapping[str, Any], who: Identity) -> tuple[Target, str | None]:
    """Where a request runs, and the password of its secret; None when IAM stands for the user.

    Raises ValidationException, and AccessDeniedException when policies are enforced.
    """
    if request.get("ClusterIdentifier") and request.get("WorkgroupName"):
        raise errors.invalid("Only one of ClusterIdentifier and WorkgroupName can be specified.")
    if request.get("ClusterIdentifier"):
        raise errors.invalid(NOWHERE)
    if not request.get("WorkgroupName"):
        raise errors.invalid("Either ClusterIdentifier or WorkgroupName needs to be specified.")
    if request.get("DbUser"):
        raise errors.invalid("DbUser can't be specified with WorkgroupName.")
    store = STORES.of(context.account_id, context.region)
    name = str(request["WorkgroupName"])
    try:
        workgroup = by_name(store, name)
        namespace = store.namespace(workgroup.shown["namespaceName"])
    except CommonServiceException as error:
        raise errors.invalid(NOWHERE) from error
    if context.operation is not None:
        credentials.demand(context, f"redshift-data:{context.operation.name}", workgroup.arn)
    database = request.get("ConnectedDatabase") or request.get("Database")
    user, password = who.database_user, None
    if secret := request.get("SecretArn"):
        user, password, found = _secret(context, who, str(secret))
        database = database or found
    else:
        credentials.demand(context, "redshift-serverless:GetCredentials", workgroup.arn)
    if not database:
        raise errors.invalid("Database needs to be specified.")
    target = Target(
        context.account_id, context.region, name, workgroup.arn, namespace.name, str(database), user,
        str(request.get("SecretArn") or ""),
    )  # fmt: skip
    return target, password


def _secret(context: RequestContext, who: Identity, arn: str) -> tuple[str, str, str]:
    """User, password and database in a secret, which is read with the caller's permissions."""
    try:
        found = credentials.clients(who.access_key, context.region).secretsmanager.get_secret_value(SecretId=arn)
    except ClientError as error:
        code, message = error.response["Error"]["Code"], str(error.response["Error"]["Message"])
        if code == "AccessDeniedException":
            raise errors.denied(message) from error
        raise errors.invalid(f"The secret {arn} can't be read: {message}") from error
    try:
        content = json.loads(found["SecretString"])
        return str(content["username"]), str(content["password"]), str(content.get("dbName") or "")
    except (ValueError, KeyError, TypeError) as error:
        raise errors.invalid(f"The secret {arn} must be JSON with username and password.") from error


def checked_sql(texts: Sequence[str]) -> list[str]:
    """The texts of a request."""
    if not texts:
        raise errors.invalid("At least one SQL statement is required.")
    if len(texts) > MAX_STATEMENTS:
        raise errors.invalid(f"A batch can have at most {MAX_STATEMENTS} SQL statements.")
    if sum(len(text.encode()) for text in texts) > MAX_BYTES:
        raise errors.invalid("Cannot process the query: its size exceeds the limit of 100 KB.")
    if any(not text.strip() for text in texts):
        raise errors.invalid("SQL statement is empty.")
    return list(texts)


def parameters_of(request: Mapping[str, Any], texts: Sequence[str]) -> dict[str, str]:
    """The named parameters of a request. Each must be used by one of the texts."""
    given = request.get("Parameters")
    if given is None:
        return {}
    if not given:
        raise errors.invalid("Parameters can't be an empty list.")
    found: dict[str, str] = {}
    for one in given:
        name, value = str(one.get("name") or ""), one.get("value")
        if not _PARAMETER.fullmatch(name):
            raise errors.invalid(f"The parameter name {name!r} must match [0-9a-zA-Z_]+.")
        if not value:
            raise errors.invalid(f"The value of the parameter {name} must have at least 1 character.")
        if name in found:
            raise errors.invalid(f"The parameter {name} is given twice.")
        found[name] = str(value)
    used = {name for text in texts for name in _names(text)}
    if unused := [name for name in found if name not in used]:
        raise errors.invalid(f"Parameters list contains unused parameters. Unused parameters: [{', '.join(unused)}]")
    return found


def _names(text: str) -> set[str]:
    try:
        return {name for one in translating.parse(text) for name in one.parameters}
    except translating.Untranslatable:  # the statement fails when it runs, with what is wrong
        return set(re.findall(r"(?<![\w:]):([A-Za-z0-9_]+)", text))


def keep_seconds(request: Mapping[str, Any]) -> int | None:
    """How long a session stays open after each of its statements; None when none is asked for."""
    found = request.get("SessionKeepAliveSeconds")
    if found is not None and not 0 <= found <= MAX_KEEP_SECONDS:
        raise errors.invalid(f"SessionKeepAliveSeconds must be between 0 and {MAX_KEEP_SECONDS}.")
    return found


def wait_seconds(request: Mapping[str, Any]) -> int:
    """How long the answer may wait for the statement's end."""
    found = request.get("WaitTimeSeconds")
    if found is not None and not 1 <= found <= 30:
        raise errors.invalid("WaitTimeSeconds must be between 1 and 30.")
    return int(found or 0)


def checked(request: Mapping[str, Any]) -> None:
    """Raises ValidationException for what the API's model forbids."""
    if (token := request.get("ClientToken")) is not None and not 1 <= len(token) <= 64:
        raise errors.invalid("ClientToken must have 1 to 64 characters.")
    if len(request.get("StatementName") or "") > 500:
        raise errors.invalid("StatementName must have at most 500 characters.")
    for key, known in (("ResultFormat", ("JSON", "CSV")), ("ExecutionMode", ("TRANSACTION", "AUTO_COMMIT"))):
        if request.get(key) not in (None, *known):
            raise errors.invalid(f"{key} must be {' or '.join(known)}.")
