"""An integration that takes longer than its timeout (29 s unless it says otherwise) is answered with 504.

What was called goes on by itself, as on AWS. Replaced: the `invoke` of the integrations that call services.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
"""

import threading
from concurrent.futures import Future
from typing import Any, Final

from localstack.services.apigateway.next_gen.execute_api.gateway_response import IntegrationTimeoutError
from localstack.services.apigateway.next_gen.execute_api.integrations import aws

from sluice_ext.patching import replace

_DEFAULT_MILLISECONDS: Final = 29_000


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    for kind in (aws.RestApiAwsProxyIntegration, aws.RestApiAwsIntegration):
        _bound(kind)


def _bound(kind: Any) -> None:
    def invoke(self: Any, context: Any) -> Any:
        seconds = int(context.integration.get("timeoutInMillis") or _DEFAULT_MILLISECONDS) / 1000
        answer: Future[Any] = Future()

        def call() -> None:
            try:
                answer.set_result(original(self, context))
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                answer.set_exception(error)

        threading.Thread(target=call, name="integration", daemon=True).start()
        try:
            return answer.result(seconds)
        except TimeoutError as error:
            if answer.done():
                raise  # one of the call itself
            raise IntegrationTimeoutError("Endpoint request timed out") from error

    original = replace(kind, "invoke", invoke, expect="(self, context)")
