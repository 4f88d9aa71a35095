"""CREATE TABLE AS, INSERT INTO and UNLOAD: results as files in S3.

https://docs.aws.amazon.com/athena/latest/ug/ctas-insert-into-etl.html
"""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
from sqlglot import exp

from sluice_ext.athena.worker import ddl, queries
from sluice_ext.athena.worker.errors import QueryFailed, unsupported
from sluice_ext.athena.worker.hive_types import Type, duckdb_type, literal, quoted, result_type
from sluice_ext.athena.worker.queries import Found, Session
from sluice_ext.athena.worker.tables import DEFAULT_PARTITION

# https://docs.aws.amazon.com/athena/latest/ug/ctas-insert-into.html
_MAX_PARTITIONS = 100
_COMPRESSIONS = {
    "SNAPPY": "snappy",
    "GZIP": "gzip",
    "ZSTD": "zstd",
    "NONE": "uncompressed",
    "UNCOMPRESSED": "uncompressed",
}


def create_as(session: Session, statement: exp.Create, default_location: str) -> tuple[int, list[str]]:
    """CREATE TABLE ... WITH (...) AS SELECT. Returns how many rows it has, and the URIs of its files."""
    database, name = ddl.name_of(session, statement.this)
    if session.engine.ask("table", database=database, table=name) is not None:
        if statement.args.get("exists"):
            return 0, []
        raise QueryFailed(f"TABLE_ALREADY_EXISTS: Table '{queries.CATALOG}.{database}.{name}' already exists")
    options = _options(statement)
    keys = [str(key).lower() for key in options.pop("partitioned_by", [])]
    kind = str(options.pop("format", "PARQUET")).upper()
    compression = _compression(options, kind)
    location = str(options.pop("external_location", "") or default_location)
    if (
        str(options.pop("table_type", "HIVE")).upper() != "HIVE"
        or str(options.pop("is_external", True)).lower() == "false"
    ):
        raise unsupported("a table of Iceberg")
    if options:
        raise unsupported(f"the property {sorted(options)[0]} of CREATE TABLE AS")
    location = location.rstrip("/") + "/"
    if any(session.engine.ask("files", locations=[location])):
        raise QueryFailed(
            f"HIVE_PATH_ALREADY_EXISTS: Target directory for table '{database}.{name}' already exists: {location}"
        )
    found = queries.bind(session, queries.prepare(session, statement.expression))
    names, types = queries.column_names(found), [result_type(one) for one in found.types]
    _check(names, types, keys)
    no_data = any(isinstance(p, exp.WithDataProperty) and p.args.get("no") for p in ddl.properties(statement))
    rows, made = (0, []) if no_data else _write(session, found, names, keys, kind, compression, location)
    columns = [{"Name": n, "Type": k.hive} for n, k in zip(names, types, strict=True)]
    descriptor = ddl.storage(kind, [c for c in columns if c["Name"] not in keys], location)
    wanted = {
        "Name": name, "TableType": "EXTERNAL_TABLE", "Owner": "hadoop",
        "Parameters": {"EXTERNAL": "TRUE", "has_encrypted_data": "false"},
        "PartitionKeys": [c for c in columns if c["Name"] in keys], "StorageDescriptor": descriptor,
    }  # fmt: skip
    session.engine.ask("glue", operation="CreateTable", parameters={"DatabaseName": database, "TableInput": wanted})
    _register(session, database, name, descriptor, made)
    return rows, [uri for _, uri in made]


def insert(session: Session, statement: exp.Insert) -> tuple[int, list[str]]:
    """INSERT INTO a table: new files beside those that are there. Returns rows, and the URIs of the files."""
    target = statement.this
    named = [one.name.lower() for one in target.expressions] if isinstance(target, exp.Schema) else []
    table = session.table(*ddl.name_of(session, target.this if named else target))
    columns, keys = [n for n, _ in table.columns], [n for n, _ in table.keys]
    if table.is_view or table.format != "parquet":
        raise unsupported(f"INSERT INTO {table.database}.{table.name}, which is not a table of Parquet files")
    wanted = named or [*columns, *keys]
    found = queries.bind(session, queries.prepare(session, queries.as_select(statement.expression)))
    if len(found.columns) != len(wanted):
        raise QueryFailed(
            "TYPE_MISMATCH: Insert query has mismatched column types: "
            f"Table: {len(wanted)} columns, Query: {len(found.columns)} columns"
        )
    kinds = dict([*table.columns, *table.keys])
    unknown = set(wanted) - set(kinds)
    if unknown:
        raise QueryFailed(f"COLUMN_NOT_FOUND: Insert column name does not exist in target table: {sorted(unknown)[0]}")
    given = dict(zip(wanted, found.columns, strict=True))
    shown = ", ".join(
        f"CAST({quoted(given[n]) if n in given else 'NULL'} AS {duckdb_type(kinds[n])}) AS {quoted(n)}"
        for n in [*columns, *keys]
    )
    rows, made = _write(
        session,
        queries.bind(session, found.project(shown)),
        [*columns, *keys],
        keys,
        "PARQUET",
        "snappy",
        table.location.rstrip("/") + "/",
    )
    _register(session, table.database, table.name, dict(table.storage), made)
    return rows, [uri for _, uri in made]


def unload(session: Session, query: exp.Expression, location: str, options: dict[str, Any]) -> tuple[int, list[str]]:
    """UNLOAD: the result as files below a prefix that is empty. Returns rows, and the URIs of the files."""
    kind = str(options.pop("format", "PARQUET")).upper()
    compression = _compression(options, kind)
    keys = [str(key).lower() for key in options.pop("partitioned_by", [])]
    if options:
        raise unsupported(f"the option {sorted(options)[0]} of UNLOAD")
    location = location.rstrip("/") + "/"
    if any(session.engine.ask("files", locations=[location])):
        raise QueryFailed(f"HIVE_PATH_ALREADY_EXISTS: Target directory for table already exists: {location}")
    found = queries.bind(session, queries.prepare(session, query))
    names = queries.column_names(found)
    _check(names, [result_type(one) for one in found.types], keys)
    rows, made = _write(session, found, names, keys, kind, compression, location)
    return rows, [uri for _, uri in made]


# -- files -----------------------------------------------------------------------------------------------------------


def _check(names: list[str], types: list[Type], keys: list[str]) -> None:
    if len(set(names)) != len(names):
        raise QueryFailed("DUPLICATE_COLUMN_NAME: Column name is specified more than once")
    for name in names:
        if name.startswith("_col"):
            raise QueryFailed(f"MISSING_COLUMN_NAME: Column name not specified at position {names.index(name) + 1}")
    if any(kind.name == "unknown" for kind in types):
        raise QueryFailed("NOT_SUPPORTED: Column type is unknown: " + names[[k.name for k in types].index("unknown")])
    if keys and names[-len(keys) :] != keys:
        raise QueryFailed(
            "HIVE_COLUMN_ORDER_MISMATCH: Partition keys must be the last columns in the table and in the same order "
            "as the table properties: "
            f"{keys}"
        )


def _compression(options: dict[str, Any], kind: str) -> str:
    given = (
        options.pop("compression", None)
        or options.pop("write_compression", None)
        or options.pop("parquet_compression", None)
    )
    named = str(given or ("GZIP" if kind in ("PARQUET", "JSON", "TEXTFILE") else "NONE")).upper()
    if named not in _COMPRESSIONS:
        raise unsupported(f"the compression {named}")
    return _COMPRESSIONS[named]


def _write(
    session: Session, found: Found, names: Sequence[str], keys: list[str], kind: str, compression: str, location: str
) -> tuple[int, list[tuple[list[str], str]]]:
    """Writes the result and uploads it. Returns rows, and (partition values, URI) of each file."""
    if kind not in ("PARQUET", "JSON"):
        raise unsupported(f"writing the format {kind}")
    folder = session.folder / f"written-{uuid.uuid4().hex}"
    folder.mkdir()
    shown = ", ".join(f"{quoted(given)} AS {quoted(name)}" for given, name in zip(found.columns, names, strict=True))
    suffix = {"gzip": ".gz", "zstd": ".zst"}.get(compression, "")
    options = [f"FORMAT {kind}", f"COMPRESSION {compression}" if kind == "PARQUET" or suffix else "COMPRESSION none"]
    target = folder / f"data{'' if kind == 'PARQUET' else '.json' + suffix}"
    if keys:
        target = folder / "parts"
        listed = ", ".join(map(quoted, keys))
        options += [f"PARTITION_BY ({listed})", "OVERWRITE_OR_IGNORE"]
    try:
        session.connection.execute(f"CREATE OR REPLACE TEMP VIEW __written AS {found.project(shown)}")
        row = session.connection.execute(
            f"COPY (SELECT * FROM __written) TO {literal(str(target))} ({', '.join(options)})"
        ).fetchone()
    except duckdb.Error as error:
        raise queries.failure(error) from error
    assert row
    rows = int(row[0])
    files = sorted(one for one in folder.rglob("*") if one.is_file()) if keys else [target]
    if keys and len({one.parent for one in files}) > _MAX_PARTITIONS:
        raise QueryFailed("HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of 100 open writers for partitions/buckets")
    made = []
    for file in files if rows else []:
        relative = file.parent.relative_to(target) if keys else Path()
        values = [unquote(part.partition("=")[2]) for part in relative.parts]
        below = "".join(f"{k}={_path_value(v)}/" for k, v in zip(keys, values, strict=True))
        uri = f"{location}{below}{uuid.uuid4().hex}{'' if kind == 'PARQUET' else '.json' + suffix}"
        session.engine.ask("put", path=str(file), uri=uri)
        made.append((values, uri))
    return rows, made


def _path_value(value: str) -> str:
    return (
        "".join(f"%{ord(c):02X}" if c in "\"#%'*/:=?\\\x7f{[]^" or ord(c) < 32 else c for c in value)
        or DEFAULT_PARTITION
    )


def _register(
    session: Session, database: str, table: str, descriptor: dict[str, Any], made: list[tuple[list[str], str]]
) -> None:
    """New partitions join the catalog; those that it has stay as they are."""
    folders = {tuple(values): uri.rsplit("/", 1)[0] + "/" for values, uri in made if values}
    inputs = [
        {"Values": list(values), "StorageDescriptor": descriptor | {"Location": folder}, "Parameters": {}}
        for values, folder in folders.items()
    ]
    for first in range(0, len(inputs), 100):
        where = {"DatabaseName": database, "TableName": table, "PartitionInputList": inputs[first : first + 100]}
        session.engine.ask("glue", operation="BatchCreatePartition", parameters=where)


def _options(statement: exp.Create) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for one in ddl.properties(statement):
        match one:
            case exp.FileFormatProperty():
                options["format"] = one.name
            case exp.PartitionedByProperty():
                options["partitioned_by"] = [key.name for key in one.this.expressions]
            case exp.LocationProperty():
                options["external_location"] = one.name
            case exp.WithDataProperty():
                continue
            case exp.Property() if type(one) is exp.Property:
                options[one.this.name.lower()] = ddl.option(one.args["value"])
            case _:
                raise unsupported(one.sql("athena"))
    return options
