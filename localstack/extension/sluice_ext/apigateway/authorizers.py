"""Who may call a method: Lambda authorizers, signatures of IAM, and what is refused because it cannot be judged.

LocalStack answers every caller. Added to the chain of handlers, before the API key is looked at, as on AWS.
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/permissions.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

import json
import logging
import re
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from localstack.http import Response
from localstack.services.apigateway.next_gen.execute_api.context import RestApiInvocationContext
from localstack.services.apigateway.next_gen.execute_api.gateway_response import (
    AccessDeniedError,
    AuthorizerConfigurationError,
    UnauthorizedError,
)
from localstack.services.apigateway.next_gen.execute_api.header_utils import build_multi_value_headers
from localstack.services.apigateway.next_gen.execute_api.helpers import (
    get_lambda_function_arn_from_invocation_uri,
    render_uri_with_stage_variables,
)
from localstack.services.apigateway.next_gen.execute_api.integrations.aws import RestApiAwsProxyIntegration

from sluice_ext.apigateway import signatures
from sluice_ext.apigateway.decisions import CACHE, Invalid, granted
from sluice_ext.iam import policy

LOG = logging.getLogger(__name__)
_ACTION: Final = "execute-api:Invoke"
_DEFAULT_TTL: Final = 300


def authorize(_chain: Any, context: RestApiInvocationContext, _response: Response) -> None:
    """Let the request pass, or raise the error of a gateway response (401, 403 or 500)."""
    kind = str((context.resource_method or {}).get("authorizationType") or "NONE").upper()
    if kind == "NONE":
        return
    if kind == "AWS_IAM":
        signatures.check(context, method_arn(context))
        return
    authorizer = context.deployment.rest_api.authorizers.get(context.resource_method.get("authorizerId"))
    if authorizer is None:
        raise AuthorizerConfigurationError
    if kind == "COGNITO_USER_POOLS":
        _cognito(authorizer, context)
    _custom(authorizer, context)


def method_arn(context: RestApiInvocationContext) -> str:
    """The ARN of this call: arn:aws:execute-api:<region>:<account>:<api>/<stage>/<method>/<path>."""
    request = context.invocation_request
    path = str(request["path"]).lstrip("/")
    begin = f"arn:aws:execute-api:{context.region}:{context.account_id}:{context.api_id}"
    return f"{begin}/{context.stage}/{request['http_method']}/{path}"


def _cognito(authorizer: Any, context: RestApiInvocationContext) -> None:
    """There are no user pools: a call without a token is refused as on AWS, and no token can be judged."""
    if not _source(authorizer.get("identitySource") or "method.request.header.Authorization", context):
        raise UnauthorizedError("Unauthorized")
    LOG.error("API %s: the engine has no Cognito, so it cannot judge the token of a call", context.api_id)
    raise AuthorizerConfigurationError("The engine has no Cognito and cannot judge this token")


def _custom(authorizer: Any, context: RestApiInvocationContext) -> None:
    identities = _identities(authorizer, context)
    ttl = authorizer.get("authorizerResultTtlInSeconds")
    ttl = _DEFAULT_TTL if ttl is None else int(ttl)
    key = (context.api_id, context.stage, authorizer["id"], authorizer.get("authorizerUri"), identities)
    found = CACHE.get(key) if ttl and identities else None
    if found is None:
        try:
            found = granted(_answer(authorizer, context))
        except Invalid as error:
            LOG.warning("API %s: authorizer %s: %s", context.api_id, authorizer.get("name"), error)
            raise AuthorizerConfigurationError from error
        if ttl and identities:
            CACHE.put(key, found, ttl)
    keys = {"aws:sourceip": str(context.request.remote_addr), "aws:securetransport": "true"}
    try:
        decision = policy.decide(found.statements, _ACTION, method_arn(context), keys)
    except (AttributeError, TypeError, ValueError) as error:
        raise AuthorizerConfigurationError from error
    if decision == policy.DENIED:
        raise AccessDeniedError("User is not authorized to access this resource with an explicit deny")
    if decision != policy.ALLOWED:
        raise AccessDeniedError("User is not authorized to access this resource")
    context.context_variables["authorizer"] = {"principalId": found.principal, **found.context, "integrationLatency": 0}
    if found.usage_key:
        context.context_variables.setdefault("identity", {})["apiKey"] = found.usage_key


def _identities(authorizer: Any, context: RestApiInvocationContext) -> tuple[str, ...]:
    """The values that identify the caller. Raises UnauthorizedError when one is missing or has the wrong form."""
    token = authorizer.get("type") != "REQUEST"
    text = authorizer.get("identitySource") or ("method.request.header.Authorization" if token else "")
    values = tuple(_source(one.strip(), context) for one in text.split(",") if one.strip())
    cached = authorizer.get("authorizerResultTtlInSeconds") != 0
    if (token or cached) and not all(values):
        raise UnauthorizedError("Unauthorized")
    form = authorizer.get("identityValidationExpression")
    if token and form and re.fullmatch(form, values[0]) is None:
        raise UnauthorizedError("Unauthorized")
    return values


def _source(source: str, context: RestApiInvocationContext) -> str:
    """The value of `method.request.header.Name`, `method.request.querystring.name`, `stageVariables.name` or
    `context.name`; empty when there is none."""
    request = context.invocation_request
    kind, _, name = source.removeprefix("method.request.").partition(".")
    if kind == "header":
        return str(request["headers"].get(name) or "")
    if kind == "querystring":
        return str((request.get("query_string_parameters") or {}).get(name) or "")
    if kind == "stageVariables":
        return str((context.stage_variables or {}).get(name) or "")
    value: Any = context.context_variables
    for part in name.split(".") if kind == "context" else ():
        value = value.get(part) if isinstance(value, dict) else None
    return str(value) if kind == "context" and value else ""


def _answer(authorizer: Any, context: RestApiInvocationContext) -> Any:
    """What the authorizer's function says. Raises UnauthorizedError when it says so, Invalid when it fails."""
    uri = render_uri_with_stage_variables(authorizer.get("authorizerUri") or "", context.stage_variables)
    source = (
        f"arn:aws:execute-api:{context.region}:{context.account_id}:{context.api_id}/authorizers/{authorizer['id']}"
    )
    try:
        payload = RestApiAwsProxyIntegration.call_lambda(
            function_arn=get_lambda_function_arn_from_invocation_uri(uri),
            event=json.dumps(_event(authorizer, context), default=str).encode(),
            source_arn=source,
            credentials=authorizer.get("authorizerCredentials"),
        )
        answer = json.loads(payload)
    except (ClientError, BotoCoreError, ValueError, IndexError) as error:
        raise Invalid(f"its function cannot be called: {error}") from error
    if isinstance(answer, dict) and "errorMessage" in answer:
        if answer["errorMessage"] == "Unauthorized":
            raise UnauthorizedError("Unauthorized")
        raise Invalid(f"its function failed: {answer['errorMessage']}")
    return answer


def _event(authorizer: Any, context: RestApiInvocationContext) -> dict[str, Any]:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html"""
    request = context.invocation_request
    if authorizer.get("type") != "REQUEST":
        source = authorizer.get("identitySource") or "method.request.header.Authorization"
        return {"type": "TOKEN", "methodArn": method_arn(context), "authorizationToken": _source(source, context)}
    return {
        "type": "REQUEST",
        "methodArn": method_arn(context),
        "resource": context.resource["path"],
        "path": request["path"],
        "httpMethod": request["http_method"],
        "headers": dict(request["headers"]),
        "multiValueHeaders": build_multi_value_headers(request["headers"]),
        "queryStringParameters": request.get("query_string_parameters") or {},
        "multiValueQueryStringParameters": request.get("multi_value_query_string_parameters") or {},
        "pathParameters": request.get("path_parameters") or {},
        "stageVariables": context.stage_variables or {},
        "requestContext": context.context_variables,
    }
