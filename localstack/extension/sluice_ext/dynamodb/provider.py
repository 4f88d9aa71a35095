"""The service: operations on items are ours, those on tables are moto's; one at a time per account and region.

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
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.http import Response
from localstack.services.moto import dispatch_to_moto
from localstack.services.plugins import Service, ServiceLifecycleHook

from sluice_ext.dynamodb import batches, queries, reads, scans, tables, tokens, transactions, ttl, writes
from sluice_ext.dynamodb.errors import DynamoError, not_serializable
from sluice_ext.dynamodb.items import encode
from sluice_ext.dynamodb.partiql import running

LOCKS: defaultdict[tuple[str, str], threading.RLock] = defaultdict(threading.RLock)
_Operation = Callable[[Any, dict[str, Any]], str | dict[str, Any]]
_ITEMS: dict[str, _Operation] = {
    "BatchExecuteStatement": running.batch_execute_statement,
    "BatchGetItem": reads.batch_get_item,
    "BatchWriteItem": batches.batch_write_item,
    "DeleteItem": writes.delete_item,
    "ExecuteStatement": running.execute_statement,
    "ExecuteTransaction": tokens.idempotent(running.execute_transaction),
    "GetItem": reads.get_item,
    "PutItem": writes.put_item,
    "Query": queries.query,
    "Scan": scans.scan,
    "TransactGetItems": transactions.transact_get_items,
    "TransactWriteItems": tokens.idempotent(transactions.transact_write_items),
    "UpdateItem": writes.update_item,
}


def create_service() -> Service:
    """The DynamoDB service for LocalStack's service manager."""
    model = load_service("dynamodb")
    table = {name: _operation(name) for name in model.operation_names}
    return Service(name="dynamodb", skeleton=Skeleton(model, table), lifecycle_hook=_Lifecycle(ttl.Sweeper(LOCKS)))


def _operation(name: str) -> Callable[[RequestContext, ServiceRequest], Response]:
    ours = _ITEMS.get(name)

    def call(context: RequestContext, _request: ServiceRequest) -> Response:
        with LOCKS[(context.account_id, context.region)]:
            response = dispatch_to_moto(context) if ours is None else _carry_out(ours, context)
        if response.status_code < 300 and not context.is_internal_call:
            # Stops LocalStack from parsing this answer, which is passed on as it is.
            context.service_response = {"sluice": True}
        return response

    return call


def _carry_out(operation: _Operation, context: RequestContext) -> Response:
    try:
        answer = operation(tables.backend_of(context.account_id, context.region), _body(context))
        text, status = answer if isinstance(answer, str) else encode(answer), 200
    except DynamoError as error:
        text, status = encode(error.body()), error.status
    content = text.encode()
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amz-crc32": str(zlib.crc32(content))}
    return Response(content, status, headers)


def _body(context: RequestContext) -> dict[str, Any]:
    try:
        body = json.loads(context.request.get_data() or b"{}")
    except ValueError:
        raise not_serializable("The request's JSON is not valid") from None
    if not isinstance(body, dict):
        raise not_serializable("Start of structure or map expected")
    return body


class _Lifecycle(ServiceLifecycleHook):  # type: ignore[misc]
    def __init__(self, sweeper: Any) -> None:
        self._sweeper = sweeper

    def on_before_start(self) -> None:
        self._sweeper.start()

    def on_before_stop(self) -> None:
        self._sweeper.stop()
