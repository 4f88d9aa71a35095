"""Rows of a Parquet file as the lines that PostgreSQL's COPY reads."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import duckdb

from sluice_ext.redshift.copying.tables import Column

_PIECE: Final = 1_000_000  # rows that are a file between the two
_MEMORY: Final = "512MB"
# The types of a column that a file's type fits. https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-data-format.html
_FITS: Final[dict[str, tuple[str, ...]]] = {
    "BOOLEAN": ("bool",),
    "TINYINT": ("int2", "int4"),
    "SMALLINT": ("int2", "int4"),
    "INTEGER": ("int2", "int4"),
    "UTINYINT": ("int2", "int4"),
    "USMALLINT": ("int2", "int4"),
    "UINTEGER": ("int4", "int8"),
    "BIGINT": ("int8",),
    "UBIGINT": ("int8",),
    "FLOAT": ("float4",),
    "DOUBLE": ("float8",),
    "VARCHAR": ("varchar", "bpchar", "text"),
    "BLOB": ("varchar", "bpchar", "text", "bytea"),
    "DATE": ("date",),
    "TIMESTAMP": ("timestamp", "timestamptz"),
    "TIMESTAMP_NS": ("timestamp", "timestamptz"),
    "TIMESTAMP_MS": ("timestamp", "timestamptz"),
    "TIMESTAMP WITH TIME ZONE": ("timestamp", "timestamptz"),
    "TIME": ("time",),
    "DECIMAL": ("numeric",),
}
_SHOWN: Final = {"int2": "SMALLINT", "int4": "INT", "int8": "BIGINT", "float4": "REAL", "float8": "DOUBLE",
                 "bool": "BOOLEAN", "varchar": "VARCHAR", "bpchar": "CHAR", "text": "VARCHAR", "numeric": "DECIMAL",
                 "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ", "date": "DATE"}  # fmt: skip


class NotParquet(ValueError):
    """The file cannot be read, or its columns are not those of the table; the message says which."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    for setting in (
        f"memory_limit = '{_MEMORY}'",
        "TimeZone = 'UTC'",
        f"temp_directory = {_text(str(folder / 'spill'))}",
    ):
        connection.execute(f"SET {setting}")
    return connection


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def lines(
    connection: duckdb.DuckDBPyConnection, path: Path, shown: str, columns: list[Column], options: dict[str, Any]
) -> Iterator[Path]:
    """Files of CSV without a header, the rows in order; each is gone when the next is asked for.

    The next one is written while a caller works with one. Raises NotParquet.
    """
    found, total = _describe(connection, path, shown)
    chosen = _match(found, columns, shown, bool(options.get("fillrecord")))
    select = f"SELECT {', '.join(chosen)} FROM read_parquet({_text(str(path))}, file_row_number = true)"

    def write(number: int) -> Path:
        piece = path.with_name(f"piece-{number % 2}")
        first = number * _PIECE
        query = f"{select} WHERE file_row_number >= {first} AND file_row_number < {first + _PIECE}"
        try:
            connection.execute(f"COPY ({query}) TO {_text(str(piece))} (FORMAT csv, HEADER false, NULLSTR '')")
        except duckdb.Error as error:
            raise NotParquet(f"File '{shown}' cannot be read: {error}", 15001) from None
        return piece

    pieces = range((total + _PIECE - 1) // _PIECE)
    with ThreadPoolExecutor(1) as executor:
        following = executor.submit(write, 0) if pieces else None
        for number in pieces:
            assert following is not None
            piece = following.result()
            following = executor.submit(write, number + 1) if number + 1 in pieces else None
            yield piece


def _describe(connection: duckdb.DuckDBPyConnection, path: Path, shown: str) -> tuple[list[tuple[str, str]], int]:
    """The names and types of a file's columns, and the number of its rows."""
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({_text(str(path))})").fetchall()
        count = connection.execute(f"SELECT num_rows FROM parquet_file_metadata({_text(str(path))})").fetchone()
    except duckdb.Error:
        raise NotParquet(f"File '{shown}' has an invalid version number or is not a Parquet file", 15001) from None
    return [(str(row[0]), str(row[1])) for row in rows], int(count[0]) if count else 0


def _match(found: list[tuple[str, str]], columns: list[Column], shown: str, fill: bool) -> list[str]:
    """Columns belong together by their places, not their names."""
    if len(found) != len(columns) and not (fill and len(found) < len(columns)):
        raise NotParquet(
            "Unmatched number of columns between table and file. "
            f"Table columns: {len(columns)}, Data columns: {len(found)}, File name: {shown}",
            15007,
        )
    chosen = []
    for place, column in enumerate(columns):
        if place >= len(found):
            chosen.append("NULL")
            continue
        name, kind = found[place]
        base = re.sub(r"\(.*", "", kind)
        if column.kind not in _FITS.get(base, ()):
            raise NotParquet(
                f"File '{shown}' has an incompatible Parquet schema for column '{name}'. "
                f"Column type: {_SHOWN.get(column.kind, column.kind.upper())}, Parquet schema:\\n{name} {kind}",
                15001,
            )
        chosen.append(f"decode({_name(name)})" if base == "BLOB" and column.kind != "bytea" else _name(name))
    return chosen
