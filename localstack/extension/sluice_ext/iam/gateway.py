"""Records which actions roles use and, with SLUICE_IAM=enforce, refuses those that their policies do not allow.

This applies to calls with an access key that the engine itself gave: to a function, to a service that assumed a role,
or to a caller that assumed one; not to those of an account. The role's policies, its permissions boundary and the
resource's own policy are evaluated:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
"""

from collections.abc import Mapping
from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.handlers import run_custom_response_handlers, serve_custom_service_request_handlers
from localstack.aws.protocol.serializer import create_serializer
from localstack.http import Response
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

from sluice_ext import settings
from sluice_ext.caller import sessions
from sluice_ext.iam import condition_keys, policy, principals, resources, roles, web_identity
from sluice_ext.iam.actions import PREFIXES, Needed, Where, needed
from sluice_ext.iam.condition_keys import PASS_ROLE
from sluice_ext.iam.record import RECORD
from sluice_ext.iam.s3_actions import bucket_of

DENIED_BY_RESOURCE = "explicitly denied by the resource"
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_RequestSyntax (Permissions)
_ASSUMED = ("AssumeRole", web_identity.OPERATION)
_SHOW_MISSING_OBJECTS = ("GetObject", "HeadObject")


def install() -> None:
    """Join the chain."""
    serve_custom_service_request_handlers.append(_on_request)
    run_custom_response_handlers.append(_on_response)


def _on_request(_chain: Any, context: RequestContext, _response: Response) -> None:
    if context.operation is None:
        return
    if context.operation.name == web_identity.OPERATION and settings.IAM_ENFORCED:
        web_identity.demand(context.service_request or {})
    session = sessions.session_of(extract_access_key_id_from_auth_header(context.request.headers))
    if session is None:
        return
    context.sluice_session = session
    where = Where(context.partition, context.region, sessions.account_of(session.role_arn))
    signed, parameters = context.service.signing_name, context.service_request or {}
    for action, resource in _needed(context, PREFIXES.get(signed, signed), parameters, where):
        keys = condition_keys.of(action, signed, parameters) | _boundary(action, parameters, where)
        decision = decide(session, action, resource, where.region, keys)
        if decision != policy.ALLOWED:
            raise refusal(context, session, action, resource, decision)


def _needed(context: RequestContext, prefix: str, parameters: Mapping[str, Any], where: Where) -> list[Needed]:
    found = needed(prefix, context.operation.name, parameters, where)
    if prefix != "apigateway":
        return found
    # API Gateway's actions are HTTP's methods, and its resources paths.
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html
    own = f"arn:{where.partition}:apigateway:{where.region}::{context.request.path}"
    return [(f"apigateway:{context.request.method}", own), *(one for one in found if one[0] == PASS_ROLE)]


def _boundary(action: str, parameters: Mapping[str, Any], where: Where) -> dict[str, str]:
    """The boundary of the role that a call to IAM is about, where the call does not name one."""
    name = parameters.get("RoleName")
    if not action.startswith("iam:") or not name or parameters.get("PermissionsBoundary"):
        return {}
    found = roles.boundary_of(f"arn:{where.partition}:iam::{where.account}:role/{name}")
    return {condition_keys.BOUNDARY: found} if found else {}


def _on_response(_chain: Any, context: RequestContext, response: Response) -> None:
    """Remember the sessions of roles; hide from roles that may not list a bucket which objects are missing."""
    operation = context.operation.name if context.operation else ""
    if operation in _ASSUMED and response.status_code == 200:
        role = str((context.service_request or {}).get("RoleArn", ""))
        name = str((context.service_request or {}).get("RoleSessionName", ""))
        credentials = (context.service_response or {}).get("Credentials") or {}
        if credentials.get("AccessKeyId") and ":role/" in role:
            sessions.remember(credentials["AccessKeyId"], sessions.Session(role, name))
    elif operation in _SHOW_MISSING_OBJECTS and response.status_code == 404 and context.service.service_name == "s3":
        session = getattr(context, "sluice_session", None)
        if session is None:
            return
        parameters = context.service_request or {}
        target = f"arn:{context.partition}:s3:::{parameters.get('Bucket')}/{parameters.get('Key')}"
        # A role that may not list the bucket gets 403, not 404, for a missing object.
        decision = decide(session, "s3:ListBucket", bucket_of(target), context.region)
        if decision != policy.ALLOWED:
            error = refusal(context, session, "s3:GetObject", target, decision)
            serializer = create_serializer(context.service, context.protocol)
            response.update_from(
                serializer.serialize_error_to_response(
                    error, context.operation, context.request.headers, context.request_id
                )
            )


def decide(
    session: sessions.Session, action: str, resource: str, region: str, more: Mapping[str, str] | None = None
) -> str:
    """Record the use; the decision if policies are enforced, otherwise ALLOWED.

    A decision is ALLOWED, DENIED, DENIED_BY_RESOURCE or NOT_ALLOWED.
    more: condition keys of the call, beside those that every call has.
    """
    more, decision = more or {}, policy.ALLOWED
    if settings.IAM_ENFORCED:
        keys = {
            # AWS's endpoints use TLS; the engine takes their place.
            "aws:securetransport": "true",
            "aws:principalarn": session.role_arn,
            "aws:principalaccount": sessions.account_of(session.role_arn),
            "aws:resourceaccount": sessions.account_of(session.role_arn),
            "aws:requestedregion": region,
            "aws:principalisawsservice": "false",
            "aws:principaltype": "AssumedRole",
            "aws:viaawsservice": "false",
        }
        decision = _judge(session, action, resource, keys | dict(more))
    recorded = condition_keys.recorded(more)
    RECORD.add(session.role_arn, action, resource, recorded, refused=decision != policy.ALLOWED)
    return decision


def _judge(session: sessions.Session, action: str, resource: str, keys: Mapping[str, str]) -> str:
    """What the role's policies, its permissions boundary and the resource's own policy say together."""
    rights, limit = roles.rights_of(session.role_arn), policy.ALLOWED
    own = policy.decide(rights.policies, action, resource, keys)
    if rights.boundary is not None:
        limit = policy.decide(rights.boundary, action, resource, keys)
        own = limit if own == policy.ALLOWED else own
    account = sessions.account_of(session.role_arn)
    foreign = (owner := resources.account_of(resource)) not in ("", account)
    keys = dict(keys) | ({"aws:resourceaccount": owner} if foreign else {})
    text = resources.policy_of(resource)
    statements = roles.statements_of(text) if text else ()
    caller = principals.Caller(account, role=session.role_arn, session=session.principal)

    def by_resource(delegated: bool) -> str:
        return principals.decide(statements, caller, action, resource, keys, delegated)

    direct = by_resource(delegated=False)
    if policy.DENIED in (own, limit, direct):
        return DENIED_BY_RESOURCE if policy.DENIED not in (own, limit) else policy.DENIED
    if limit != policy.ALLOWED and not _by_session(statements, session.principal, action, resource, keys):
        # A boundary limits what a resource allows to the role, and not what it allows to the session itself.
        return policy.NOT_ALLOWED
    is_key = action.startswith("kms:") and ":key/" in resource
    if is_key and _granted(session.role_arn, action, resource):
        return policy.ALLOWED
    if foreign or (is_key and text):
        # A key's policy decides who may use it; that of another account's resource has to allow it, too.
        if direct == policy.ALLOWED and not foreign:
            return policy.ALLOWED
        return own if by_resource(delegated=True) == policy.ALLOWED else policy.NOT_ALLOWED
    return policy.ALLOWED if policy.ALLOWED in (own, direct) else policy.NOT_ALLOWED


def _by_session(statements: Any, principal: str, action: str, resource: str, keys: Mapping[str, str]) -> bool:
    """Whether a resource's policy allows it to the session by its own ARN."""
    named = [one for one in statements if isinstance(one.get("Principal"), Mapping)]
    about = [one for one in named if principal in policy.listed(one["Principal"].get("AWS", []))]
    return policy.decide(about, action, resource, keys) == policy.ALLOWED


def _granted(role_arn: str, action: str, key: str) -> bool:
    """Whether a grant without constraints lets the role use the key."""
    operation = action.removeprefix("kms:")
    return any(
        grant.get("GranteePrincipal") == role_arn
        and operation in (grant.get("Operations") or [])
        and not grant.get("Constraints")
        for grant in resources.grants_of(key)
    )


def refusal(
    context: RequestContext, session: sessions.Session, action: str, resource: str, decision: str
) -> CommonServiceException:
    """The AccessDenied error in the form that this service uses."""
    service, protocol = context.service.service_name, str(context.service.protocol)
    why = {
        policy.DENIED: "with an explicit deny in an identity-based policy",
        DENIED_BY_RESOURCE: "with an explicit deny in a resource-based policy",
    }.get(decision, f"because no identity-based policy allows the {action} action")
    on = f' on resource: "{resource}"' if resource != policy.UNKNOWN else ""
    message = f"User: {session.principal} is not authorized to perform: {action}{on} {why}"
    if service == "sns":
        code, status = "AuthorizationError", 403
    elif service == "sqs" or protocol in ("query", "rest-xml", "ec2"):
        code, status = "AccessDenied", 403
    else:
        code, status = "AccessDeniedException", 403 if protocol == "rest-json" else 400
    return CommonServiceException(code, message, status_code=status, sender_fault=True)
