"""Databases, schemas, tables and columns, as the caller may see them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import psycopg
from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext import paging
from sluice_ext.redshift import credentials, errors
from sluice_ext.redshift.data import executing, requests
from sluice_ext.redshift.data.runner import open_connection
from sluice_ext.redshift.sql.errors import wording
from sluice_ext.redshift.sql.types import shown_name

_PAGE: Final = 1000
_HIDDEN: Final = "n.nspname !~ '^pg_(toast|temp)' AND n.nspname <> 'redshift_compat'"
_SCHEMAS: Final = f"SELECT n.nspname FROM pg_namespace n WHERE {_HIDDEN} AND n.nspname LIKE %(schema)s ORDER BY 1"
_KIND: Final = (
    "CASE WHEN c.relkind IN ('v', 'm') THEN CASE WHEN n.nspname IN ('pg_catalog', 'information_schema') "
    "THEN 'SYSTEM VIEW' ELSE 'VIEW' END WHEN n.nspname = 'pg_catalog' THEN 'SYSTEM TABLE' ELSE 'TABLE' END"
)
_TABLES: Final = (
    f"SELECT c.relname, {_KIND}, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relkind IN ('r', 'p', 'v', 'm') AND {_HIDDEN} AND n.nspname LIKE %(schema)s AND c.relname LIKE %(table)s "
    "AND has_schema_privilege(n.oid, 'usage') ORDER BY 3, 1"
)
_COLUMNS: Final = (
    "SELECT a.attname, t.typname, a.atttypmod, NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid), n.nspname, a.attlen "
    "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
    "WHERE c.relname = %(table)s AND n.nspname = %(schema)s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)


def page[T](listed: Sequence[T], request: Mapping[str, Any], largest: int) -> tuple[list[T], dict[str, str]]:
    """A page of a list, and {"NextToken": ...} when there is another."""
    size = request.get("MaxResults") or largest
    if not 1 <= size <= largest:
        raise errors.invalid(f"MaxResults must be between 0 and {largest}.")
    try:
        found, more = paging.page(listed, request.get("NextToken"), size)
    except paging.BadToken:
        raise errors.invalid("The NextToken is not valid.") from None
    return found, {"NextToken": more} if more else {}


def _rows(context: RequestContext, request: Mapping[str, Any], query: Any, values: Mapping[str, Any]) -> list[Any]:
    """Rows of a query in the request's database, as its user."""
    target, password = requests.target_of(context, request, credentials.identity_of(context))
    try:
        with open_connection(target, password) as connection:
            return connection.execute(query, values).fetchall()
    except executing.Failed as error:
        raise errors.named("DatabaseConnectionException", str(error)) from error
    except psycopg.Error as error:
        raise errors.invalid(wording(error)) from error


def databases(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ListDatabases: a namespace has one."""
    rows = _rows(context, request, "SELECT 1", {})
    target, _ = requests.target_of(context, request, credentials.identity_of(context))
    found, more = page([target.database for _ in rows], request, _PAGE)
    return {"Databases": found} | more


def schemas(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ListSchemas."""
    rows = _rows(context, request, _SCHEMAS, {"schema": request.get("SchemaPattern") or "%"})
    found, more = page([name for (name,) in rows], request, _PAGE)
    return {"Schemas": found} | more


def tables(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ListTables."""
    values = {"schema": request.get("SchemaPattern") or "%", "table": request.get("TablePattern") or "%"}
    rows = _rows(context, request, _TABLES, values)
    listed = [{"name": name, "type": kind, "schema": schema} for name, kind, schema in rows]
    found, more = page(listed, request, _PAGE)
    return {"Tables": found} | more


def table(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DescribeTable. A table that does not exist has no columns."""
    if not request.get("Table"):
        raise errors.invalid("Table needs to be specified.")
    name, schema = str(request["Table"]), str(request.get("Schema") or "public")
    rows = _rows(context, request, _COLUMNS, {"schema": schema, "table": name})
    found, more = page([_column(row, name) for row in rows], request, _PAGE)
    return {"ColumnList": found, "TableName": name} | more


def _column(row: Sequence[Any], table_name: str) -> dict[str, Any]:
    name, kind, modifier, nullable, default, schema, size = row
    kind = shown_name(kind)
    precision, scale, length = 0, 0, max(size, 0)
    if kind == "numeric" and modifier >= 4:
        precision, scale = (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0xFFFF
        length = precision
    elif kind in ("varchar", "bpchar"):
        length = precision = modifier - 4 if modifier >= 4 else 65_535
    found = {
        "isCaseSensitive": kind in ("varchar", "bpchar"),
        "isCurrency": False,
        "isSigned": kind in ("int2", "int4", "int8", "float4", "float8", "numeric"),
        "label": name,
        "name": name,
        "nullable": int(nullable),
        "precision": precision,
        "scale": scale,
        "schemaName": schema,
        "tableName": table_name,
        "typeName": kind,
        "length": length,
    }
    return found | ({"columnDefault": default} if default is not None else {})


OPERATIONS: dict[str, Callable[[RequestContext, ServiceRequest], ServiceResponse]] = {
    "ListDatabases": databases,
    "ListSchemas": schemas,
    "ListTables": tables,
    "DescribeTable": table,
}
