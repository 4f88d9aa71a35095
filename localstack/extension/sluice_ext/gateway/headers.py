"""The Server header of each service as AWS sends it; a client can tell S3's answers by it.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html
"""

from typing import Any

from localstack.aws.api import RequestContext
from localstack.aws.handlers import run_custom_response_handlers
from localstack.http import Response

_SERVERS = {"s3": "AmazonS3", "dynamodb": "Server"}


def install() -> None:
    """Join the chain, before the response is sent."""
    run_custom_response_handlers.append(_on_response)


def _on_response(_chain: Any, context: RequestContext, response: Response) -> None:
    if context.service is not None and (server := _SERVERS.get(context.service.service_name)):
        response.headers["Server"] = server
