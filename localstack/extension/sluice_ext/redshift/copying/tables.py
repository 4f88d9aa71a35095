"""The table that COPY fills, and the record of what it did."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from sluice_ext.redshift.copying.errors import LoadFailed
from sluice_ext.redshift.sql.load_command import Copy

_MOST_RECORDED = 1000


@dataclass(frozen=True)
class Column:
    """``kind`` is PostgreSQL's name of the type (int4, varchar, ...); ``size`` the most characters, or None."""

    name: str
    kind: str
    not_null: bool
    size: int | None
    shown: str
    default: bool


@dataclass(frozen=True)
class Target:
    """A table, with the columns that the statement fills in its order."""

    name: str
    identifier: sql.Composable
    oid: int
    columns: list[Column]


def target(connection: psycopg.Connection[Any], detail: Copy) -> Target:
    """Raises LoadFailed when the table or a column does not exist."""
    identifier = sql.Identifier(*detail.table)
    name = ".".join(detail.table)
    row = connection.execute("SELECT to_regclass(%s)::oid", (identifier.as_string(connection),)).fetchone()
    if row is None or row[0] is None:
        raise LoadFailed(f"ERROR: Cannot COPY into nonexistent table {name}")
    rows = connection.execute(
        "SELECT a.attname, t.typname, a.attnotnull, CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 "
        "THEN a.atttypmod - 4 END, format_type(a.atttypid, a.atttypmod), a.atthasdef, a.attidentity "
        "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        (row[0],),
    ).fetchall()
    known = {one[0]: Column(*one[:6]) for one in rows if not one[6] or one[0] in detail.columns}
    for column in detail.columns:
        if column not in known:
            raise LoadFailed(f'ERROR: column "{column}" of relation "{detail.table[-1]}" does not exist')
    columns = [known[one] for one in detail.columns] if detail.columns else list(known.values())
    return Target(detail.table[-1], identifier, row[0], columns)


@dataclass
class Record:
    """What a COPY did, for the system views."""

    query_id: int
    table: Target
    session_id: int
    started: str = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None).isoformat())
    errors: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0

    def add(self, file: str, line: int, column: Column | None, code: int, message: str, **more: Any) -> None:
        """One bad row. The first thousand are kept, as on AWS the newest of a few days are."""
        self.count += 1
        if len(self.errors) < _MOST_RECORDED:
            self.errors.append(
                {
                    "query_id": self.query_id,
                    "session_id": self.session_id,
                    "table_id": self.table.oid,
                    "table_name": self.table.name,
                    "file_name": file,
                    "line_number": line,
                    "column_name": column.name if column else "",
                    "column_type": _short(column.kind) if column else "",
                    "column_length": str(column.size or "") if column else "",
                    "error_code": code,
                    "error_message": message,
                    **{key: value.replace("\0", "")[:1024] for key, value in more.items()},
                }
            )


def _short(kind: str) -> str:
    return {"bpchar": "char", "text": "varchar"}.get(kind, kind)


def begin(connection: psycopg.Connection[Any], table: Target) -> Record:
    # The Data API says which number its statement has.
    row = connection.execute(
        "SELECT coalesce(nullif(current_setting('sluice.query_id', true), '')::bigint, "
        "nextval('redshift_compat.query_ids')), pg_backend_pid()"
    ).fetchone()
    return Record(row[0] if row else 0, table, row[1] if row else 0)


def finish(
    connection: psycopg.Connection[Any], record: Record, detail: Copy, status: str, rows: int, size: int, files: int
) -> None:
    """Write the record in a session of its own: it stays when the transaction is undone."""
    info = connection.info
    item = {
        "query_id": record.query_id,
        "start_time": record.started,
        "table_name": record.table.name,
        "data_source": detail.source,
        "file_format": detail.format,
        "status": status,
        "loaded_rows": rows,
        "loaded_bytes": size,
        "source_file_count": files,
        "error_count": record.count,
        "file_name": detail.source,
    }
    with psycopg.connect(info.dsn, password=info.password, autocommit=True) as own:
        own.execute("SELECT redshift_compat.record_load(%s)", (json.dumps(item),))
        if record.errors:
            own.execute("SELECT redshift_compat.record_load_errors(%s)", (json.dumps(record.errors),))
