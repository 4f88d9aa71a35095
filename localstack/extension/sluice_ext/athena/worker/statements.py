"""One statement of Athena from its text to its answer."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from sluice_ext.athena.worker import commands, ddl, queries, results, writing
from sluice_ext.athena.worker.errors import QueryFailed, unsupported
from sluice_ext.athena.worker.queries import Session

_UNLOAD = re.compile(
    r"UNLOAD\s*\((?P<query>.*)\)\s*TO\s*'(?P<to>[^']+)'\s*(?:WITH\s*\((?P<options>.*)\))?\s*;?\s*", re.I | re.S
)
_EXPLAIN = re.compile(r"EXPLAIN\s+(?!ANALYZE)(?P<query>.*)", re.I | re.S)
# What sqlglot does not parse, or not wholly.
_COMMAND = re.compile(r"(SHOW|DESC|DESCRIBE|MSCK|EXPLAIN)\b|ALTER\s+TABLE\s+\S+\s+ADD\b.*\bPARTITION\b", re.I | re.S)


@dataclass
class Answer:
    """What a statement gives: columns (ColumnInfo), the kind of its result file, and what it read and wrote."""

    columns: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0
    update_count: int | None = None
    scanned: int = 0
    manifest: list[str] | None = None


def kind_of(sql: str) -> tuple[str, str]:
    """(StatementType, SubstatementType). Raises QueryFailed for a statement that cannot be parsed."""
    text = sql.strip()
    if _UNLOAD.fullmatch(text):
        return "DML", "UNLOAD"
    first = re.match(r"[A-Za-z]+", text)
    if first and _COMMAND.match(text):
        words = text.upper().split()
        kind = "DDL" if words[0] in ("MSCK", "ALTER") else "UTILITY"
        return kind, "_".join(words[:2]) if words[0] in ("SHOW", "MSCK", "ALTER") else words[0]
    parsed = queries.parse(text)
    if isinstance(parsed, exp.Create):
        if parsed.expression and str(parsed.kind).upper() == "TABLE":
            return "DDL", "CREATE_TABLE_AS_SELECT"
        return "DDL", f"CREATE_{str(parsed.kind).upper()}"
    if isinstance(parsed, exp.Drop):
        return "DDL", f"DROP_{str(parsed.kind).upper()}"
    if isinstance(parsed, exp.Alter) or (isinstance(parsed, exp.Command) and text.upper().startswith("ALTER")):
        return "DDL", "ALTER_TABLE"
    if isinstance(parsed, exp.Insert):
        return "DML", "INSERT"
    if isinstance(parsed, exp.Query | exp.Values):
        return "DML", "SELECT"
    raise QueryFailed(f"Queries of this type are not supported: {' '.join(text.split()[:2])}")


def run(session: Session, sql: str, parameters: list[str], output: Path, location: str) -> Answer:
    """Run a statement; ``session`` is its own.

    output: where the result goes (CSV, or text). location: where CREATE TABLE AS puts a table that has no place of its
    own.
    """
    kind, detail = kind_of(sql)
    if kind != "DML" and detail != "CREATE_TABLE_AS_SELECT":
        return _other(session, sql, output)
    if detail == "UNLOAD":
        return _unload(session, sql, parameters, output)
    parsed = queries.parse(sql)
    if parameters:
        parsed = queries.parameters_in(parsed, parameters)
    if isinstance(parsed, exp.Create):
        return _written(session, *writing.create_as(session, parsed, location), output)
    if isinstance(parsed, exp.Insert):
        return _written(session, *writing.insert(session, parsed), output)
    return _select(session, parsed, output)


def _select(session: Session, parsed: exp.Expression, output: Path) -> Answer:
    found = results.bounded(session, queries.bind(session, queries.prepare(session, queries.as_select(parsed))))
    columns, rows = results.write_csv(session, found, output)
    return Answer(columns, rows, 0, session.scanned)


def _written(session: Session, rows: int, files: list[str], output: Path) -> Answer:
    output.write_text("")
    return Answer([], 0, rows, session.scanned, files)


def _unload(session: Session, sql: str, parameters: list[str], output: Path) -> Answer:
    found = _UNLOAD.fullmatch(sql.strip())
    assert found
    query = queries.parse(found["query"])
    if parameters:
        query = queries.parameters_in(query, parameters)
    rows, files = writing.unload(session, query, found["to"], _options(found["options"] or ""))
    return _written(session, rows, files, output)


def _options(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if text.strip():
        parsed = sqlglot.parse_one(f"SELECT f({text})", read="athena").find(exp.Anonymous)
        for one in parsed.expressions if parsed else []:
            if not isinstance(one, exp.EQ):
                raise unsupported(f"the option {one.sql('athena')} of UNLOAD")
            found[one.this.name.lower()] = ddl.option(one.expression)
    return found


def _other(session: Session, sql: str, output: Path) -> Answer:
    text = sql.strip()
    explained = _EXPLAIN.fullmatch(text)
    if explained:
        prepared = queries.prepare(session, queries.parse(explained["query"]))
        queries.bind(session, prepared)
        plan = session.connection.execute(f"EXPLAIN {prepared}").fetchall()
        return _lines(session, "Query Plan", str(plan[0][1]).splitlines(), output)
    parsed = None if _COMMAND.match(text) else queries.parse(text)
    if isinstance(parsed, exp.Create):
        ddl.create(session, parsed)
    elif isinstance(parsed, exp.Drop):
        ddl.drop(session, parsed)
    elif isinstance(parsed, exp.Alter):
        ddl.alter(session, parsed)
    else:
        return _lines(session, *commands.run(session, text), output)
    return _lines(session, "", [], output)


def _lines(session: Session, heading: str, lines: list[str], output: Path) -> Answer:
    output.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    columns = [results.column_info(name, results.TEXT) for name in heading.split("\t") if name]
    return Answer(columns, len(lines), None, session.scanned)
