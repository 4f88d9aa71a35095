"""UNLOAD: the rows of a query as objects in S3.

https://docs.aws.amazon.com/redshift/latest/dg/r_UNLOAD.html
"""

import gzip
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from botocore.exceptions import ClientError
from psycopg import sql

from sluice_ext.redshift.copying import errors, parquet, sources
from sluice_ext.redshift.copying.errors import LoadFailed
from sluice_ext.redshift.sql.load_command import Unload

_LARGEST: Final = int(6.2 * 1024**3)
_IN_FILES: Final = {"int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float4": "REAL", "float8": "DOUBLE",
                    "bool": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ",
                    "time": "TIME"}  # fmt: skip
_NO_PARTITION: Final = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class _Column:
    name: str
    kind: str


@dataclass(frozen=True)
class _Part:
    """A value of the partition's columns, as the end of the prefix and as a condition."""

    folder: str
    query: str


def unload(connection: psycopg.Connection[Any], detail: Unload, s3: Any) -> int:
    """The number of rows that were written. Raises LoadFailed and psycopg.Error; then some objects may be there."""
    bucket, key = sources.split(detail.target)
    columns = _columns(connection, detail.query)
    try:
        _clear(bucket, key, detail, s3)
        written: list[dict[str, Any]] = []
        rows = 0
        with tempfile.TemporaryDirectory(prefix="redshift-unload-") as name, connection.transaction():
            for part in _parts(connection, detail, columns):
                rows += _write(connection, detail, part, (bucket, key), Path(name), s3, written)
        if "manifest" in detail.options:
            text = json.dumps(_manifest(detail, columns, written, rows), indent=2).encode()
            s3.put_object(Bucket=bucket, Key=f"{key}manifest", Body=text)
    except ClientError as error:
        raise errors.storage(error) from None
    return rows


def _columns(connection: psycopg.Connection[Any], query: str) -> list[_Column]:
    cursor = connection.execute(f"SELECT * FROM ({query}) AS unloaded LIMIT 0".encode())
    found = []
    for one in cursor.description or ():
        known = psycopg.adapters.types.get(one.type_code)
        kind = known.name if known else "text"
        if kind == "numeric":
            precision, scale = one.precision or 38, one.scale or 0
            shown = f"DECIMAL({min(precision, 38)}, {scale if one.precision else 10})"
        else:
            shown = _IN_FILES.get(kind, "VARCHAR")
        found.append(_Column(one.name, shown))
    return found


def _clear(bucket: str, key: str, detail: Unload, s3: Any) -> None:
    """The target must be empty, or is made empty."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    if detail.options.get("allowoverwrite"):
        return
    for page in pages:
        for one in page.get("Contents", ()):
            if not detail.options.get("cleanpath"):
                raise LoadFailed(
                    "ERROR: Specified unload destination on S3 is not empty. Consider using a different bucket / "
                    "prefix, manually removing the target files in S3, or using the ALLOWOVERWRITE option."
                )
            s3.delete_object(Bucket=bucket, Key=one["Key"])


def _parts(connection: psycopg.Connection[Any], detail: Unload, columns: list[_Column]) -> Iterator[_Part]:
    by = detail.options.get("partition_by", ())
    names = [one.name for one in columns]
    for name in by:
        if name not in names:
            raise LoadFailed(f"ERROR: partition column {name} does not exist in the query")
    if not by:
        yield _Part("", detail.query)
        return
    kept = [one for one in names if detail.options.get("include") or one not in by]
    if not kept:
        raise LoadFailed("ERROR: UNLOAD needs a column that is not in PARTITION BY")
    listed = sql.SQL(", ").join(map(sql.Identifier, by))
    query = sql.SQL("SELECT {} FROM ({}) AS unloaded GROUP BY {} ORDER BY {}").format(
        sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(one)) for one in by),
        _raw(detail.query),
        listed,
        listed,
    )
    for values in connection.execute(query).fetchall():
        conditions = sql.SQL(" AND ").join(
            sql.SQL("{}::text IS NOT DISTINCT FROM {}").format(sql.Identifier(name), sql.Literal(value))
            for name, value in zip(by, values, strict=True)
        )
        pairs = zip(by, values, strict=True)
        shown = "".join(f"{name}={_NO_PARTITION if value is None else value}/" for name, value in pairs)
        chosen = sql.SQL("SELECT {} FROM ({}) AS unloaded WHERE {}").format(
            sql.SQL(", ").join(map(sql.Identifier, kept)), _raw(detail.query), conditions
        )
        yield _Part(shown, chosen.as_string(connection))


def _raw(query: str) -> sql.SQL:
    return sql.SQL(query)


def _write(
    connection: psycopg.Connection[Any],
    detail: Unload,
    part: _Part,
    target: tuple[str, str],
    folder: Path,
    s3: Any,
    written: list[dict[str, Any]],
) -> int:
    """The objects of one part of the rows; the number of its rows."""
    rows = 0
    bucket, prefix = target
    if part.folder and not prefix.endswith("/"):
        prefix += "/"
    make = _parquet_files if detail.format == "parquet" else _text_files
    for number, (path, count) in enumerate(make(connection, detail, part.query, folder)):
        key = prefix + part.folder + _name(detail, number)
        size = path.stat().st_size
        with path.open("rb") as file:
            s3.upload_fileobj(file, bucket, key)
        path.unlink()
        rows += count
        written.append({"url": f"s3://{bucket}/{key}", "meta": {"content_length": size, "record_count": count}})
    return rows


def _name(detail: Unload, number: int) -> str:
    name = f"0000_part_{number:02d}" if detail.options.get("parallel", True) else f"{number:03d}"
    if detail.format == "parquet":
        return name + ".parquet"
    if extension := detail.options.get("extension"):
        return name + str(extension)
    return name + (".gz" if detail.options.get("compression") == "gzip" else "")


def _text_files(
    connection: psycopg.Connection[Any], detail: Unload, query: str, folder: Path
) -> Iterator[tuple[Path, int]]:
    """At least one file, and another whenever one is full."""
    maximum = detail.options.get("maxfilesize", _LARGEST)
    opener = gzip.open if detail.options.get("compression") == "gzip" else open
    lines = _lines(connection, detail, query)
    header = next(lines) if detail.options.get("header") and detail.format != "json" else b""
    following = next(lines, None)
    number = 0
    while following is not None or number == 0:
        path, count, size = folder / f"part-{number}", 0, len(header)
        with opener(path, "wb") as file:
            file.write(header)
            while following is not None and (count == 0 or size + len(following) <= maximum):
                file.write(following)
                size, count = size + len(following), count + 1
                following = next(lines, None)
        yield path, count
        number += 1


def _lines(connection: psycopg.Connection[Any], detail: Unload, query: str) -> Iterator[bytes]:
    if detail.format == "json":
        options = "FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02'"
        query = f"SELECT row_to_json(unloaded)::text FROM ({query}) AS unloaded"
    else:
        options = _copy_options(detail)
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT ({options})".encode()) as out:
        for line in out:
            yield bytes(line)


def _copy_options(detail: Unload) -> str:
    """Delimited rows are CSV without quotes unless ADDQUOTES or ESCAPE ask for them."""
    given = detail.options
    csv = detail.format == "csv"
    delimiter = given.get("delimiter", "," if csv else "|").replace("\\t", "\t")
    if len(delimiter) != 1:
        raise LoadFailed("ERROR: DELIMITER must be a single character")
    shown = {"DELIMITER": delimiter, "NULL": given.get("null", "")}
    if csv or given.get("addquotes"):
        shown["FORMAT"] = "csv"
    elif given.get("escape"):
        shown["FORMAT"] = "text"
    else:
        shown |= {"FORMAT": "csv", "QUOTE": "\x01"}
    options = ", ".join(f"{name} {_literal(value)}" for name, value in shown.items())
    if given.get("addquotes"):
        options += ", FORCE_QUOTE *"
    return options + (", HEADER true" if given.get("header") else "")


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _parquet_files(
    connection: psycopg.Connection[Any], detail: Unload, query: str, folder: Path
) -> Iterator[tuple[Path, int]]:
    columns = _columns(connection, query)
    path, number = folder / "rows", 0
    copied = f"COPY ({query}) TO STDOUT (FORMAT csv, FORCE_QUOTE *)".encode()
    with connection.cursor() as cursor, path.open("wb") as file:
        with cursor.copy(copied) as out:
            for line in out:
                file.write(line)
        rows = cursor.rowcount
    maximum = detail.options.get("maxfilesize", _LARGEST)
    files = max(1, -(-path.stat().st_size // maximum))
    each = max(1, -(-rows // files))
    types = ", ".join(f"{_literal(one.name)}: {_literal(one.kind)}" for one in columns)
    read = (
        f"SELECT * FROM read_csv({_literal(str(path))}, header = false, delim = ',', quote = '\"', escape = '\"', "
        f"nullstr = '', allow_quoted_nulls = false, auto_detect = false, max_line_size = {1 << 24}, "
        # As PostgreSQL ends lines: DuckDB looks for it in the first value, which may be a line's end itself.
        "new_line = '\\n', "
        f"columns = {{{types}}})"
    )
    with parquet.connect(folder) as writer:
        for number in range(files):
            made = folder / f"part-{number}"
            writer.execute(
                f"COPY ({read} LIMIT {each} OFFSET {number * each}) TO {_literal(str(made))} "
                "(FORMAT parquet, COMPRESSION snappy)"
            )
            yield made, max(0, min(each, rows - number * each))
    path.unlink()


def _manifest(detail: Unload, columns: list[_Column], written: list[dict[str, Any]], rows: int) -> dict[str, Any]:
    """https://docs.aws.amazon.com/redshift/latest/dg/r_UNLOAD.html - MANIFEST [VERBOSE]"""
    if detail.options["manifest"] != "verbose":
        for one in written:
            size = one.pop("meta")["content_length"]
            if detail.format == "parquet":
                one["meta"] = {"content_length": size}
        return {"entries": written}
    return {
        "entries": written,
        "schema": {"elements": [{"name": one.name, "type": {"base": one.kind.lower()}} for one in columns]},
        "meta": {"content_length": sum(one["meta"]["content_length"] for one in written), "record_count": rows},
        "author": {"name": "Amazon Redshift", "version": "1.0.0"},
    }
