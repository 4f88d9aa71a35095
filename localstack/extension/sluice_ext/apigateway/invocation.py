"""API Gateway calls a function through the engine's chain of handlers, without a client of botocore before it.

Replaced: `RestApiAwsProxyIntegration.call_lambda`. Making a request with botocore, signing it and making another
request of it for the chain was 40 of 100 events of a request to an API. The chain is the same: the function's policy is
asked, and faults are counted. With credentials of a role, LocalStack's own way is used.
https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html
"""

from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError
from localstack.aws.api import RequestContext
from localstack.aws.client import parse_response
from localstack.aws.connect import INTERNAL_REQUEST_PARAMS_HEADER, InternalRequestParameters, dump_dto
from localstack.aws.spec import load_service
from localstack.constants import INTERNAL_AWS_ACCESS_KEY_ID
from localstack.http import Request, Response
from localstack.services.apigateway.next_gen.execute_api.integrations.aws import RestApiAwsProxyIntegration
from localstack.utils.aws.client_types import ServicePrincipal
from localstack.utils.aws.request_context import mock_aws_request_headers

from localstack.runtime import get_current_runtime
from sluice_ext.patching import replace


def install() -> None:
    """Replace it; raises UnexpectedEngine when LocalStack is not the version we know."""

    def call(function_arn: str, event: bytes, source_arn: str, credentials: str | None = None) -> bytes:
        if credentials:
            return bytes(original(function_arn, event, source_arn, credentials))
        return invoke(function_arn, event, source_arn)

    proxy = RestApiAwsProxyIntegration
    original = replace(proxy, "call_lambda", call, expect="(function_arn, event, source_arn, credentials)")
    # `replace` set a function, and the integration calls it without itself.
    proxy.call_lambda = staticmethod(call)


def invoke(function_arn: str, event: bytes, source_arn: str) -> bytes:
    """The payload that the function returns. Raises ClientError, as a client does."""
    service = load_service("lambda")
    sent = InternalRequestParameters(service_principal=ServicePrincipal.apigateway, source_arn=source_arn)
    headers = mock_aws_request_headers("lambda", INTERNAL_AWS_ACCESS_KEY_ID, function_arn.split(":")[3])
    headers |= {"X-Amz-Invocation-Type": "RequestResponse", INTERNAL_REQUEST_PARAMS_HEADER: dump_dto(sent)}
    path = f"/2015-03-31/functions/{quote(function_arn, safe='')}/invocations"
    context = RequestContext(request=Request("POST", path, headers=headers, body=event))
    context.service, context.operation = service, service.operation_model("Invoke")
    response = Response()
    get_current_runtime().components.gateway.handle(context, response)
    if response.status_code >= 300:
        answer: Any = parse_response(context.operation, service.protocol, response)
        raise ClientError(answer, "Invoke")
    return bytes(response.get_data())
