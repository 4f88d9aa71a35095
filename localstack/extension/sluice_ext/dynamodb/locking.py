"""Carrying out operations one at a time for an account and region, and their answers.

LocalStack serves requests in threads, and neither we nor moto lock: without this lock, two conditional writes at once
could both succeed. The answer is passed on as JSON; parsing and serialising it again would double the time of a call.
"""

import json
import threading
import zlib
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from localstack.aws.api import RequestContext, ServiceRequest
from localstack.http import Response

from sluice_ext.dynamodb import tables
from sluice_ext.dynamodb.errors import DynamoError, not_serializable
from sluice_ext.dynamodb.items import encode

LOCKS: defaultdict[tuple[str, str], threading.RLock] = defaultdict(threading.RLock)
Operation = Callable[[Any, dict[str, Any]], str | dict[str, Any] | None]
Handler = Callable[[RequestContext, ServiceRequest], Response]


def answering(
    operation: Operation,
    otherwise: Callable[[RequestContext], Response] | None = None,
    afterwards: Operation | None = None,
) -> Handler:
    """The handler of an operation, which is given moto's backend and the request's JSON.

    An operation that returns None is carried out by ``otherwise``; ``afterwards`` has the answer when that succeeded.
    """

    def call(context: RequestContext, _request: ServiceRequest) -> Response:
        with LOCKS[(context.account_id, context.region)]:
            response = _carried_out(operation, context)
            if response is None:
                assert otherwise is not None
                response = otherwise(context)
                if afterwards is not None and response.status_code < 300:
                    response = _carried_out(afterwards, context)
                    assert response is not None
        if response.status_code < 300 and not context.is_internal_call:
            # Stops LocalStack from parsing this answer, which is passed on as it is.
            context.service_response = {"sluice": True}
        return response

    return call


def _carried_out(operation: Operation, context: RequestContext) -> Response | None:
    status = 200
    try:
        answer = operation(tables.backend_of(context.account_id, context.region), _body(context))
        if answer is None:
            return None
        text = answer if isinstance(answer, str) else encode(answer)
    except DynamoError as error:
        text, status = encode(error.body()), error.status
    content = text.encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "x-amz-crc32": str(zlib.crc32(content)),
        "x-amzn-RequestId": str(context.request_id),  # Step Functions quotes it in the cause of a task's failure
    }
    return Response(content, status, headers)


def _body(context: RequestContext) -> dict[str, Any]:
    try:
        body = json.loads(context.request.get_data() or b"{}")
    except ValueError:
        raise not_serializable("The request's JSON is not valid") from None
    if not isinstance(body, dict):
        raise not_serializable("Start of structure or map expected")
    return body
