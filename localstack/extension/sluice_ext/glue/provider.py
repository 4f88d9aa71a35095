"""The service: operations of the data catalog, of crawlers and on jobs. Any other is refused as not implemented."""

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.plugins import Service

from sluice_ext.glue import errors, partitions, tables
from sluice_ext.glue.common import Operation, locked
from sluice_ext.glue.crawlers import api as crawlers
from sluice_ext.glue.jobs import definitions, operations
from sluice_ext.glue.store import CATALOGS


def create_service() -> Service:
    """The Glue service for LocalStack's service manager."""
    own: dict[str, Operation] = {
        "CreateDatabase": tables.create_database,
        "GetDatabase": tables.get_database,
        "GetDatabases": tables.get_databases,
        "UpdateDatabase": tables.update_database,
        "DeleteDatabase": tables.delete_database,
        "CreateTable": tables.create_table,
        "GetTable": tables.get_table,
        "GetTables": tables.get_tables,
        "UpdateTable": tables.update_table,
        "DeleteTable": tables.delete_table,
        "BatchDeleteTable": tables.batch_delete_table,
        "GetTableVersion": tables.get_table_version,
        "GetTableVersions": tables.get_table_versions,
        "DeleteTableVersion": tables.delete_table_version,
        "BatchDeleteTableVersion": tables.batch_delete_table_version,
        "CreatePartitionIndex": tables.create_index,
        "GetPartitionIndexes": tables.get_indexes,
        "DeletePartitionIndex": tables.delete_index,
        "CreatePartition": partitions.create,
        "GetPartition": partitions.get,
        "GetPartitions": partitions.get_many,
        "UpdatePartition": partitions.update,
        "DeletePartition": partitions.delete,
        "BatchCreatePartition": partitions.batch_create,
        "BatchGetPartition": partitions.batch_get,
        "BatchUpdatePartition": partitions.batch_update,
        "BatchDeletePartition": partitions.batch_delete,
        "TagResource": _tag,
        "UntagResource": _untag,
        "GetTags": _get_tags,
    }
    for scope in ("Table", "Partition"):
        own[f"UpdateColumnStatisticsFor{scope}"] = partitions.put_statistics
        own[f"GetColumnStatisticsFor{scope}"] = partitions.get_statistics
        own[f"DeleteColumnStatisticsFor{scope}"] = partitions.delete_statistics
    table = locked(CATALOGS.lock, own) | crawlers.OPERATIONS | operations.OPERATIONS
    return Service(name="glue", skeleton=Skeleton(load_service("glue"), table))


def _tags(context: RequestContext, request: ServiceRequest) -> dict[str, str]:
    arn = str(request["ResourceArn"])
    kind, _, name = arn.split(":", 5)[-1].partition("/")
    if kind == "job":
        return definitions.tags_of(context, name)
    if kind == "crawler":
        return crawlers.tags_of(context, name)
    if kind != "database":
        raise errors.not_found(f"Resource {arn} not found.")
    catalog = CATALOGS.of(context.account_id, context.region)
    catalog.database(name)
    return catalog.tags.setdefault(arn, {})


def _tag(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    _tags(context, request).update(request["TagsToAdd"])
    return {}


def _untag(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    tags = _tags(context, request)
    for key in request["TagsToRemove"]:
        tags.pop(key, None)
    return {}


def _get_tags(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    return {"Tags": dict(_tags(context, request))}
