"""The catalog through Athena's API: data catalogs, databases and tables."""

from collections.abc import Callable
from typing import Any, Final

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.athena import workgroups
from sluice_ext.athena.caller import access_key_of, clients
from sluice_ext.athena.errors import invalid, missing_metadata

CATALOG: Final = "AwsDataCatalog"


def _glue(context: RequestContext) -> Any:
    return clients(access_key_of(context), context.region).glue


def _check(request: ServiceRequest) -> None:
    name = request.get("CatalogName") or request.get("Name")
    if str(name).lower() != CATALOG.lower():
        raise invalid(f"Data catalog {name} was not found: this engine has {CATALOG}")


def _list_catalogs(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    del context, request
    return {"DataCatalogsSummary": [{"CatalogName": CATALOG, "Type": "GLUE"}]}


def _get_catalog(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    _check(request)
    return {"DataCatalog": {"Name": CATALOG, "Type": "GLUE", "Parameters": {"catalog-id": context.account_id}}}


def _list_databases(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    _check(request)
    pages = _glue(context).get_paginator("get_databases").paginate()
    listed = [_database(one) for page in pages for one in page["DatabaseList"]]
    found, token = workgroups.page(listed, request, 50)
    return {"DatabaseList": found, "NextToken": token}


def _database(one: dict[str, Any]) -> dict[str, Any]:
    shown = {"Name": one["Name"], "Parameters": one.get("Parameters") or {}}
    return shown | ({"Description": one["Description"]} if one.get("Description") else {})


def _get_database(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    _check(request)
    glue = _glue(context)
    try:
        return {"Database": _database(glue.get_database(Name=request["DatabaseName"])["Database"])}
    except glue.exceptions.EntityNotFoundException:
        raise missing_metadata(f"Database {request['DatabaseName']} not found.") from None


def _table(one: dict[str, Any]) -> dict[str, Any]:
    def columns(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: c[key] for key in ("Name", "Type", "Comment") if c.get(key)} for c in listed]

    storage = one.get("StorageDescriptor") or {}
    serde = storage.get("SerdeInfo") or {}
    more = {
        "location": storage.get("Location"),
        "inputformat": storage.get("InputFormat"),
        "outputformat": storage.get("OutputFormat"),
        "serde.serialization.lib": serde.get("SerializationLibrary"),
    }
    parameters = {k: v for k, v in more.items() if v} | {
        f"serde.param.{k}": v for k, v in (serde.get("Parameters") or {}).items()
    }
    return {
        "Name": one["Name"],
        "CreateTime": one.get("CreateTime"),
        "LastAccessTime": one.get("LastAccessTime"),
        "TableType": one.get("TableType"),
        "Columns": columns(storage.get("Columns") or []),
        "PartitionKeys": columns(one.get("PartitionKeys") or []),
        "Parameters": dict(one.get("Parameters") or {}) | parameters,
    }


def _get_table(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    _check(request)
    glue = _glue(context)
    try:
        found = glue.get_table(DatabaseName=request["DatabaseName"], Name=request["TableName"])["Table"]
    except glue.exceptions.EntityNotFoundException:
        raise missing_metadata(f"EntityNotFoundException: Table {request['TableName']} not found.") from None
    return {"TableMetadata": _table(found)}


def _list_tables(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    _check(request)
    glue = _glue(context)
    wanted = {"Expression": request["Expression"]} if request.get("Expression") else {}
    try:
        pages = glue.get_paginator("get_tables").paginate(DatabaseName=request["DatabaseName"], **wanted)
        listed = [_table(one) for page in pages for one in page["TableList"]]
    except glue.exceptions.EntityNotFoundException:
        raise missing_metadata(f"Database {request['DatabaseName']} not found.") from None
    found, token = workgroups.page(listed, request, 50)
    return {"TableMetadataList": found, "NextToken": token}


def _engines(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    del context, request
    versions = ("AUTO", "Athena engine version 3")
    return {
        "EngineVersions": [
            {"SelectedEngineVersion": one, "EffectiveEngineVersion": "Athena engine version 3"} for one in versions
        ]
    }


OPERATIONS: dict[str, Callable[[RequestContext, ServiceRequest], ServiceResponse]] = {
    "ListDataCatalogs": _list_catalogs,
    "GetDataCatalog": _get_catalog,
    "ListDatabases": _list_databases,
    "GetDatabase": _get_database,
    "GetTableMetadata": _get_table,
    "ListTableMetadata": _list_tables,
    "ListEngineVersions": _engines,
}
