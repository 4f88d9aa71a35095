"""Whether a role lets the bearer of a web identity's token assume it.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html

LocalStack gives everyone a session of any role. The token's issuer has to be a provider of the account, and the role's
trust policy decides on the token's claims. Its signature is not checked: the issuer is not asked for its keys.
"""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from localstack.aws.api import CommonServiceException
from moto.iam.models import iam_backends

from sluice_ext.iam import policy, roles

OPERATION: Final = "AssumeRoleWithWebIdentity"
_ACTION: Final = f"sts:{OPERATION}"


def demand(parameters: Mapping[str, Any]) -> None:
    """Raises what STS answers when the token does not open a session of the role.

    parameters: of the call, with ``RoleArn`` and ``WebIdentityToken``.
    """
    role = str(parameters.get("RoleArn"))
    if role.count(":") < 5 or ":role/" not in role:
        raise _error("ValidationError", f"{role} is invalid", 400)
    claims = _claims(str(parameters.get("WebIdentityToken")))
    issuer = str(claims.get("iss", "")).removeprefix("https://").rstrip("/")
    partition, account = role.split(":")[1:5:3]
    provider = f"arn:{partition}:iam::{account}:oidc-provider/{issuer}"
    if provider not in iam_backends[account][partition].open_id_providers:
        message = f"No OpenIDConnect provider found in your account for https://{issuer}"
        raise _error("InvalidIdentityToken", message, 400)
    if not isinstance(claims.get("exp"), int | float) or claims["exp"] <= time.time():
        raise _error("ExpiredTokenException", "Token must not be expired", 400)
    known = roles.found(role)
    trust = known.assume_role_policy_document if known else None
    keys = {f"{issuer}:{name}".lower(): str(value) for name, value in claims.items() if isinstance(value, str)}
    about = [one for one in policy.statements(trust or "{}") if _names(one, provider)]
    if policy.decide(about, _ACTION, policy.UNKNOWN, keys) != policy.ALLOWED:
        raise _error("AccessDenied", f"Not authorized to perform {_ACTION}", 403)


def _names(statement: Mapping[str, Any], provider: str) -> bool:
    principal = statement.get("Principal")
    if not isinstance(principal, Mapping):
        return principal == "*"
    return provider in policy.listed(principal.get("Federated", []))


def _claims(token: str) -> dict[str, Any]:
    """What a JSON Web Token says: https://datatracker.ietf.org/doc/html/rfc7519"""
    try:
        _header, body, _signature = token.split(".")
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _error("InvalidIdentityToken", "The ID Token provided is not a valid JWT.", 400)
    return found


def _error(code: str, message: str, status: int) -> CommonServiceException:
    return CommonServiceException(code, message, status_code=status, sender_fault=True)
