"""Where dynamic frames come from and go to: files of S3, and tables of the catalog."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - its usual name
from pyspark.sql.types import StructType

from awsglue import bookmarks
from awsglue.utils import Unsupported

_FORMATS = {
    "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe": "parquet",
    "org.openx.data.jsonserde.JsonSerDe": "json",
    "org.apache.hive.hcatalog.data.JsonSerDe": "json",
    "org.apache.hadoop.hive.serde2.OpenCSVSerde": "csv",
    "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe": "csv",
    "org.apache.hadoop.hive.ql.io.orc.OrcSerde": "orc",
}


def _kind(name: str | None) -> str:
    found = {"glueparquet": "parquet", "csv": "csv", "json": "json", "parquet": "parquet", "orc": "orc"}
    if not name or name not in found:
        raise Unsupported(f"the format {name} is not supported by this engine: it has csv, json, parquet and orc")
    return found[name]


def _read(
    spark: SparkSession, kind: str, paths: Sequence[str], options: Mapping[str, Any], schema: StructType | None,
    context: str, base: str | None = None,
) -> DataFrame:  # fmt: skip
    """The files below these paths; with a bookmark those that no committed run has seen."""
    reader = spark.read.format(kind).options(**{key: str(value) for key, value in options.items()})
    if schema is not None:
        reader = reader.schema(schema)
    wanted = list(paths)
    if bookmarks.STATE.enabled and context:
        wanted = bookmarks.STATE.unseen(context, paths)
        if len(paths) == 1:
            reader = reader.option("basePath", paths[0])
    elif base:
        reader = reader.option("basePath", base)
    if not wanted:
        return spark.createDataFrame([], schema or StructType([]))
    return reader.load(wanted)


def from_options(
    spark: SparkSession, connection_type: str, connection: Mapping[str, Any], kind: str | None,
    given: Mapping[str, Any], context: str,
) -> DataFrame:  # fmt: skip
    """A data frame of files of S3."""
    if connection_type not in ("s3", "file", "parquet", "orc"):
        raise Unsupported(f"the connection type {connection_type} is not supported by this engine: it has s3")
    if connection.get("exclusions"):
        raise Unsupported("exclusions are not supported by this engine")
    paths = connection.get("paths") or [connection["path"]]
    name = _kind(kind or (connection_type if connection_type in ("parquet", "orc") else None))
    return _read(spark, name, paths, _reading(name, given), None, context)


def _reading(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Spark's options of AWS's. https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-format.html"""
    if kind == "csv":
        return {
            "header": str(given.get("withHeader", False)).lower(), "sep": given.get("separator", ","),
            "quote": "" if given.get("quoteChar") == -1 else given.get("quoteChar", '"'),
            "escape": given.get("escaper") or '"', "multiLine": str(given.get("multiLine", False)).lower(),
        }  # fmt: skip
    if kind == "json":
        if given.get("jsonPath"):
            raise Unsupported("jsonPath is not supported by this engine")
        return {"multiLine": str(given.get("multiline", False)).lower()}
    return {}


def to_options(
    frame: DataFrame, connection_type: str, connection: Mapping[str, Any], kind: str | None, given: Mapping[str, Any]
) -> None:
    """New files below a path."""
    if connection_type != "s3":
        raise Unsupported(f"the connection type {connection_type} is not supported by this engine: it has s3")
    _write(frame, _kind(kind), connection["path"], connection.get("partitionKeys") or [], given, connection)


def _write(
    frame: DataFrame, kind: str, path: str, keys: Sequence[str], given: Mapping[str, Any], connection: Mapping[str, Any]
) -> None:
    options: dict[str, str] = {}
    if kind == "csv":
        options = {
            "header": str(given.get("writeHeader", True)).lower(), "sep": given.get("separator", ","), "escape": '"'
        }  # fmt: skip
    compression = given.get("compression") or connection.get("compression")
    if compression:
        options["compression"] = str(compression)
    writer = frame.write.format(kind).mode("append").options(**options)
    (writer.partitionBy(*keys) if keys else writer).save(path)


# -- catalog ---------------------------------------------------------------------------------------------------------


def _table(database: str, name: str) -> dict[str, Any]:
    return dict(boto3.client("glue").get_table(DatabaseName=database, Name=name)["Table"])


def _format_of(table: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Format and Spark's options of a table's files."""
    storage = table.get("StorageDescriptor") or {}
    serde = storage.get("SerdeInfo") or {}
    library = str(serde.get("SerializationLibrary") or "")
    kind = _FORMATS.get(library) or (table.get("Parameters") or {}).get("classification")
    parameters = serde.get("Parameters") or {}
    options: dict[str, Any] = {}
    if kind == "csv":
        skipped = (table.get("Parameters") or {}).get("skip.header.line.count", "0")
        lazy = library.endswith("LazySimpleSerDe")
        separator = parameters.get("field.delim", "\x01") if lazy else parameters.get("separatorChar", ",")
        options = {"sep": separator, "header": "true" if str(skipped) == "1" else "false", "enforceSchema": "true"}
        options |= {"quote": "" if lazy else parameters.get("quoteChar", '"')}
    return _kind(kind), options


def _columns(listed: Sequence[Mapping[str, Any]]) -> StructType:
    """Columns of the catalog as Spark has them; types of Hive are types of Spark's DDL."""
    found = StructType()
    for column in listed:
        one = StructType.fromDDL(f"`x` {column['Type']}")
        found.add(column["Name"], one.fields[0].dataType)
    return found


def from_catalog(spark: SparkSession, database: str, name: str, predicate: str, context: str) -> DataFrame:
    """A data frame of a table's rows, with its partition keys."""
    table = _table(database, name)
    kind, options = _format_of(table)
    storage, keys = table["StorageDescriptor"], table.get("PartitionKeys") or []
    schema = _columns(storage["Columns"])
    if not keys:
        return _read(spark, kind, [storage["Location"]], options, schema, context)
    pages = boto3.client("glue").get_paginator("get_partitions")
    where = {"DatabaseName": database, "TableName": name} | ({"Expression": predicate} if predicate else {})
    parts = [part for page in pages.paginate(**where) for part in page["Partitions"]]
    types = _columns(keys)
    frames = []
    for part in parts:
        frame = _read(spark, kind, [part["StorageDescriptor"]["Location"]], options, schema, context)
        for key, value in zip(types.fields, part["Values"], strict=True):
            frame = frame.withColumn(key.name, F.lit(value).cast(key.dataType))
        frames.append(frame)
    if not frames:
        return spark.createDataFrame([], StructType([*schema.fields, *types.fields]))
    return functools.reduce(DataFrame.unionByName, frames)


def to_catalog(frame: DataFrame, database: str, name: str, options: Mapping[str, Any]) -> None:
    """New files of a table. Partitions are not registered: that is what enableUpdateCatalog would do."""
    if options.get("enableUpdateCatalog"):
        raise Unsupported("enableUpdateCatalog is not supported by this engine: register partitions with the API")
    table = _table(database, name)
    kind, reading = _format_of(table)
    keys = [key["Name"] for key in table.get("PartitionKeys") or []]
    given = {"writeHeader": reading.get("header") == "true", "separator": reading.get("sep", ",")}
    _write(frame, kind, table["StorageDescriptor"]["Location"], keys, given, {})
