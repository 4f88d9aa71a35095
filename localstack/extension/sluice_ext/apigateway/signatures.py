"""Methods with AWS_IAM: a call must be signed for this service and region, now, by a known role that may invoke it.

The engine knows no secrets, so it does not compute signatures: form, scope, date and the role's policies are checked.
https://docs.aws.amazon.com/apigateway/latest/developerguide/permissions.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from localstack.services.apigateway.next_gen.execute_api.gateway_response import (
    AccessDeniedError,
    ExpiredTokenError,
    InvalidSignatureError,
    MissingAuthTokenError,
)

from sluice_ext.caller import sessions
from sluice_ext.iam import gateway, policy

_SKEW: Final = timedelta(minutes=5)
_FORM: Final = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request,\s*"
    r"SignedHeaders=[^,\s]+,\s*Signature=[0-9a-f]{64}\s*"
)


class _Incomplete(InvalidSignatureError):  # type: ignore[misc]
    code = "IncompleteSignatureException"


def check(context: Any, method_arn: str) -> None:
    """Raises the error of a gateway response for a call that is not signed, wrongly signed, or not allowed."""
    request = context.invocation_request
    query = request.get("query_string_parameters") or {}
    header = request["headers"].get("Authorization") or ""
    if query.get("X-Amz-Algorithm") and not header:
        header = (
            f"{query['X-Amz-Algorithm']} Credential={query.get('X-Amz-Credential', '')}, "
            f"SignedHeaders={query.get('X-Amz-SignedHeaders', '')}, Signature={query.get('X-Amz-Signature', '')}"
        )
    if not header:
        raise MissingAuthTokenError("Missing Authentication Token")
    found = _FORM.fullmatch(header)
    if found is None:
        raise _Incomplete("Authorization header requires existence of Credential, SignedHeaders and Signature")
    key, day, region, service = found.groups()
    if service != "execute-api":
        raise InvalidSignatureError("Credential should be scoped to correct service: 'execute-api'.")
    if region != context.region:
        raise InvalidSignatureError("Credential should be scoped to a valid region.")
    _check_date(str(query.get("X-Amz-Date") or request["headers"].get("X-Amz-Date") or ""), day, query)
    _check_role(context, key, method_arn)


def _check_date(text: str, day: str, query: dict[str, Any]) -> None:
    try:
        at = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        lifetime = timedelta(seconds=int(query["X-Amz-Expires"])) if "X-Amz-Expires" in query else _SKEW
    except ValueError as error:
        raise _Incomplete("Authorization header requires existence of a valid 'X-Amz-Date' header") from error
    if text[:8] != day:
        raise InvalidSignatureError("Date in Credential scope does not match the date of the request")
    now = datetime.now(UTC)
    if not at - _SKEW <= now <= at + lifetime:
        raise ExpiredTokenError(f"Signature expired: {text} is not within five minutes of {now:%Y%m%dT%H%M%SZ}")


def _check_role(context: Any, key: str, method_arn: str) -> None:
    session = sessions.session_of(key)
    if session is None:
        return  # the account's owner
    decision = gateway.decide(session, "execute-api:Invoke", method_arn, context.region)
    if decision != policy.ALLOWED:
        raise AccessDeniedError(
            f"User: {session.principal} is not authorized to perform: execute-api:Invoke on resource: {method_arn}"
            + (" with an explicit deny" if decision == policy.DENIED else "")
        )
