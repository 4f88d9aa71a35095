"""The service: moto answers every operation, one at a time per account and region.

LocalStack serves requests in threads and moto has no lock: without this one, two conditional writes at once could both
succeed. moto's HTTP answer is passed on as it is; parsing and serialising it again would double the time of a call.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from localstack.aws.api import RequestContext, ServiceRequest
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.http import Response
from localstack.services.moto import dispatch_to_moto
from localstack.services.plugins import Service, ServiceLifecycleHook

from sluice_ext.dynamodb import parsing, queries, tokens, transactions, ttl, updates

LOCKS: defaultdict[tuple[str, str], threading.RLock] = defaultdict(threading.RLock)


def create_service() -> Service:
    """The DynamoDB service for LocalStack's service manager."""
    parsing.install()
    queries.install()
    transactions.install()
    updates.install()
    model = load_service("dynamodb")
    table = {name: _operation(name) for name in model.operation_names}
    sweeper = ttl.Sweeper(LOCKS)
    return Service(name="dynamodb", skeleton=Skeleton(model, table), lifecycle_hook=_Lifecycle(sweeper))


def _operation(name: str) -> Callable[[RequestContext, ServiceRequest], Response]:
    def call(context: RequestContext, _request: ServiceRequest) -> Response:
        with LOCKS[(context.account_id, context.region)]:
            response = dispatch_to_moto(context)
        if response.status_code < 300 and not context.is_internal_call:
            # Stops LocalStack from parsing this answer, which is passed on as it is.
            context.service_response = {"moto": True}
        return response

    return tokens.idempotent(call, LOCKS) if name == "TransactWriteItems" else call


class _Lifecycle(ServiceLifecycleHook):  # type: ignore[misc]
    def __init__(self, sweeper: Any) -> None:
        self._sweeper = sweeper

    def on_before_start(self) -> None:
        self._sweeper.start()

    def on_before_stop(self) -> None:
        self._sweeper.stop()
