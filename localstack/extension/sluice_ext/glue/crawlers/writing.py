"""Writes what a crawl has found to the catalog, by its policies.

https://docs.aws.amazon.com/glue/latest/dg/crawler-configuration.html
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sluice_ext.glue.crawlers.store import Crawl, Crawler

UPDATED_BY: Final = "UPDATED_BY_CRAWLER"
DEPRECATED_BY: Final = "DEPRECATED_BY_CRAWLER"
_BATCH: Final = 100
_DELETE_BATCH: Final = 25
_TEXT_IN: Final = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUT: Final = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_FORMATS: Final = {
    "parquet": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    "json": (_TEXT_IN, _TEXT_OUT, "org.openx.data.jsonserde.JsonSerDe"),
    "LazySimpleSerDe": (_TEXT_IN, _TEXT_OUT, "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"),
    "OpenCSVSerDe": (_TEXT_IN, _TEXT_OUT, "org.apache.hadoop.hive.serde2.OpenCSVSerde"),
}
# What each crawl counts is no change of a schema.
_COUNTED: Final = ("objectCount", "sizeKey", "recordCount", "averageRecordSize")
Log = Callable[[str], None]


class Writer:
    """For one crawl. ``glue`` has the credentials of the crawler's role."""

    def __init__(self, glue: Any, crawler: Crawler, crawl: Crawl, log: Log) -> None:
        self._glue, self._crawler, self._crawl, self._log = glue, crawler, crawl, log
        self._database = str(crawler.given["DatabaseName"])  # of the table that is written
        self._policy = crawler.given["SchemaChangePolicy"]
        self._given = bool(crawler.given["Targets"]["CatalogTargets"])  # its tables were there before it
        output = json.loads(crawler.given.get("Configuration") or "{}").get("CrawlerOutput") or {}
        self._add_only = (output.get("Tables") or {}).get("AddOrUpdateBehavior") == "MergeNewColumns"
        self._inherit = (output.get("Partitions") or {}).get("AddOrUpdateBehavior") == "InheritFromTable"

    def write(self, found: list[dict[str, Any]], roots: list[str]) -> None:
        """Tables and partitions; what is gone is deleted, deprecated or only logged. roots: "bucket/prefix"."""
        try:
            self._glue.get_database(Name=self._database)
        except self._glue.exceptions.EntityNotFoundException:
            self._glue.create_database(DatabaseInput={"Name": self._database})
            self._log(f"INFO : Created database {self._database}")
        pages = self._glue.get_paginator("get_tables").paginate(DatabaseName=self._database)
        tables = {one["Name"]: one for page in pages for one in page["TableList"]}
        mine = {_location(t): n for n, t in tables.items() if _parameters(t).get(UPDATED_BY) == self._crawler.name}
        for one in found:
            name = mine.get(one["location"]) or self._free_name(one, tables)
            if name in tables:
                self._update(tables[name], one)
            else:
                self._create(name, one)
                tables[name] = {"Name": name, "StorageDescriptor": {"Location": one["location"]}}
        if not self._crawler.new_folders_only:
            seen = {one["location"] for one in found}
            gone = [n for place, n in mine.items() if place not in seen and _below(place, roots)]
            self._tables_gone([tables[name] for name in gone])

    def update(self, tables: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
        """Tables that were there before, which the crawler is to keep up to date; what is found elsewhere is no table.

        https://docs.aws.amazon.com/glue/latest/dg/tables-described.html#update-manual-tables
        """
        by_place = {one["location"]: one for one in found}
        for table in tables:
            one = by_place.get(folder(_location(table)))
            if one is None:
                self._log(f"INFO : Table {table['Name']} has no objects of one kind at {_location(table)}")
                continue
            self._database = str(table["DatabaseName"])
            self._update(table, one)

    def _free_name(self, one: dict[str, Any], tables: dict[str, Any]) -> str:
        """The name of a new table; a table of that place is taken over, one of another place is not touched."""
        name = str(one["name"])
        if name in tables and _location(tables[name]) != one["location"]:
            from sluice_ext.glue.crawlers.worker.tables import other_name  # DuckDB: 0.1 s, which no start needs

            return other_name(name, one["location"])
        return name

    # -- tables --------------------------------------------------------------------------------------------------------

    def _create(self, name: str, one: dict[str, Any]) -> None:
        self._glue.create_table(DatabaseName=self._database, TableInput=self._input(name, one))
        self._crawl.changed("TABLE", "ADD", [name])
        self._log(f"INFO : Created table {name} in database {self._database}")
        self._partitions(name, one, one["columns"])

    def _input(self, name: str, one: dict[str, Any]) -> dict[str, Any]:
        storage = self._storage(one, one["columns"], one["location"], one["statistics"])
        return {
            "Name": name,
            "Owner": "owner",
            "TableType": "EXTERNAL_TABLE",
            "Retention": 0,
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in one["keys"]],
            "StorageDescriptor": storage,
            "Parameters": storage["Parameters"],
        }

    def _storage(
        self, one: dict[str, Any], columns: Sequence[Sequence[str]], location: str, counted: dict[str, int]
    ) -> dict[str, Any]:
        details = dict(one["details"])
        serde = details.pop("serde", one["format"])
        quote = details.pop("quote", '"')
        source, target, library = _FORMATS.get(serde, ("", "", ""))
        given = {"serialization.format": "1"}
        if one["format"] == "json":
            given = {"paths": ",".join(name for name, _ in columns)}
        elif serde == "LazySimpleSerDe":
            given = {"field.delim": details["delimiter"]}
        elif serde == "OpenCSVSerDe":
            given = {"separatorChar": details["delimiter"], "quoteChar": quote}
        parameters = {
            "classification": one["format"] if one["format"] != "unknown" else "UNKNOWN",
            "compressionType": one["compression"],
            "typeOfData": "file",
            "CrawlerSchemaDeserializerVersion": "1.0",
            "CrawlerSchemaSerializerVersion": "1.0",
            UPDATED_BY: self._crawler.name,
            **details,
            **{key: str(value) for key, value in counted.items()},
            "averageRecordSize": str(counted["sizeKey"] // max(counted["recordCount"], 1)),
        }
        return {
            "Columns": [{"Name": name, "Type": kind} for name, kind in columns],
            "Location": location,
            "InputFormat": source,
            "OutputFormat": target,
            "Compressed": one["compression"] != "none",
            "NumberOfBuckets": -1,
            "SerdeInfo": {"SerializationLibrary": library, "Parameters": given} if library else {},
            "BucketColumns": [],
            "SortColumns": [],
            "Parameters": parameters,
            "StoredAsSubDirectories": False,
        }

    def _update(self, table: dict[str, Any], one: dict[str, Any]) -> None:
        name, before = table["Name"], _columns(table)
        columns = [list(column) for column in one["columns"]]
        if self._add_only:
            known = {column for column, _ in before}
            columns = before + [column for column in columns if column[0] not in known]
        keys = [key["Name"] for key in table.get("PartitionKeys") or []]
        after = self._input(name, one | {"columns": columns})
        if self._given:
            after["PartitionKeys"] = table.get("PartitionKeys") or []
        same = before == columns and keys == one["keys"] and _described(table) == _described(after)
        kept = self._policy["UpdateBehavior"] == "LOG"
        if kept and not same:
            self._log(f"INFO : Schema change of table {name} was detected; SchemaChangePolicy LOG leaves it as it is")
        if keys != one["keys"] and (kept or self._given):
            self._log(f"ERROR : Folder partition keys {one['keys']} do not match table partition keys {keys}")
            return
        if not kept:
            self._replace_table(table, after, keys == one["keys"], same)
        self._partitions(name, one, before if kept else columns)

    def _replace_table(self, table: dict[str, Any], after: dict[str, Any], same_keys: bool, same: bool) -> None:
        """The table as it was found. ``same``: its columns and format are those that it has."""
        name = table["Name"]
        if not same_keys:
            # Partitions have values of the former keys.
            self._glue.delete_table(DatabaseName=self._database, Name=name)
            self._glue.create_table(DatabaseName=self._database, TableInput=after)
        elif not same or any(_parameters(table).get(key) != value for key, value in after["Parameters"].items()):
            after["Parameters"] = _kept(table) | after["Parameters"]
            self._glue.update_table(DatabaseName=self._database, TableInput=after, SkipArchive=same)
        if not same:
            self._crawl.changed("TABLE", "UPDATE", [name])
            self._log(f"INFO : Updated table {name} in database {self._database}")

    def _tables_gone(self, gone: list[dict[str, Any]]) -> None:
        for table in gone:
            name, behavior = table["Name"], self._policy["DeleteBehavior"]
            if behavior == "DELETE_FROM_DATABASE":
                self._glue.delete_table(DatabaseName=self._database, Name=name)
                self._crawl.changed("TABLE", "DELETE", [name])
            elif behavior == "DEPRECATE_IN_DATABASE" and DEPRECATED_BY not in _parameters(table):
                after = {key: table[key] for key in _INPUT if key in table}
                after["Parameters"] = _parameters(table) | {DEPRECATED_BY: str(int(time.time() * 1000))}
                self._glue.update_table(DatabaseName=self._database, TableInput=after)
                self._crawl.changed("TABLE", "UPDATE", [name])
            self._log(f"INFO : The objects of table {name} are gone: {behavior}")

    # -- partitions ----------------------------------------------------------------------------------------------------

    def _partitions(self, table: str, one: dict[str, Any], columns: Sequence[Sequence[str]]) -> None:
        if not one["keys"]:
            return
        where = {"DatabaseName": self._database, "TableName": table}
        pages = self._glue.get_paginator("get_partitions").paginate(**where)
        known = {tuple(p["Values"]): p for page in pages for p in page["Partitions"]}
        found = {
            tuple(p["values"]): {
                "Values": p["values"],
                "StorageDescriptor": (
                    s := self._storage(one, columns if self._inherit else p["columns"], p["location"], p["statistics"])
                ),
                "Parameters": s["Parameters"],
            }
            for p in one["partitions"]
        }
        self._add([given for values, given in found.items() if values not in known], where)
        if self._policy["UpdateBehavior"] != "LOG":
            changed = [given for values, given in found.items() if values in known and _differs(known[values], given)]
            self._replace(changed, where)
        elif self._inherit:
            # A partition gets its table's columns, whatever the policy for tables says; it stays where it is.
            changed = [
                given | {"StorageDescriptor": given["StorageDescriptor"] | {"Location": _location(known[values])}}
                for values, given in found.items()
                if values in known and _columns(known[values]) != _columns(given)
            ]
            self._replace(changed, where)
        if not self._crawler.new_folders_only:
            mine = [
                p for v, p in known.items() if v not in found and _parameters(p).get(UPDATED_BY) == self._crawler.name
            ]
            self._partitions_gone(mine, where)

    def _add(self, made: list[dict[str, Any]], where: dict[str, str]) -> None:
        for batch in _batches(made, _BATCH):
            self._failed(self._glue.batch_create_partition(**where, PartitionInputList=batch))
        self._note("ADD", made, where)

    def _replace(self, changed: list[dict[str, Any]], where: dict[str, str]) -> None:
        for batch in _batches(changed, _BATCH):
            entries = [{"PartitionValueList": one["Values"], "PartitionInput": one} for one in batch]
            self._failed(self._glue.batch_update_partition(**where, Entries=entries))
        self._note("UPDATE", changed, where)

    def _partitions_gone(self, gone: list[dict[str, Any]], where: dict[str, str]) -> None:
        behavior = self._policy["DeleteBehavior"]
        if behavior == "DELETE_FROM_DATABASE":
            for batch in _batches(gone, _DELETE_BATCH):
                listed = [{"Values": one["Values"]} for one in batch]
                self._failed(self._glue.batch_delete_partition(**where, PartitionsToDelete=listed))
            self._note("DELETE", gone, where)
        elif behavior == "DEPRECATE_IN_DATABASE":
            stamp = {DEPRECATED_BY: str(int(time.time() * 1000))}
            self._replace(
                [
                    {"Values": one["Values"], "StorageDescriptor": one["StorageDescriptor"]}
                    | {"Parameters": _parameters(one) | stamp}
                    for one in gone
                    if DEPRECATED_BY not in _parameters(one)
                ],
                where,
            )

    def _note(self, how: str, listed: list[dict[str, Any]], where: dict[str, str]) -> None:
        if listed:
            self._crawl.changed("PARTITION", how, [f"{where['TableName']}/{'/'.join(p['Values'])}" for p in listed])
            self._log(f"INFO : Partitions of table {where['TableName']}: {how} {len(listed)}")

    def _failed(self, answer: dict[str, Any]) -> None:
        for one in answer.get("Errors") or []:
            self._log(f"ERROR : {one['ErrorDetail']['ErrorMessage']}")


_INPUT: Final = (
    "Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters",
)  # fmt: skip


def _parameters(one: dict[str, Any]) -> dict[str, str]:
    return dict(one.get("Parameters") or {})


def folder(location: str) -> str:
    """A place in S3 as crawlers name folders: with a slash at its end."""
    return location if location.endswith("/") else location + "/"


def _location(table: dict[str, Any]) -> str:
    return str((table.get("StorageDescriptor") or {}).get("Location") or "")


def _columns(one: dict[str, Any]) -> list[list[str]]:
    return [[c["Name"], c.get("Type", "")] for c in (one.get("StorageDescriptor") or {}).get("Columns") or []]


def _described(table: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a table's format. A table that was deprecated and is found again differs."""
    given, ours = _parameters(table), table.get("StorageDescriptor") or {}
    known = ("classification", "compressionType", "delimiter", "skip.header.line.count", DEPRECATED_BY)
    library = (ours.get("SerdeInfo") or {}).get("SerializationLibrary", "")
    return (*(given.get(key) for key in known), library, ours.get("Location"))


def _kept(table: dict[str, Any]) -> dict[str, str]:
    """Parameters that others gave the table."""
    return {key: value for key, value in _parameters(table).items() if key not in (*_COUNTED, DEPRECATED_BY)}


def _differs(before: dict[str, Any], after: dict[str, Any]) -> bool:
    if DEPRECATED_BY in _parameters(before):
        return True
    return (_columns(before), _location(before)) != (_columns(after), _location(after))


def _below(location: str, roots: list[str]) -> bool:
    return any(location.removeprefix("s3://").startswith(root) for root in roots)


def _batches[T](listed: list[T], size: int) -> Iterator[list[T]]:
    for at in range(0, len(listed), size):
        yield listed[at : at + size]
