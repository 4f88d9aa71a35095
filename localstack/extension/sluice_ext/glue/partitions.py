"""Partitions of tables, and column statistics. https://docs.aws.amazon.com/glue/latest/webapi/API_Partition.html"""

import copy
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final

from localstack.aws.api import CommonServiceException, RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.glue import errors
from sluice_ext.glue.store import Partition, Table, page
from sluice_ext.glue.tables import catalog_of

_PAGE: Final = 1000
# https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html and its neighbours
_MOST: Final = {"create": 100, "update": 100, "delete": 25, "get": 1000}


def _table(context: RequestContext, request: ServiceRequest) -> Table:
    return catalog_of(context, request).table(request["DatabaseName"], request["TableName"])


def _values(table: Table, values: list[str]) -> tuple[str, ...]:
    if len(values) != len(table.keys):
        raise errors.invalid(
            "The number of partition keys do not match the number of partition values: "
            f"{len(table.keys)} keys, {len(values)} values"
        )
    return tuple(values)


def _found(table: Table, values: list[str]) -> Partition:
    found = table.partitions.get(_values(table, values))
    if found is None:
        raise errors.not_found(f"Cannot find partition. {list(values)}")
    return found


def _shown(context: RequestContext, table: Table, partition: Partition) -> dict[str, Any]:
    return partition.given | {
        "DatabaseName": table.database,
        "TableName": table.name,
        "CreationTime": partition.created,
        "CatalogId": context.account_id,
    }


def _add(table: Table, given: dict[str, Any]) -> None:
    values = _values(table, given.get("Values") or [])
    if values in table.partitions:
        raise errors.exists(f"Partition already exists. {list(values)}")
    table.partitions[values] = Partition(copy.deepcopy(dict(given)))


def _change(table: Table, before: list[str], given: dict[str, Any]) -> None:
    partition, values = _found(table, before), _values(table, given.get("Values") or before)
    if values != tuple(before) and values in table.partitions:
        raise errors.exists(f"Partition already exists. {list(values)}")
    changed = Partition(copy.deepcopy(dict(given)) | {"Values": list(values)}, partition.created, partition.statistics)
    if values != tuple(before):
        del table.partitions[tuple(before)]
    table.partitions[values] = changed


def _remove(table: Table, values: list[str]) -> None:
    _found(table, values)
    del table.partitions[tuple(values)]


# -- one -------------------------------------------------------------------------------------------------------------


def create(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """CreatePartition."""
    _add(_table(context, request), request["PartitionInput"])
    return {}


def get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetPartition."""
    table = _table(context, request)
    return {"Partition": _shown(context, table, _found(table, request["PartitionValues"]))}


def update(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UpdatePartition."""
    _change(_table(context, request), list(request["PartitionValueList"]), request["PartitionInput"])
    return {}


def delete(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeletePartition."""
    _remove(_table(context, request), request["PartitionValues"])
    return {}


# -- many ------------------------------------------------------------------------------------------------------------


def get_many(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetPartitions: those for which ``Expression`` is true, in the order of their values.

    https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartitions.html
    """
    table = _table(context, request)
    wanted = _filter(table, request.get("Expression"))
    listed = [one for _, one in sorted(table.partitions.items()) if wanted(one)]
    segment = request.get("Segment")
    if segment:
        listed = listed[segment["SegmentNumber"] :: segment["TotalSegments"]]
    found, more = page(listed, request, _PAGE)
    shown = [_shown(context, table, one) for one in found]
    if request.get("ExcludeColumnSchema"):
        for one in shown:
            storage = one.get("StorageDescriptor") or {}
            one["StorageDescriptor"] = {key: value for key, value in storage.items() if key != "Columns"}
    return {"Partitions": shown} | more


def _filter(table: Table, expression: str | None) -> Callable[[Partition], bool]:
    if not expression or not expression.strip():
        return lambda _: True
    from moto.glue.utils import PartitionFilter

    parsed = PartitionFilter(expression.replace("!=", "<>"), SimpleNamespace(versions={"0": table.given}))

    def check(one: Partition) -> bool:
        try:
            return bool(parsed(SimpleNamespace(partition_input=one.given)))
        except CommonServiceException:
            raise
        except Exception as error:
            raise errors.invalid(f"Unsupported expression '{expression}': {error}") from error

    return check


def _each(request: ServiceRequest, name: str, kind: str) -> list[dict[str, Any]]:
    listed = list(request[name])
    if len(listed) > _MOST[kind]:
        raise errors.invalid(f"{name} has {len(listed)} entries; at most {_MOST[kind]} are allowed.")
    return listed


def _attempts(
    entries: list[dict[str, Any]], call: Callable[[dict[str, Any]], None], values: Callable[[dict[str, Any]], Any]
) -> Iterator[dict[str, Any]]:
    for entry in entries:
        try:
            call(entry)
        except CommonServiceException as error:
            detail = {"ErrorCode": error.code, "ErrorMessage": error.message}
            yield {"PartitionValues": values(entry), "ErrorDetail": detail}


def batch_create(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """BatchCreatePartition: each that can be made is made."""
    table, entries = _table(context, request), _each(request, "PartitionInputList", "create")
    failed = list(_attempts(entries, lambda one: _add(table, one), lambda one: one.get("Values")))
    return {"Errors": failed} if failed else {}


def batch_update(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """BatchUpdatePartition."""
    table, entries = _table(context, request), _each(request, "Entries", "update")
    failed = [
        {"PartitionValueList": one["PartitionValues"], "ErrorDetail": one["ErrorDetail"]}
        for one in _attempts(
            entries,
            lambda one: _change(table, list(one["PartitionValueList"]), one["PartitionInput"]),
            lambda one: one["PartitionValueList"],
        )
    ]
    return {"Errors": failed} if failed else {}


def batch_delete(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """BatchDeletePartition."""
    table, entries = _table(context, request), _each(request, "PartitionsToDelete", "delete")
    failed = list(_attempts(entries, lambda one: _remove(table, one["Values"]), lambda one: one["Values"]))
    return {"Errors": failed} if failed else {}


def batch_get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """BatchGetPartition: those that there are."""
    table, entries = _table(context, request), _each(request, "PartitionsToGet", "get")
    found = [table.partitions.get(tuple(one["Values"])) for one in entries]
    return {"Partitions": [_shown(context, table, one) for one in found if one is not None], "UnprocessedKeys": []}


# -- statistics ------------------------------------------------------------------------------------------------------


def _holder(context: RequestContext, request: ServiceRequest) -> dict[str, dict[str, Any]]:
    table = _table(context, request)
    values = request.get("PartitionValues")
    return table.statistics if values is None else _found(table, values).statistics


def put_statistics(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UpdateColumnStatisticsForTable and ...ForPartition."""
    table, held = _table(context, request), _holder(context, request)
    names = {
        column["Name"].lower()
        for column in [*((table.given.get("StorageDescriptor") or {}).get("Columns") or []), *table.keys]
    }
    failed = []
    for one in request["ColumnStatisticsList"]:
        if one["ColumnName"].lower() not in names:
            detail = {"ErrorCode": "EntityNotFoundException", "ErrorMessage": f"Column {one['ColumnName']} not found."}
            failed.append({"ColumnStatistics": one, "Error": detail})
        else:
            held[one["ColumnName"].lower()] = copy.deepcopy(dict(one)) | {
                "AnalyzedTime": one.get("AnalyzedTime") or datetime.now(UTC)
            }
    return {"Errors": failed} if failed else {}


def get_statistics(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetColumnStatisticsForTable and ...ForPartition."""
    held, names = _holder(context, request), request["ColumnNames"]
    missing = [
        {
            "ColumnName": name,
            "Error": {"ErrorCode": "EntityNotFoundException", "ErrorMessage": f"Statistics for {name} not found."},
        }
        for name in names
        if name.lower() not in held
    ]
    return {"ColumnStatisticsList": [held[n.lower()] for n in names if n.lower() in held], "Errors": missing}


def delete_statistics(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeleteColumnStatisticsForTable and ...ForPartition."""
    if _holder(context, request).pop(request["ColumnName"].lower(), None) is None:
        raise errors.not_found(f"Statistics for {request['ColumnName']} not found.")
    return {}
