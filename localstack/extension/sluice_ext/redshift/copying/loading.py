"""COPY: objects of S3 into a table, all or nothing.

https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html
"""

import itertools
import json
import re
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from botocore.exceptions import ClientError
from psycopg import errors as postgres_errors
from psycopg import sql

from sluice_ext.redshift.copying import errors, parquet, reading, sources, tables, values
from sluice_ext.redshift.copying.errors import LoadFailed
from sluice_ext.redshift.copying.sources import Source
from sluice_ext.redshift.copying.tables import Record, Target
from sluice_ext.redshift.sql.load_command import Copy

_CHUNK: Final = 1 << 18


@dataclass(frozen=True)
class CopyResult:
    """Rows that were loaded, and rows that MAXERROR let pass."""

    rows: int
    errors: int


def copy(connection: psycopg.Connection[Any], detail: Copy, s3: Any) -> CopyResult:
    """Load the objects with the rights of ``s3``; ``sys_load_history`` and ``sys_load_error_detail`` tell of it.

    Inside of a transaction it is part of it, else one of its own.

    Raises:
        LoadFailed: with Redshift's message. The transaction must be rolled back.
        psycopg.Error: the session failed, or may not write the table.
    """
    table = tables.target(connection, detail)
    record = tables.begin(connection, table)
    rows = size = files = 0
    status = "failed"
    try:
        found = sources.find(detail.source, bool(detail.options.get("manifest")), detail.format == "parquet", s3)
        files, size = len(found), sum(one.length or 0 for one in found)
        with connection.transaction():
            rows = _load(connection, detail, table, record, found, s3)
        status = "completed"
    finally:
        tables.finish(connection, record, detail, status, rows if status == "completed" else 0, size, files)
    return CopyResult(rows, record.count)


def _load(
    connection: psycopg.Connection[Any], detail: Copy, table: Target, record: Record, found: list[Source], s3: Any
) -> int:
    rows = 0
    load = _load_parquet if detail.format == "parquet" else _load_text
    with tempfile.TemporaryDirectory(prefix="redshift-copy-") as name, connection.cursor() as cursor:
        folder = Path(name)
        paths = _json_paths(detail, len(table.columns), s3)
        for source in found:
            path = sources.download(source, folder, s3)
            rows += load(cursor, table, record, source, path, detail, paths)
            path.unlink()
    return rows


def _json_paths(detail: Copy, wanted: int, s3: Any) -> list[str] | None:
    """The paths of a JSONPaths file, one for each column. Raises LoadFailed."""
    url = detail.options.get("json", "")
    if detail.format != "json" or not url.startswith("s3://"):
        if detail.format == "json" and url.lower() not in ("auto", "auto ignorecase", "noshred"):
            raise LoadFailed(f"ERROR: The JSONPaths file must be in S3: {url}")
        return None
    bucket, key = sources.split(url)
    try:
        paths = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())["jsonpaths"]
        for path in paths:
            reading.path_steps(path)
    except ClientError as error:
        raise errors.storage(error) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LoadFailed("ERROR: Invalid JSONPaths file: it needs an array jsonpaths") from None
    if len(paths) != wanted:
        raise LoadFailed("ERROR: Number of jsonpaths and the number of columns should match.")
    return list(paths)


def _statement(table: Target) -> sql.Composed:
    names = sql.SQL(", ").join(sql.Identifier(one.name) for one in table.columns)
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(table.identifier, names)


def _load_parquet(
    cursor: psycopg.Cursor[Any], table: Target, record: Record, source: Source, path: Path, detail: Copy, _: object
) -> int:
    rows = 0
    with parquet.connect(path.parent) as reader:
        try:
            for piece in parquet.lines(reader, path, source.address, table.columns, detail.options):
                rows += _send(cursor, table, _chunks(piece))
        except parquet.NotParquet as error:
            raise errors.spectrum(str(error), error.code, record.query_id) from None
        except postgres_errors.DataError as error:
            raise _refused_value(error, table, record, source) from None
        except postgres_errors.NotNullViolation as error:
            raise _null(error) from None
    return rows


def _load_text(
    cursor: psycopg.Cursor[Any],
    table: Target,
    record: Record,
    source: Source,
    path: Path,
    detail: Copy,
    paths: list[str] | None,
) -> int:
    with reading.opened(path, detail.options) as file:
        lines = _good(reading.rows(file, detail, table.columns, paths), table, record, source, detail)
        try:
            if detail.options.get("noload"):
                for _ in lines:
                    pass
                return 0
            return _send(cursor, table, _collected(lines))
        except postgres_errors.DataError as error:
            record.add(source.url, 0, None, errors.BAD_TEXT, str(error.diag.message_primary))
            raise errors.check_system_table(table.name) from None
        except (EOFError, OSError, zlib.error) as error:
            raise LoadFailed(f"ERROR: {source.url} cannot be read: {error}") from None


def _good(rows: Iterator[reading.Row], table: Target, record: Record, source: Source, detail: Copy) -> Iterator[str]:
    """The lines of the rows that fit; each other is recorded, until there are too many. Raises LoadFailed."""
    convert = [values.converter(column, detail.options) for column in table.columns]
    maximum = 0 if detail.options.get("ignoreallerrors") else max(int(detail.options.get("maxerror", 0)), 1)
    for row in rows:
        column: tables.Column | None = None
        field: str | None = None
        try:
            if row.problem:
                raise row.problem
            made = []
            for place, change in enumerate(convert):
                column, field = table.columns[place], row.fields[place]
                made.append(change(field))
            yield _line(made)
        except values.BadValue as problem:
            shown = {"raw_line": _clean(row.raw), "raw_field": _clean(field or "")}
            record.add(source.url, row.line, column, problem.code, str(problem), **shown)
            if maximum and record.count >= maximum:
                raise errors.check_system_table(table.name) from None


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()


def _line(fields: list[str | None]) -> str:
    shown = ['"' + one.replace('"', '""') + '"' if one is not None else "" for one in fields]
    return ",".join(shown) + "\n"


def _collected(lines: Iterator[str]) -> Iterator[bytes]:
    for some in itertools.batched(lines, 2000, strict=False):
        yield "".join(some).encode()


def _send(cursor: psycopg.Cursor[Any], table: Target, chunks: Iterator[bytes]) -> int:
    with cursor.copy(_statement(table)) as out:
        for chunk in chunks:
            out.write(chunk)
    return cursor.rowcount


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _null(error: postgres_errors.NotNullViolation) -> LoadFailed:
    return LoadFailed(f"ERROR: Cannot insert a NULL value into column {error.diag.column_name}")


def _refused_value(error: psycopg.Error, table: Target, record: Record, source: Source) -> LoadFailed:
    """A value of a columnar file that the table's column does not take."""
    place = re.search(r"line (\d+), column ([^:]+): \"?(.*)", error.diag.context or "", re.DOTALL)
    column = next((one for one in table.columns if place and one.name == place[2]), None)
    if error.diag.sqlstate == "22001" and column:
        length = len((place[3] if place else "").rstrip('"').encode())
        context = (
            f"The length of the data column {column.name} is longer than the length defined in the table. "
            f"Table: {column.size}, Data: {length}, File name: {source.address}"
        )
    else:
        context = f"{error.diag.message_primary}, column {column.name if column else ''}, File name: {source.address}"
    record.add(source.url, int(place[1]) if place else 0, column, errors.TOO_LONG, context)
    return errors.spectrum(context, 15001, record.query_id)
