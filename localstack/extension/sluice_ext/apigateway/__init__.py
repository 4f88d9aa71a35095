"""API Gateway: LocalStack's own REST APIs, with what its open edition leaves out.

Replaced: `RestApiGateway.__init__`, to put in the limits and the access log, and three methods of
`GatewayExceptionHandler`, which left out the templates, headers and content types of gateway responses.
"""

from typing import Any

from localstack.services.apigateway.next_gen.execute_api.gateway import RestApiGateway
from localstack.services.apigateway.next_gen.execute_api.handlers import api_key_validation_handler
from localstack.services.apigateway.next_gen.execute_api.handlers.gateway_exception import GatewayExceptionHandler

from sluice_ext.apigateway import limits, log, responses
from sluice_ext.patching import replace


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def build(self: Any) -> None:
        original(self)
        handlers = self.request_handlers
        handlers.insert(0, log.begin)
        handlers.insert(1, limits.check_size)
        # A key that is not valid uses nothing up; one that is, is counted before anything else is looked at.
        handlers.insert(handlers.index(api_key_validation_handler) + 1, limits.throttle)
        self.response_handlers.append(log.end)

    original = replace(RestApiGateway, "__init__", build, expect="(self)")
    replace(GatewayExceptionHandler, "create_exception_response", responses.create, expect="(self, exception, context)")
