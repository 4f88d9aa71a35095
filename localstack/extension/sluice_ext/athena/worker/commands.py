"""SHOW, DESCRIBE, MSCK REPAIR and ADD PARTITION: statements of Hive that sqlglot does not parse.

Each returns lines of a single column, as Athena writes them into a text file.
"""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from sluice_ext.athena.worker import queries
from sluice_ext.athena.worker.errors import QueryFailed, unsupported
from sluice_ext.athena.worker.queries import Session
from sluice_ext.athena.worker.tables import Table

_NAME: Final = r'(?:[`"]?(?P<db>[\w-]+)[`"]?\.)?[`"]?(?P<table>[\w-]+)[`"]?'
_PARTITION = re.compile(
    r"PARTITION\s*\((?P<values>(?:'(?:[^']|'')*'|[^)'])*)\)(?:\s*LOCATION\s*'(?P<location>[^']+)')?", re.I
)
_PAIR = re.compile(r"`?(\w+)`?\s*=\s*(?:'((?:[^']|'')*)'|(-?\w+))")

Answer = tuple[str, list[str]]  # the column's name, lines


def run(session: Session, sql: str) -> Answer:
    """Raises QueryFailed for a statement that is not known."""
    text = re.sub(r"\s+", " ", sql.strip().rstrip(";")).strip()
    for pattern, call in _COMMANDS:
        found = re.fullmatch(pattern, text, re.IGNORECASE)
        if found:
            return call(session, found)
    raise unsupported(f"the statement {' '.join(text.split()[:3])}")


def _table(session: Session, found: re.Match[str]) -> Table:
    return session.table((found["db"] or session.database).lower(), found["table"].lower())


def _like(names: list[str], pattern: str | None) -> list[str]:
    """Hive's patterns: * is any text, | separates alternatives."""
    if not pattern:
        return names
    expression = re.compile(pattern.replace("*", ".*"), re.IGNORECASE)
    return [name for name in names if expression.fullmatch(name)]


def _databases(session: Session, found: re.Match[str]) -> Answer:
    return "database_name", _like(sorted(session.engine.ask("databases")), found["pattern"])


def _tables(session: Session, found: re.Match[str]) -> Answer:
    listed = session.engine.ask("tables", database=(found["in"] or session.database).lower())
    return "tab_name", _like(sorted(one["Name"] for one in listed), found["pattern"])


def _views(session: Session, found: re.Match[str]) -> Answer:
    listed = session.engine.ask("tables", database=(found["in"] or session.database).lower())
    names = sorted(one["Name"] for one in listed if one.get("TableType") == "VIRTUAL_VIEW")
    return "views", _like(names, found["pattern"])


def _partitions(session: Session, found: re.Match[str]) -> Answer:
    table = _table(session, found)
    if not table.keys:
        raise QueryFailed(
            f"FAILED: Execution Error, return code 1 from DDLTask. Table {table.name} is not a partitioned table"
        )
    listed = session.engine.ask("partitions", database=table.database, table=table.name)
    names = [key for key, _ in table.keys]
    return "partition", ["/".join(f"{n}={v}" for n, v in zip(names, one["Values"], strict=True)) for one in listed]


def _columns(session: Session, found: re.Match[str]) -> Answer:
    table = _table(session, found)
    return "field", [name for name, _ in [*table.columns, *table.keys]]


def _describe(session: Session, found: re.Match[str]) -> Answer:
    table = _table(session, found)
    lines = [f"{name:<20}\t{kind:<20}\t{'':<20}" for name, kind in [*table.columns, *table.keys]]
    if table.keys:
        lines += [
            "\t \t ",
            "# Partition Information\t \t ",
            f"{'# col_name':<20}\t{'data_type':<20}\t{'comment':<20}",
            "\t \t ",
        ]
        lines += [f"{name:<20}\t{kind:<20}\t{'':<20}" for name, kind in table.keys]
    return "col_name\tdata_type\tcomment", lines


def _properties(session: Session, found: re.Match[str]) -> Answer:
    return "prpt_name\tprpt_value", [f"{k}\t{v}" for k, v in sorted(_table(session, found).parameters.items())]


def _create_statement(session: Session, found: re.Match[str]) -> Answer:
    table = _table(session, found)
    if table.is_view:
        return "create view", [f"CREATE VIEW {table.database}.{table.name} AS", *queries.view_sql(table).splitlines()]
    lines = [f"CREATE EXTERNAL TABLE `{table.database}.{table.name}`("]
    lines += [f"  `{n}` {k}, " for n, k in table.columns]
    lines[-1] = lines[-1].removesuffix(", ") + ")"
    if table.keys:
        lines.append("PARTITIONED BY ( ")
        lines += [f"  `{n}` {k}, " for n, k in table.keys]
        lines[-1] = lines[-1].removesuffix(", ") + ")"
    serde, storage = table.storage.get("SerdeInfo") or {}, table.storage
    lines += ["ROW FORMAT SERDE ", f"  '{serde.get('SerializationLibrary')}' "]
    if table.serde:
        lines.append("WITH SERDEPROPERTIES ( ")
        lines.append(", \n".join(f"  '{k}'='{v}'" for k, v in sorted(table.serde.items())) + ") ")
    lines += [
        "STORED AS INPUTFORMAT ",
        f"  '{storage.get('InputFormat')}' ",
        "OUTPUTFORMAT ",
        f"  '{storage.get('OutputFormat')}'",
    ]
    lines += ["LOCATION", f"  '{table.location}'"]
    shown = {k: v for k, v in table.parameters.items() if k != "EXTERNAL"}
    if shown:
        lines.append("TBLPROPERTIES (")
        lines.append(", \n".join(f"  '{k}'='{v}'" for k, v in sorted(shown.items())) + ")")
    return "createtab_stmt", "\n".join(lines).split("\n")


# -- partitions ------------------------------------------------------------------------------------------------------


def _repair(session: Session, found: re.Match[str]) -> Answer:
    """Adds the partitions whose folders are in S3; removes none, as Athena."""
    table = _table(session, found)
    names = [key for key, _ in table.keys]
    known = {
        tuple(one["Values"]) for one in session.engine.ask("partitions", database=table.database, table=table.name)
    }
    base = table.location.rstrip("/") + "/"
    lines, new = [], []
    for folder in session.engine.ask("folders", location=base):
        parts = [part.partition("=") for part in folder.strip("/").split("/")]
        if [name.lower() for name, equals, _ in parts if equals] != names:
            continue
        values = [unquote(value) for _, _, value in parts]
        if tuple(values) not in known:
            known.add(tuple(values))
            new.append((values, base + folder.strip("/") + "/"))
            lines.append(f"Repair: Added partition to metastore {table.name}:{folder.strip('/')}")
    if new:
        missing = "/".join(f"{n}={v}" for n, v in zip(names, new[0][0], strict=True))
        lines.insert(0, f"Partitions not in metastore:\t{table.name}:{missing}")
    _add(session, table, new, if_missing=True)
    return "result", lines


def _add_partitions(session: Session, found: re.Match[str]) -> Answer:
    table = _table(session, found)
    names = [key for key, _ in table.keys]
    wanted = []
    rest = _PARTITION.sub("", found["list"]).strip()
    if rest:
        raise QueryFailed(f"FAILED: ParseException line 1:0 cannot recognize input near '{rest[:30]}'")
    for one in _PARTITION.finditer(found["list"]):
        given = {
            m[1].lower(): (m[2] if m[2] is not None else m[3]).replace("''", "'") for m in _PAIR.finditer(one["values"])
        }
        if set(given) != set(names):
            raise QueryFailed(f"FAILED: SemanticException a partition needs all of {', '.join(names)}")
        values = [given[name] for name in names]
        default = table.location.rstrip("/") + "/" + "/".join(f"{n}={v}" for n, v in zip(names, values, strict=True))
        wanted.append((values, (one["location"] or default).rstrip("/") + "/"))
    _add(session, table, wanted, if_missing=bool(found["exists"]))
    return "result", []


def _add(session: Session, table: Table, wanted: list[tuple[list[str], str]], if_missing: bool) -> None:
    inputs: list[dict[str, Any]] = [
        {"Values": values, "StorageDescriptor": {**table.storage, "Location": location}, "Parameters": {}}
        for values, location in wanted
    ]
    for first in range(0, len(inputs), 100):  # BatchCreatePartition's limit
        where = {"DatabaseName": table.database, "TableName": table.name}
        answer = session.engine.ask(
            "glue",
            operation="BatchCreatePartition",
            parameters=where | {"PartitionInputList": inputs[first : first + 100]},
        )
        errors = answer.get("Errors") or []
        if errors and not if_missing:
            raise QueryFailed(
                "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "
                f"AlreadyExistsException(message:Partition already exists {errors[0]['PartitionValues']})"
            )


_LIKE: Final = r"(?: (?:LIKE )?'(?P<pattern>[^']*)')?"
_IN: Final = r'(?: (?:IN|FROM) [`"]?(?P<in>[\w-]+)[`"]?)?'
_COMMANDS: list[tuple[str, Callable[[Session, re.Match[str]], Answer]]] = [
    (rf"SHOW (?:DATABASES|SCHEMAS){_LIKE}", _databases),
    (rf"SHOW TABLES{_IN}{_LIKE}", _tables),
    (rf"SHOW VIEWS{_IN}{_LIKE}", _views),
    (rf"SHOW PARTITIONS {_NAME}", _partitions),
    (rf"SHOW COLUMNS (?:IN|FROM) {_NAME}", _columns),
    (rf"SHOW TBLPROPERTIES {_NAME}", _properties),
    (rf"SHOW CREATE (?:TABLE|VIEW) {_NAME}", _create_statement),
    (rf"DESC(?:RIBE)?(?: EXTENDED| FORMATTED)? {_NAME}", _describe),
    (rf"MSCK REPAIR TABLE {_NAME}", _repair),
    (rf"ALTER TABLE {_NAME} ADD(?P<exists> IF NOT EXISTS)? (?P<list>PARTITION.*)", _add_partitions),
]
