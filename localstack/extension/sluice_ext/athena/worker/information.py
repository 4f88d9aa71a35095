"""information_schema of Athena, from the catalog: schemata, tables, columns, views.

https://docs.aws.amazon.com/athena/latest/ug/querying-glue-catalog.html
"""

from collections.abc import Iterator

import duckdb

from sluice_ext.athena.worker.channel import Engine
from sluice_ext.athena.worker.errors import QueryFailed
from sluice_ext.athena.worker.hive_types import quoted

CATALOG = "awsdatacatalog"
_COLUMNS = {
    "schemata": ("catalog_name", "schema_name"),
    "tables": ("table_catalog", "table_schema", "table_name", "table_type"),
    "columns": (
        "table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "column_default",
        "is_nullable", "data_type", "comment", "extra_info",
    ),
    "views": ("table_catalog", "table_schema", "table_name", "view_definition"),
}  # fmt: skip
_NAMES = {"string": "varchar", "int": "integer", "float": "real", "binary": "varbinary"}


def make(connection: duckdb.DuckDBPyConnection, engine: Engine, name: str) -> str:
    """Makes one of its tables in DuckDB and returns the name there."""
    if name not in _COLUMNS:
        raise QueryFailed(f"TABLE_NOT_FOUND: Table '{CATALOG}.information_schema.{name}' does not exist")
    made = f"__information_{name}"
    typed = ", ".join(f"{quoted(c)} {'BIGINT' if c == 'ordinal_position' else 'VARCHAR'}" for c in _COLUMNS[name])
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(made)} ({typed})")
    rows = list(_rows(engine, name))
    if rows:
        marks = ", ".join("?" * len(_COLUMNS[name]))
        connection.executemany(f"INSERT INTO {quoted(made)} VALUES ({marks})", rows)
    return made


def _rows(engine: Engine, name: str) -> Iterator[tuple[object, ...]]:
    for database in engine.ask("databases"):
        if name == "schemata":
            yield (CATALOG, database)
            continue
        for table in engine.ask("tables", database=database):
            where = (CATALOG, database, table["Name"])
            is_view = table.get("TableType") == "VIRTUAL_VIEW"
            if name == "tables":
                yield (*where, "VIEW" if is_view else "BASE TABLE")
            elif name == "views" and is_view:
                yield (*where, table.get("ViewOriginalText"))
            elif name == "columns":
                keys = table.get("PartitionKeys") or []
                own = (table.get("StorageDescriptor") or {}).get("Columns") or []
                for at, column in enumerate([*own, *keys], start=1):
                    kind = str(column.get("Type") or "string").lower()
                    extra = "partition key" if at > len(own) else None
                    shown = _NAMES.get(kind, kind)
                    yield (*where, column["Name"].lower(), at, None, "YES", shown, column.get("Comment"), extra)
