"""A table of the catalog as something that DuckDB can read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice_ext.athena.worker.errors import QueryFailed, unsupported
from sluice_ext.athena.worker.hive_types import duckdb_type, literal, quoted

DEFAULT_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_OPEN_CSV = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
_LAZY_SIMPLE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
_FORMATS = {
    "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe": "parquet",
    "org.openx.data.jsonserde.JsonSerDe": "json",
    "org.apache.hive.hcatalog.data.JsonSerDe": "json",
    "org.apache.hadoop.hive.serde2.JsonSerDe": "json",
    _OPEN_CSV: "csv",
    _LAZY_SIMPLE: "csv",
}


@dataclass(frozen=True)
class Table:
    """A table as the Glue catalog describes it; ``described`` is GetTable's ``Table``."""

    described: Mapping[str, Any]

    @property
    def database(self) -> str:
        return str(self.described["DatabaseName"])

    @property
    def name(self) -> str:
        return str(self.described["Name"])

    @property
    def parameters(self) -> Mapping[str, str]:
        return self.described.get("Parameters") or {}

    @property
    def storage(self) -> Mapping[str, Any]:
        return self.described.get("StorageDescriptor") or {}

    @property
    def location(self) -> str:
        return str(self.storage.get("Location") or "")

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(name, Hive type), without the partition keys."""
        return [(c["Name"].lower(), c.get("Type") or "string") for c in self.storage.get("Columns") or []]

    @property
    def keys(self) -> list[tuple[str, str]]:
        """(name, Hive type) of the partition keys."""
        return [(c["Name"].lower(), c.get("Type") or "string") for c in self.described.get("PartitionKeys") or []]

    @property
    def is_view(self) -> bool:
        return self.described.get("TableType") == "VIRTUAL_VIEW"

    @property
    def projected(self) -> bool:
        """Whether its partitions follow from its properties instead of the catalog."""
        return str(self.parameters.get("projection.enabled", "")).lower() == "true"

    @property
    def format(self) -> str:
        """parquet, json or csv. Raises QueryFailed for other formats."""
        if str(self.parameters.get("table_type", "")).upper() == "ICEBERG":
            raise unsupported(f"the Iceberg table {self.database}.{self.name}")
        serde = str((self.storage.get("SerdeInfo") or {}).get("SerializationLibrary") or "")
        if serde not in _FORMATS:
            raise unsupported(f"the SerDe {serde or '(none)'} of {self.database}.{self.name}")
        return _FORMATS[serde]

    @property
    def serde(self) -> Mapping[str, str]:
        """The SerDe's parameters."""
        return (self.storage.get("SerdeInfo") or {}).get("Parameters") or {}

    @property
    def lazy(self) -> bool:
        """Whether a value that is not of the column's type is NULL instead of an error."""
        return (self.storage.get("SerdeInfo") or {}).get("SerializationLibrary") == _LAZY_SIMPLE


def types_of(table: Table) -> dict[str, str]:
    """DuckDB type of each column, keys last: {"id": "BIGINT", ...}."""
    return {name: duckdb_type(kind) for name, kind in [*table.columns, *table.keys]}


def relation(table: Table, files: Sequence[str]) -> str:
    """SQL of a query that reads these files; a file's folders ``key=value`` name its partition.

    Columns that no file has are NULL. Without files the relation is empty.
    """
    types = types_of(table)
    empty = ", ".join(f"NULL::{kind} AS {quoted(name)}" for name, kind in types.items())
    none = f"SELECT {empty} WHERE false"
    if not files:
        return none
    keys = {name for name, _ in table.keys}
    cast = "TRY_CAST" if table.lazy else "CAST"
    shown = ", ".join(
        f"{'CAST' if name in keys else cast}({quoted(name)} AS {kind}) AS {quoted(name)}"
        for name, kind in types.items()
    )
    return f"SELECT {shown} FROM ({none} UNION ALL BY NAME SELECT * FROM {_reader(table, files)})"


def _reader(table: Table, files: Sequence[str]) -> str:
    listed = "[" + ", ".join(map(literal, files)) + "]"
    hive = "hive_partitioning=false"
    if table.keys:
        kinds = ", ".join(f"{literal(name)}: {duckdb_type(kind)}" for name, kind in table.keys)
        hive = f"hive_partitioning=true, hive_types={{{kinds}}}"
    if table.format == "parquet":
        return f"read_parquet({listed}, union_by_name=true, {hive})"
    if table.format == "json":
        columns = ", ".join(f"{literal(name)}: {literal(duckdb_type(kind))}" for name, kind in table.columns)
        ignore = str(table.serde.get("ignore.malformed.json", "false")).lower() == "true"
        return (
            f"read_json({listed}, format='newline_delimited', columns={{{columns}}}, "
            f"ignore_errors={'true' if ignore else 'false'}, maximum_object_size=33554432, {hive})"
        )
    return f"read_csv({listed}, {_csv_options(table)}, {hive})"


def _csv_options(table: Table) -> str:
    serde = table.serde
    if table.lazy:
        delimiter, quote, escape = serde.get("field.delim") or serde.get("serialization.format") or "\x01", "", ""
        null = serde.get("serialization.null.format", "\\N")
    else:
        delimiter, quote = serde.get("separatorChar", ","), serde.get("quoteChar", '"')
        escape, null = serde.get("escapeChar", "\\"), None
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name, _ in table.columns)
    skipped = str(table.parameters.get("skip.header.line.count", serde.get("skip.header.line.count", "0")))
    if not skipped.isdigit():
        raise QueryFailed(f"HIVE_INVALID_METADATA: skip.header.line.count {skipped!r} is not a number")
    options = [
        "auto_detect=false", "header=false", f"skip={skipped}", f"delim={literal(delimiter)}",
        f"quote={literal(quote)}", f"escape={literal(escape)}", f"columns={{{columns}}}", "null_padding=true",
        "strict_mode=false", "max_line_size=33554432",
    ]  # fmt: skip
    options.append(f"nullstr={literal(null)}" if null is not None else "nullstr='\x00'")
    return ", ".join(options)
