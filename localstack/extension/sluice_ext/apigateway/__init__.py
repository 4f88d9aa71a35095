"""API Gateway: LocalStack's own REST APIs, plus what its open edition lacks: limits, access logs, gateway responses.

Replaced: `RestApiGateway.__init__`, to add the limits and the access log, and
`GatewayExceptionHandler.create_exception_response`, which ignores the templates, headers and content types of gateway
responses.
"""

from typing import Any

from localstack.services.apigateway.next_gen.execute_api.gateway import RestApiGateway
from localstack.services.apigateway.next_gen.execute_api.handlers import api_key_validation_handler
from localstack.services.apigateway.next_gen.execute_api.handlers.gateway_exception import GatewayExceptionHandler

from sluice_ext.apigateway import access_log, limits, responses
from sluice_ext.patching import replace


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def build(self: Any) -> None:
        original(self)
        handlers = self.request_handlers
        handlers.insert(0, access_log.begin)
        handlers.insert(1, limits.check_size)
        # An invalid key uses no quota; a request with a valid one counts, even when it is rejected later.
        handlers.insert(handlers.index(api_key_validation_handler) + 1, limits.throttle)
        self.response_handlers.append(access_log.end)

    original = replace(RestApiGateway, "__init__", build, expect="(self)")
    replace(GatewayExceptionHandler, "create_exception_response", responses.create, expect="(self, exception, context)")
