"""Silver files as CSV that PostgreSQL copies: whole columns, no row ever becomes a Python object."""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from psycopg import sql

from sluice_pipeline.ledger.items import Output
from warehouse.database import OBJECT_ID

_NUL, _REPLACEMENT = b"\x00", "\ufffd".encode()
# Text is quoted, nothing else is: an empty text is "", NULL is nothing.
_WRITE: Final = pa_csv.WriteOptions(include_header=False, batch_size=8192, quoting_style="needed")


class SilverChanged(RuntimeError):
    """A file does not hold what the ledger says: a newer run is writing it, and will be loaded itself."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one file; ``csv`` has the columns in this order. ``replaced``: NUL characters made U+FFFD."""

    columns: tuple[str, ...]
    count: int
    csv: bytes
    replaced: int = 0


def as_csv(table: pa.Table) -> Rows:
    """PostgreSQL's text cannot hold NUL, which JSON can: such a character becomes U+FFFD.

    Times are in UTC, and so is the session.
    """
    sink = io.BytesIO()
    pa_csv.write_csv(table, sink, _WRITE)
    csv = sink.getvalue()
    nuls = csv.count(_NUL)
    return Rows(tuple(table.column_names), table.num_rows, csv.replace(_NUL, _REPLACEMENT) if nuls else csv, nuls)


def read(s3: Any, bucket: str, output: Output, object_id: str) -> Rows:
    """The rows of a file, with a column of their object's id.

    Raises:
        SilverChanged: the file holds another number of rows, or is gone.
    """
    try:
        body = s3.get_object(Bucket=bucket, Key=output["key"])["Body"].read()
    except s3.exceptions.NoSuchKey as error:
        raise SilverChanged(f"{output['key']} is gone") from error
    # Not through a dataset: the folder names (dt=...) are no columns.
    table = pq.ParquetFile(pa.BufferReader(body)).read(use_threads=False)
    rows = as_csv(table.append_column(OBJECT_ID, pa.repeat(object_id, table.num_rows)))
    if rows.count != int(output["rows"]):
        raise SilverChanged(f"{output['key']} has {rows.count} rows, the ledger says {output['rows']}")
    return rows


def read_ahead(s3: Any, bucket: str, outputs: Sequence[Output], object_id: str) -> Iterator[Rows]:
    """The files in order, the next one being read while PostgreSQL works on the one before; two in memory at most."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = [reader.submit(read, s3, bucket, output, object_id) for output in outputs[:1]]
        for index in range(len(outputs)):
            rows = coming.pop().result()
            coming += [reader.submit(read, s3, bucket, output, object_id) for output in outputs[index + 1 : index + 2]]
            yield rows


def copy(connection: psycopg.Connection[Any], target: sql.Identifier, files: Sequence[Rows]) -> None:
    """Copies files that have the same columns into a table.

    Raises:
        SilverChanged: PostgreSQL counts other rows.
    """
    columns = sql.SQL(", ").join(map(sql.Identifier, files[0].columns))
    with connection.cursor() as cursor:
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(target, columns)) as copying:
            for rows in files:
                copying.write(rows.csv)
        expected = sum(rows.count for rows in files)
        if cursor.rowcount != expected:
            raise SilverChanged(f"PostgreSQL copied {cursor.rowcount} rows of {expected}")
