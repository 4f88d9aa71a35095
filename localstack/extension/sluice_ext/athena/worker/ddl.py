"""CREATE, ALTER and DROP: statements that change the catalog.

https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlglot import exp

from sluice_ext.athena.worker import queries, results
from sluice_ext.athena.worker.errors import QueryFailed, unsupported
from sluice_ext.athena.worker.hive_types import result_type
from sluice_ext.athena.worker.queries import Session

_MAPRED = "org.apache.hadoop.mapred"
_FORMATS = {
    "PARQUET": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    "TEXTFILE": (
        f"{_MAPRED}.TextInputFormat",
        "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
    ),
    "JSON": (
        f"{_MAPRED}.TextInputFormat",
        "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "org.openx.data.jsonserde.JsonSerDe",
    ),
}


def storage(
    kind: str, columns: Sequence[dict[str, Any]], location: str, serde_parameters: dict[str, str] | None = None
) -> dict[str, Any]:
    """A StorageDescriptor of the catalog."""
    if kind not in _FORMATS:
        raise unsupported(f"the format {kind}")
    reads, writes, serde = _FORMATS[kind]
    return {
        "Columns": list(columns),
        "Location": location,
        "InputFormat": reads,
        "OutputFormat": writes,
        "Compressed": False,
        "NumberOfBuckets": 0,
        "SerdeInfo": {
            "SerializationLibrary": serde,
            "Parameters": serde_parameters or {"serialization.format": "1"},
        },
        "BucketColumns": [],
        "SortColumns": [],
        "StoredAsSubDirectories": False,
    }


def name_of(session: Session, table: exp.Table) -> tuple[str, str]:
    """(database, table) that a statement names."""
    return (table.db or session.database).lower(), table.name.lower()


def create(session: Session, statement: exp.Create) -> None:
    """CREATE DATABASE, EXTERNAL TABLE or VIEW."""
    kind = str(statement.kind).upper()
    if kind in ("SCHEMA", "DATABASE"):
        _create_database(session, statement)
    elif kind == "VIEW":
        _create_view(session, statement)
    elif kind == "TABLE":
        _create_table(session, statement)
    else:
        raise unsupported(f"CREATE {kind}")


def _create_database(session: Session, statement: exp.Create) -> None:
    target = statement.this
    wanted: dict[str, Any] = {"Name": (target.name or target.db).lower()}
    for one in properties(statement):
        if isinstance(one, exp.LocationProperty):
            wanted["LocationUri"] = one.name
        elif isinstance(one, exp.SchemaCommentProperty):
            wanted["Description"] = one.name
    if statement.args.get("exists") and wanted["Name"] in session.engine.ask("databases"):
        return
    session.engine.ask("glue", operation="CreateDatabase", parameters={"DatabaseInput": wanted})


def _create_table(session: Session, statement: exp.Create) -> None:
    schema = statement.this
    if not isinstance(schema, exp.Schema):
        raise unsupported("CREATE TABLE without columns")
    if not any(isinstance(one, exp.ExternalProperty) for one in properties(statement)):
        raise unsupported("CREATE TABLE that is not EXTERNAL (an Iceberg table)")
    database, name = name_of(session, schema.this)
    wanted: dict[str, Any] = {
        "Name": name, "TableType": "EXTERNAL_TABLE", "Parameters": {"EXTERNAL": "TRUE"}, "PartitionKeys": [],
        "Owner": "hadoop",
    }  # fmt: skip
    kind, serde, parameters, formats, location = "TEXTFILE", None, {"serialization.format": "1"}, None, ""
    for one in properties(statement):
        match one:
            case exp.LocationProperty():
                location = one.name
            case exp.SchemaCommentProperty():
                wanted["Parameters"]["comment"] = wanted["Description"] = one.name
            case exp.PartitionedByProperty():
                wanted["PartitionKeys"] = _columns(one.this.expressions)
            case exp.RowFormatSerdeProperty():
                serde = one.name
                listed = one.args.get("serde_properties")
                parameters |= {p.this.name: p.args["value"].name for p in listed.expressions} if listed else {}
            case exp.RowFormatDelimitedProperty():
                named = {
                    "fields": "field.delim",
                    "escaped": "escape.delim",
                    "lines": "line.delim",
                    "null": "serialization.null.format",
                }
                parameters |= {to: one.args[key].name for key, to in named.items() if one.args.get(key)}
                if "field.delim" in parameters:
                    parameters["serialization.format"] = parameters["field.delim"]
            case exp.FileFormatProperty() if isinstance(one.this, exp.InputOutputFormat):
                formats = one.this.args["input_format"].name, one.this.args["output_format"].name
            case exp.FileFormatProperty():
                kind = one.name.upper()
            case exp.Property() if type(one) is exp.Property:
                wanted["Parameters"][one.this.name] = one.args["value"].name
            case exp.ExternalProperty():
                continue
            case _:
                raise unsupported(one.sql("athena"))
    if not location.startswith("s3://"):
        raise QueryFailed("FAILED: SemanticException table location must be provided")
    descriptor = storage(kind, _columns(schema.expressions), location.rstrip("/") + "/", parameters)
    if serde:
        descriptor["SerdeInfo"]["SerializationLibrary"] = serde
    if formats:
        descriptor["InputFormat"], descriptor["OutputFormat"] = formats
    _save_table(session, database, wanted | {"StorageDescriptor": descriptor}, bool(statement.args.get("exists")))


def _save_table(session: Session, database: str, wanted: dict[str, Any], if_missing: bool) -> None:
    if session.engine.ask("table", database=database, table=wanted["Name"]) is not None:
        if if_missing:
            return
        raise QueryFailed(
            "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "
            f"AlreadyExistsException(message:Table {wanted['Name']} already exists)"
        )
    session.engine.ask("glue", operation="CreateTable", parameters={"DatabaseName": database, "TableInput": wanted})


def _columns(listed: Sequence[exp.Expression]) -> list[dict[str, Any]]:
    found = []
    for one in listed:
        if not isinstance(one, exp.ColumnDef):
            raise unsupported(one.sql("athena"))
        column = {"Name": one.name.lower(), "Type": hive_type(one.args["kind"])}
        comment = one.find(exp.CommentColumnConstraint)
        if comment:
            column["Comment"] = comment.name
        found.append(column)
    return found


def hive_type(kind: exp.Expression) -> str:
    """A type of a statement as the catalog writes it: struct<a:int,b:array<string>>."""
    return re.sub(r"\s*([<>:,()])\s*", r"\1", kind.sql(dialect="hive").lower())


# -- views -----------------------------------------------------------------------------------------------------------


def _create_view(session: Session, statement: exp.Create) -> None:
    database, name = name_of(session, statement.this)
    sql = statement.expression.sql(dialect="athena")
    found = queries.bind(session, queries.prepare(session, statement.expression))
    columns = [(n, result_type(k)) for n, k in zip(queries.column_names(found), found.types, strict=True)]
    stored = {
        "originalSql": sql,
        "catalog": queries.CATALOG,
        "schema": database,
        "columns": [{"name": n, "type": results.trino_type(k)} for n, k in columns],
    }
    encoded = base64.b64encode(json.dumps(stored, separators=(",", ":")).encode()).decode()
    wanted = {
        "Name": name,
        "TableType": "VIRTUAL_VIEW",
        "ViewOriginalText": f"/* Presto View: {encoded} */",
        "ViewExpandedText": "/* Presto View */",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "PartitionKeys": [],
        "StorageDescriptor": {
            "Columns": [{"Name": n, "Type": k.hive} for n, k in columns],
            "Location": "",
            "SerdeInfo": {},
        },
    }
    before = session.engine.ask("table", database=database, table=name)
    if before is not None and not statement.args.get("replace"):
        if statement.args.get("exists"):
            return
        raise QueryFailed(f"ALREADY_EXISTS: View already exists: '{queries.CATALOG}.{database}.{name}'")
    operation = "CreateTable" if before is None else "UpdateTable"
    session.engine.ask("glue", operation=operation, parameters={"DatabaseName": database, "TableInput": wanted})


# -- changes ---------------------------------------------------------------------------------------------------------


def drop(session: Session, statement: exp.Drop) -> None:
    """DROP DATABASE, TABLE or VIEW. Files stay."""
    kind = str(statement.kind).upper()
    target = statement.this if isinstance(statement.this, exp.Table) else statement.args["tables"][0]
    if kind in ("SCHEMA", "DATABASE"):
        _drop_database(session, (target.name or target.db).lower(), statement)
        return
    if kind not in ("TABLE", "VIEW"):
        raise unsupported(f"DROP {kind}")
    database, name = name_of(session, target)
    found = session.engine.ask("table", database=database, table=name)
    if found is None:
        if statement.args.get("exists"):
            return
        raise QueryFailed(f"FAILED: SemanticException [Error 10001]: Table not found {database}.{name}")
    if (kind == "VIEW") != (found.get("TableType") == "VIRTUAL_VIEW"):
        raise QueryFailed(f"FAILED: SemanticException Cannot drop {database}.{name} with DROP {kind}")
    session.engine.ask("glue", operation="DeleteTable", parameters={"DatabaseName": database, "Name": name})


def _drop_database(session: Session, name: str, statement: exp.Drop) -> None:
    if name not in session.engine.ask("databases"):
        if statement.args.get("exists"):
            return
        raise QueryFailed(f"FAILED: SemanticException [Error 10072]: Database does not exist: {name}")
    if session.engine.ask("tables", database=name) and not statement.args.get("cascade"):
        raise QueryFailed(
            "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "
            f"InvalidOperationException(message:Database {name} is not empty. One or more tables exist.)"
        )
    session.engine.ask("glue", operation="DeleteDatabase", parameters={"Name": name})


def alter(session: Session, statement: exp.Alter) -> None:
    """ALTER TABLE ... DROP PARTITION, ADD COLUMNS, SET TBLPROPERTIES; ADD PARTITION is in `partition_statements`."""
    database, name = name_of(session, statement.this)
    table = session.table(database, name)
    where = {"DatabaseName": database, "TableName": name}
    for action in statement.args["actions"]:
        if isinstance(action, exp.DropPartition):
            for values in _partition_values(action, [key for key, _ in table.keys]):
                if session.engine.ask("partition", database=database, table=name, values=values) is not None:
                    session.engine.ask(
                        "glue", operation="DeletePartition", parameters=where | {"PartitionValues": values}
                    )
                elif not action.args.get("exists"):
                    raise QueryFailed(f"FAILED: SemanticException [Error 10006]: Partition not found {values}")
            continue
        changed = {k: v for k, v in table.described.items() if k in _TABLE_INPUT}
        if isinstance(action, exp.Schema):
            columns = [*changed["StorageDescriptor"]["Columns"], *_columns(action.expressions)]
            changed["StorageDescriptor"] = changed["StorageDescriptor"] | {"Columns": columns}
        elif isinstance(action, exp.AlterSet):
            more = {p.this.name: p.args["value"].name for p in action.find_all(exp.Property)}
            changed["Parameters"] = dict(table.parameters) | more
        else:
            raise unsupported(f"ALTER TABLE {action.sql('athena')}")
        session.engine.ask(
            "glue", operation="UpdateTable", parameters={"DatabaseName": database, "TableInput": changed}
        )


# What of GetTable's answer TableInput takes.
_TABLE_INPUT = frozenset(
    ("Name", "Description", "Owner", "LastAccessTime", "LastAnalyzedTime", "Retention", "StorageDescriptor",
     "PartitionKeys", "ViewOriginalText", "ViewExpandedText", "TableType", "Parameters", "TargetTable")
)  # fmt: skip


def _partition_values(action: exp.DropPartition, keys: list[str]) -> Iterator[list[str]]:
    for one in action.expressions:
        given = {}
        for condition in one.expressions:
            if not isinstance(condition, exp.EQ):
                raise unsupported(f"DROP PARTITION with {condition.sql('athena')}")
            given[condition.this.name.lower()] = condition.expression.name
        if set(given) != set(keys):
            raise QueryFailed(f"FAILED: SemanticException a partition needs all of {', '.join(keys)}")
        yield [given[key] for key in keys]


def properties(statement: exp.Create) -> list[exp.Expression]:
    """What a CREATE statement says beside columns and query: format, location, comment, ..."""
    found = statement.args.get("properties")
    return list(found.expressions) if found else []


def option(value: exp.Expression) -> str | list[str]:
    """The value of an option in WITH (...): a text, or the texts of an ARRAY."""
    return [one.name for one in value.expressions] if isinstance(value, exp.Array) else str(value.name)
