"""Databases and tables of the catalog. https://docs.aws.amazon.com/glue/latest/webapi/API_Table.html"""

import copy
import re
from datetime import UTC, datetime
from typing import Any, Final

from localstack.aws.api import CommonServiceException, RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.glue import errors
from sluice_ext.glue.store import CATALOGS, MAX_INDEXES, Catalog, Database, Table, page

_MAX_NAME: Final = 255
# GetTables and GetDatabases return at most this many.
_PAGE: Final = 100
_BATCH_DELETE: Final = 100


def catalog_of(context: RequestContext, request: ServiceRequest) -> Catalog:
    """The catalog that a request names. Raises EntityNotFoundException for another account's."""
    wanted = request.get("CatalogId")
    if wanted and wanted != context.account_id:
        raise errors.not_found(f"Catalog {wanted} not found: this engine has the catalog of {context.account_id}.")
    return CATALOGS.of(context.account_id, context.region)


def checked_name(name: str, what: str) -> str:
    """A name as the catalog stores it: lower case. Raises InvalidInputException."""
    if not 1 <= len(name) <= _MAX_NAME or re.search(r"[\x00-\x1f\x7f]", name):
        raise errors.invalid(f"{what} name must have 1 to {_MAX_NAME} characters, none of them a control character")
    return name.lower()


# -- databases -------------------------------------------------------------------------------------------------------


def create_database(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """CreateDatabase."""
    catalog, given = catalog_of(context, request), copy.deepcopy(dict(request["DatabaseInput"]))
    given["Name"] = checked_name(given["Name"], "Database")
    if given["Name"] in catalog.databases:
        raise errors.exists("Database already exists.")
    catalog.databases[given["Name"]] = Database(given)
    if request.get("Tags"):
        catalog.tags[database_arn(context, given["Name"])] = dict(request["Tags"])
    return {}


def database_arn(context: RequestContext, name: str) -> str:
    """ARN of a database."""
    return f"arn:{context.partition}:glue:{context.region}:{context.account_id}:database/{name}"


def _database(context: RequestContext, database: Database) -> dict[str, Any]:
    # What AWS gives a database without Lake Formation's permissions.
    default = [{"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}]
    return {"CreateTableDefaultPermissions": default} | database.given | {
        "CreateTime": database.created,
        "CatalogId": context.account_id,
    }  # fmt: skip


def get_database(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetDatabase."""
    return {"Database": _database(context, catalog_of(context, request).database(request["Name"]))}


def get_databases(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetDatabases, by name."""
    listed = sorted(catalog_of(context, request).databases.items())
    found, more = page(listed, request, _PAGE)
    return {"DatabaseList": [_database(context, one) for _, one in found]} | more


def update_database(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UpdateDatabase: replaces its input; the name stays."""
    database, given = catalog_of(context, request).database(request["Name"]), dict(request["DatabaseInput"])
    if given["Name"].lower() != request["Name"].lower():
        raise errors.invalid("A database cannot be renamed.")
    database.given = copy.deepcopy(given) | {"Name": request["Name"].lower()}
    return {}


def delete_database(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeleteDatabase, with its tables."""
    catalog = catalog_of(context, request)
    catalog.database(request["Name"])
    del catalog.databases[request["Name"].lower()]
    catalog.tags.pop(database_arn(context, request["Name"].lower()), None)
    return {}


# -- tables ----------------------------------------------------------------------------------------------------------


def create_table(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """CreateTable, with its partition indexes."""
    if request.get("OpenTableFormatInput"):
        raise errors.invalid("OpenTableFormatInput (Iceberg) is not supported by this engine.")
    database, given = catalog_of(context, request).database(request["DatabaseName"]), _table_input(request)
    if given["Name"] in database.tables:
        raise errors.exists("Table already exists.")
    table = Table(str(database.given["Name"]), {0: given}, {0: datetime.now(UTC)})
    for index in request.get("PartitionIndexes") or []:
        add_index(table, index)
    database.tables[given["Name"]] = table
    return {}


def _table_input(request: ServiceRequest) -> dict[str, Any]:
    given = copy.deepcopy(dict(request["TableInput"]))
    given["Name"] = checked_name(given["Name"], "Table")
    listed = [*((given.get("StorageDescriptor") or {}).get("Columns") or []), *(given.get("PartitionKeys") or [])]
    names = [column["Name"].lower() for column in listed]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise errors.invalid(f"Column {twice[0]} is named more than once.")
    return given


def shown_table(context: RequestContext, table: Table, version: int | None = None) -> dict[str, Any]:
    """A table, or a version of it, as GetTable returns it."""
    number = table.version if version is None else version
    return {"Retention": 0, "PartitionKeys": []} | table.versions[number] | {
        "DatabaseName": table.database,
        "CreateTime": table.created,
        "UpdateTime": table.updated[number],
        "CreatedBy": f"arn:{context.partition}:iam::{context.account_id}:root",
        "IsRegisteredWithLakeFormation": False,
        "CatalogId": context.account_id,
        "VersionId": str(number),
        "IsMultiDialectView": False,
    }  # fmt: skip


def get_table(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetTable."""
    return {"Table": shown_table(context, catalog_of(context, request).table(request["DatabaseName"], request["Name"]))}


def get_tables(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetTables, by name; ``Expression`` is a regular expression over the whole name, in which * alone is any text."""
    tables = catalog_of(context, request).database(request["DatabaseName"]).tables
    expression = request.get("Expression")
    names = sorted(tables)
    if expression:
        try:
            wanted = re.compile(re.sub(r"(?<![.\])])\*", ".*", expression), re.IGNORECASE)
        except re.error as error:
            raise errors.invalid(f"Expression: {error}") from None
        names = [name for name in names if wanted.fullmatch(name)]
    found, more = page(names, request, _PAGE)
    return {"TableList": [shown_table(context, tables[name]) for name in found]} | more


def update_table(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UpdateTable: a new version, unless ``SkipArchive``."""
    name = request.get("Name") or request["TableInput"]["Name"]
    table = catalog_of(context, request).table(request["DatabaseName"], name)
    given = _table_input(request)
    if given["Name"] != table.name:
        raise errors.invalid("A table cannot be renamed.")
    expected = request.get("VersionId")
    if expected is not None and expected != str(table.version):
        raise errors.concurrent(f"Update table failed due to concurrent modifications: its version is {table.version}")
    number = table.version + 1
    if request.get("SkipArchive"):
        last = table.version
        del table.versions[last], table.updated[last]
    table.versions[number], table.updated[number] = given, datetime.now(UTC)
    return {}


def delete_table(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeleteTable, with its versions and partitions."""
    catalog = catalog_of(context, request)
    catalog.table(request["DatabaseName"], request["Name"])
    del catalog.database(request["DatabaseName"]).tables[request["Name"].lower()]
    return {}


def batch_delete_table(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """BatchDeleteTable: those that there are go, the others are named."""
    database = catalog_of(context, request).database(request["DatabaseName"])
    if len(request["TablesToDelete"]) > _BATCH_DELETE:
        raise errors.invalid(f"TablesToDelete has more than {_BATCH_DELETE} names.")
    missing = [name for name in request["TablesToDelete"] if database.tables.pop(name.lower(), None) is None]
    shown = [
        {
            "TableName": n,
            "ErrorDetail": {"ErrorCode": "EntityNotFoundException", "ErrorMessage": f"Table {n} not found."},
        }
        for n in missing
    ]
    return {"Errors": shown} if shown else {}


# -- versions --------------------------------------------------------------------------------------------------------


def _version(table: Table, asked: str | None) -> int:
    if asked is None:
        return table.version
    if not asked.isdigit():
        raise errors.invalid(f"Version {asked} is not a number.")
    if int(asked) not in table.versions:
        raise errors.not_found(f"Version not found: {asked}")
    return int(asked)


def get_table_version(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetTableVersion."""
    table = catalog_of(context, request).table(request["DatabaseName"], request["TableName"])
    number = _version(table, request.get("VersionId"))
    return {"TableVersion": {"Table": shown_table(context, table, number), "VersionId": str(number)}}


def get_table_versions(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetTableVersions, the newest first."""
    table = catalog_of(context, request).table(request["DatabaseName"], request["TableName"])
    found, more = page(sorted(table.versions, reverse=True), request, _PAGE)
    return {"TableVersions": [{"Table": shown_table(context, table, n), "VersionId": str(n)} for n in found]} | more


def delete_table_version(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeleteTableVersion; the present version stays."""
    table = catalog_of(context, request).table(request["DatabaseName"], request["TableName"])
    _delete_version(table, request["VersionId"])
    return {}


def _delete_version(table: Table, asked: str) -> None:
    number = _version(table, asked)
    if number == table.version:
        raise errors.invalid("The current version of a table cannot be deleted.")
    del table.versions[number], table.updated[number]


def batch_delete_table_version(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """BatchDeleteTableVersion."""
    table = catalog_of(context, request).table(request["DatabaseName"], request["TableName"])
    failed = []
    for asked in request["VersionIds"]:
        try:
            _delete_version(table, asked)
        except CommonServiceException as error:
            detail = {"ErrorCode": error.code, "ErrorMessage": error.message}
            failed.append({"TableName": table.name, "VersionId": asked, "ErrorDetail": detail})
    return {"Errors": failed} if failed else {}


# -- partition indexes -----------------------------------------------------------------------------------------------


def add_index(table: Table, given: dict[str, Any]) -> None:
    """An index is active at once: there is nothing to build."""
    keys = {key["Name"].lower(): key for key in table.keys}
    unknown = [name for name in given["Keys"] if name.lower() not in keys]
    if unknown or not given["Keys"]:
        raise errors.invalid(
            f"Partition key {unknown[0] if unknown else '(none)'} of an index is not a key of the table."
        )
    if given["IndexName"] in table.indexes:
        raise errors.exists(f"Index {given['IndexName']} already exists.")
    if len(table.indexes) >= MAX_INDEXES:
        raise errors.too_many(f"A table has at most {MAX_INDEXES} indexes.")
    shown = [{"Name": name, "Type": keys[name.lower()].get("Type")} for name in given["Keys"]]
    table.indexes[given["IndexName"]] = {"IndexName": given["IndexName"], "Keys": shown, "IndexStatus": "ACTIVE"}


def create_index(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """CreatePartitionIndex."""
    add_index(
        catalog_of(context, request).table(request["DatabaseName"], request["TableName"]), request["PartitionIndex"]
    )
    return {}


def get_indexes(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetPartitionIndexes."""
    table = catalog_of(context, request).table(request["DatabaseName"], request["TableName"])
    return {"PartitionIndexDescriptorList": list(table.indexes.values())}


def delete_index(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeletePartitionIndex."""
    table = catalog_of(context, request).table(request["DatabaseName"], request["TableName"])
    if table.indexes.pop(request["IndexName"], None) is None:
        raise errors.not_found(f"Index {request['IndexName']} not found.")
    return {}
