"""What is in the buckets: listings, and the row counts and record ids of silver and quarantine files."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

AHEAD = 16  # results that may wait for the one before them
THREADS = 8  # below boto3's default of ten connections for a client


@dataclass(frozen=True)
class Version:
    """One version of a bronze object; size in bytes, etag without quotes. ``modified``: when it came."""

    key: str
    version_id: str
    etag: str
    size: int
    modified: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Content:
    """What a silver or quarantine file holds: its number of rows and their ids (a pyarrow string array)."""

    rows: int
    record_ids: Any
    columns: Any = None
    """Of a silver file: the table of the columns that were asked for; one that it does not have yet is null."""


def gone(error: Exception) -> bool:
    """Whether an S3 error says that the object, or this version of it, is not there (any more)."""
    from botocore.exceptions import ClientError

    codes = ("NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed")
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in codes


def entries(s3: Any, bucket: str, prefix: str) -> Iterator[tuple[str, int, datetime | None]]:
    """Key, size and time of everything under a prefix."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            yield entry["Key"], int(entry["Size"]), entry.get("LastModified")


def files(s3: Any, bucket: str, prefix: str) -> dict[str, int]:
    """Key and size of everything under a prefix."""
    return {key: size for key, size, _ in entries(s3, bucket, prefix)}


def versions(s3: Any, bucket: str, prefix: str) -> Iterator[Version]:
    """Every version under a prefix, delete markers left out."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Versions", []):
            etag, size, modified = entry["ETag"].strip('"'), int(entry["Size"]), entry.get("LastModified")
            yield Version(entry["Key"], entry["VersionId"], etag, size, modified)


def silver_content(s3: Any, bucket: str, key: str, columns: Sequence[str] = ()) -> Content:
    """Rows, record ids and columns of a Parquet file, read whole: it is small, one request is quicker than three."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    file = pq.ParquetFile(pa.BufferReader(body))
    wanted = ["_record_id", *(name for name in columns if name in file.schema_arrow.names)]
    table = file.read(wanted, use_threads=False)  # a thread of Arrow's would hold memory for the next file, too
    ids = pa.concat_arrays(table["_record_id"].cast(pa.string()).chunks or [pa.array([], pa.string())])
    missing = pa.nulls(table.num_rows)
    found = {name: table[name] if name in table.column_names else missing for name in columns}
    return Content(table.num_rows, ids, pa.table(found) if found else None)


def quarantine_rows(s3: Any, bucket: str, key: str) -> list[dict[str, Any]]:
    """The lines of a quarantine file; none when a new run of its object has removed it since it was listed."""
    try:
        return _lines(s3, bucket, key)
    except Exception as error:
        if gone(error):
            return []
        raise


def quarantine_content(s3: Any, bucket: str, key: str) -> Content:
    """Rows and record ids of a quarantine file."""
    import pyarrow as pa

    rows = _lines(s3, bucket, key)
    return Content(len(rows), pa.array([row["record_id"] for row in rows], pa.string()))


def _lines(s3: Any, bucket: str, key: str) -> list[dict[str, Any]]:
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return [json.loads(line) for line in body.splitlines() if line.strip()]


def contents(read: Callable[[Any, str, str], Content], s3: Any, bucket: str, keys: Iterable[str]) -> dict[str, Content]:
    """What each file holds, read one after the other; a file that has gone since it was listed is left out."""
    found = {}
    for key in keys:
        try:
            found[key] = read(s3, bucket, key)
        except Exception as error:
            if not gone(error):
                raise
    return found


def owner_of(key: str) -> str:
    """The object id in the name of a silver or quarantine file ``.../<object_id>-<chunk>.<ending>``."""
    return key.rsplit("/", 1)[-1].rsplit("-", 1)[0]


def dataset_in(key: str) -> str:
    """The folder below the first one; '' for a key without."""
    parts = key.split("/", 2)
    return parts[1] if len(parts) == 3 else ""


def in_parallel[T, R](work: Callable[[T], R], over: Iterable[T]) -> Iterator[R]:
    """Results in order; the first error ends it. Of what ``over`` gives, no more than AHEAD are asked for at a time."""
    from concurrent.futures import Future, ThreadPoolExecutor

    begun: deque[Future[R]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for one in over:
                begun.append(pool.submit(work, one))
                if len(begun) == AHEAD:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for late in begun:
                late.cancel()
