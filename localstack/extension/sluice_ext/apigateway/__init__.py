"""API Gateway: LocalStack's own REST APIs, plus what its open edition lacks: authorizers, limits, logs, responses.

Replaced: `RestApiGateway.__init__`, to add the authorizers, the limits and the access log, and
`GatewayExceptionHandler.create_exception_response`, which ignores the templates, headers and content types of gateway
responses; the parsing of a function's answer, which fails for one that is no object.
"""

from typing import Any

from localstack.services.apigateway.next_gen.execute_api.gateway import RestApiGateway
from localstack.services.apigateway.next_gen.execute_api.gateway_response import InternalServerError
from localstack.services.apigateway.next_gen.execute_api.handlers import api_key_validation_handler
from localstack.services.apigateway.next_gen.execute_api.handlers.gateway_exception import GatewayExceptionHandler
from localstack.services.apigateway.next_gen.execute_api.integrations.aws import RestApiAwsProxyIntegration
from localstack.services.apigateway.next_gen.provider import ApigatewayNextGenProvider

from sluice_ext.apigateway import access_log, authorizers, invocation, limits, responses, timeouts
from sluice_ext.apigateway.decisions import CACHE
from sluice_ext.patching import replace


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def build(self: Any) -> None:
        original(self)
        handlers = self.request_handlers
        handlers.insert(0, access_log.begin)
        handlers.insert(1, limits.check_size)
        handlers.insert(handlers.index(api_key_validation_handler), authorizers.authorize)
        # An invalid key uses no quota; a request with a valid one counts, even when it is rejected later.
        handlers.insert(handlers.index(api_key_validation_handler) + 1, limits.throttle)
        self.response_handlers.append(access_log.end)

    def flush(_self: Any, context: Any, rest_api_id: str, stage_name: str, **_options: Any) -> None:
        del context
        CACHE.forget(rest_api_id, stage_name)

    def parsed(self: Any, payload: bytes) -> Any:
        # LocalStack looks for a key in whatever the function answers.
        if not payload.lstrip().startswith(b"{"):
            raise InternalServerError("Internal server error", status_code=502)
        return original_parsed(self, payload)

    flush.__name__ = "flush_stage_authorizers_cache"
    ApigatewayNextGenProvider.flush_stage_authorizers_cache = flush
    timeouts.install()
    invocation.install()
    proxy = RestApiAwsProxyIntegration
    original_parsed = replace(proxy, "parse_lambda_response", parsed, expect="(self, payload)")
    original = replace(RestApiGateway, "__init__", build, expect="(self)")
    replace(GatewayExceptionHandler, "create_exception_response", responses.create, expect="(self, exception, context)")
