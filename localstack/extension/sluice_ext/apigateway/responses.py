"""Gateway responses: what API Gateway itself answers, with the template, headers and status that the API defines.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html
"""

import json
import re
from typing import Any

from localstack.constants import APPLICATION_JSON
from localstack.http import Response
from localstack.services.apigateway.next_gen.execute_api.context import RestApiInvocationContext
from localstack.services.apigateway.next_gen.execute_api.gateway_response import (
    AccessDeniedError,
    BaseGatewayException,
    get_gateway_response_or_default,
)
from werkzeug.datastructures import Headers

_VARIABLE = re.compile(r"\$context\.([A-Za-z.]+[A-Za-z])|\$stageVariables\.(\w+)")
_PLAIN = '{"message":$context.error.messageString}'
_HEADER = "gatewayresponse.header."


def create(_self: Any, exception: BaseGatewayException, context: RestApiInvocationContext) -> Response:
    """The response to an error; replaces `GatewayExceptionHandler.create_exception_response`."""
    chosen = get_gateway_response_or_default(exception.type, context.deployment.rest_api.gateway_responses)
    status = chosen.get("statusCode") or exception.status_code or 500
    headers = Headers({"Content-Type": APPLICATION_JSON, "x-amzn-ErrorType": exception.code})
    for name, value in (chosen.get("responseParameters") or {}).items():
        if name.startswith(_HEADER):
            headers.set(name.removeprefix(_HEADER), _header(value, context))
    templates = chosen.get("responseTemplates") or {APPLICATION_JSON: _PLAIN}
    if isinstance(exception, AccessDeniedError) and templates.get(APPLICATION_JSON) == _PLAIN:
        # The only default response that writes Message with a capital:
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
        templates = {APPLICATION_JSON: _PLAIN.replace("message", "Message", 1)}
    content_type = APPLICATION_JSON if APPLICATION_JSON in templates else next(iter(templates))
    headers.set("Content-Type", content_type)
    body = render(templates[content_type], context)
    return Response(body, headers=headers, status=int(status))


def render(template: str, context: RestApiInvocationContext) -> str:
    """The template with its variables filled in, unknown ones empty. Gateway responses have no other VTL."""
    return _VARIABLE.sub(lambda found: value_of(context, found), template)


def value_of(context: RestApiInvocationContext, found: re.Match[str]) -> str:
    """The value of a variable. ``messageString`` includes its quotes, as on AWS."""
    if found.group(2):
        return str((context.stage_variables or {}).get(found.group(2), ""))
    value: Any = context.context_variables
    for part in found.group(1).split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if found.group(1) == "error.messageString":
        return json.dumps(value)  # null without a message
    return "" if value is None else str(value)


def _header(value: str, context: RestApiInvocationContext) -> str:
    """The value of a header: a literal in single quotes, or a part of the request (method.request.header.Origin)."""
    if value.startswith("'") and value.endswith("'"):
        return value[1:-1]
    kind, _, name = value.removeprefix("method.request.").partition(".")
    request = context.invocation_request
    if kind == "header":
        return str(request["headers"].get(name, ""))
    return str(request.get("query_string_parameters", {}).get(name, "")) if kind == "querystring" else ""
