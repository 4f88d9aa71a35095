"""The service: operations on items are ours; those on tables are moto's, behind our checks."""

from typing import Any

from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.moto import dispatch_to_moto
from localstack.services.plugins import Service, ServiceLifecycleHook
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from sluice_ext.dynamodb import (
    administration,
    batches,
    definitions,
    descriptions,
    queries,
    reads,
    scans,
    tokens,
    transactions,
    ttl,
    writes,
)
from sluice_ext.dynamodb.expressions.reader import RESERVED
from sluice_ext.dynamodb.locking import LOCKS, Handler, Operation, answering
from sluice_ext.dynamodb.partiql import running

_OPERATIONS: dict[str, Operation] = {
    "BatchExecuteStatement": running.batch_execute_statement,
    "BatchGetItem": reads.batch_get_item,
    "BatchWriteItem": batches.batch_write_item,
    "CreateTable": definitions.check_creation,
    "DeleteItem": writes.delete_item,
    "DeleteTable": administration.check_deletion,
    "DescribeContributorInsights": administration.describe_contributor_insights,
    "DescribeExport": definitions.not_here,
    "DescribeImport": definitions.not_here,
    "DescribeTimeToLive": administration.describe_time_to_live,
    "ExecuteStatement": running.execute_statement,
    "ExecuteTransaction": tokens.idempotent(running.execute_transaction),
    "ExportTableToPointInTime": definitions.not_here,
    "GetItem": reads.get_item,
    "ImportTable": definitions.not_here,
    "ListTagsOfResource": administration.list_tags_of_resource,
    "ListTables": administration.list_tables,
    "PutItem": writes.put_item,
    "Query": queries.query,
    "Scan": scans.scan,
    "TagResource": administration.tag_resource,
    "TransactGetItems": transactions.transact_get_items,
    "TransactWriteItems": tokens.idempotent(transactions.transact_write_items),
    "UntagResource": administration.untag_resource,
    "UpdateItem": writes.update_item,
    "UpdateTable": definitions.update_table,
    "UpdateTimeToLive": administration.update_time_to_live,
}


def create_service() -> Service:
    """The DynamoDB service for LocalStack's service manager."""
    descriptions.install()
    RESERVED.update(word.upper() for word in ReservedKeywords.get_reserved_keywords())
    model = load_service("dynamodb")
    table = {name: _handler(name) for name in model.operation_names}
    return Service(name="dynamodb", skeleton=Skeleton(model, table), lifecycle_hook=_Lifecycle(ttl.Sweeper(LOCKS)))


def _handler(name: str) -> Handler:
    afterwards = definitions.created if name == "CreateTable" else None
    return answering(_OPERATIONS.get(name, _nothing), otherwise=dispatch_to_moto, afterwards=afterwards)


def _nothing(_backend: Any, _body: dict[str, Any]) -> None:
    """moto does it all."""


class _Lifecycle(ServiceLifecycleHook):  # type: ignore[misc]
    def __init__(self, sweeper: Any) -> None:
        self._sweeper = sweeper

    def on_before_start(self) -> None:
        self._sweeper.start()

    def on_before_stop(self) -> None:
        self._sweeper.stop()
