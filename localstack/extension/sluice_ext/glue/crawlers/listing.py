"""What a crawler reads of S3: the objects of its targets, and samples of them as files."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from sluice_ext.athena.files import hidden
from sluice_ext.glue.crawlers import globs

# AWS reads the first megabyte of a file, too.
SAMPLE: Final = 1 << 20
_PARQUET: Final = b"PAR1"


@dataclass(frozen=True)
class Object:
    """An object of S3."""

    bucket: str
    key: str
    size: int

    @property
    def place(self) -> str:
        return f"{self.bucket}/{self.key}"

    @property
    def folder(self) -> str:
        return self.place.rpartition("/")[0] + "/"


class Unlisted(Exception):
    """A target cannot be listed: the crawl fails with this message."""


def root_of(path: str) -> str:
    """s3://bucket/a as "bucket/a"; a bucket alone gets its slash."""
    root = path.removeprefix("s3://")
    return root if "/" in root else root + "/"


def objects(s3: Any, target: dict[str, Any]) -> list[Object]:
    """The objects of a target in the order of their keys, without empty, hidden and excluded ones. Raises Unlisted."""
    bucket, _, prefix = root_of(target["Path"]).partition("/")
    excluded = globs.matcher(target.get("Exclusions") or [])
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = [Object(bucket, one["Key"], one["Size"]) for page in pages for one in page.get("Contents") or []]
    except ClientError as error:
        raise Unlisted(described(error, f"s3://{bucket}/{prefix}")) from error
    if prefix and not prefix.endswith("/"):
        # a/b is the folder a/b/ or the file a/b, and not a/bc.
        found = [one for one in found if one.key == prefix or one.key.startswith(prefix + "/")]
    start = len(prefix) if prefix.endswith("/") or not prefix else len(prefix) + 1
    return _sampled(
        [
            one
            for one in found
            if one.size and not hidden(one.key[start:]) and not (excluded and excluded.fullmatch(one.key[start:]))
        ],
        target.get("SampleSize"),
    )


def _sampled(found: list[Object], size: int | None) -> list[Object]:
    """At most so many files of each folder."""
    if size is None:
        return found
    seen: dict[str, int] = {}
    chosen = []
    for one in found:
        seen[one.folder] = seen.get(one.folder, 0) + 1
        if seen[one.folder] <= size:
            chosen.append(one)
    return chosen


def described(error: ClientError, where: str) -> str:
    """An error of S3 in the words of a crawler's log."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return f"Error {message} (Service: Amazon S3; Status Code: {status}; Error Code: {code}) retrieving {where}"


@dataclass(frozen=True)
class Fetched:
    """A sample on disk, or why there is none."""

    object: Object
    path: str = ""
    error: str = ""


def fetched(s3: Any, wanted: Iterable[Object], folder: Path, pool: ThreadPoolExecutor) -> Iterator[Fetched]:
    """Samples of the objects in their order; the caller removes the files."""
    return pool.map(lambda one: _fetch(s3, one, folder), wanted)


def _fetch(s3: Any, one: Object, folder: Path) -> Fetched:
    handle, name = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            head = _range(s3, one, 0, min(SAMPLE, one.size))
            file.write(head)
            if head[:4] == _PARQUET and one.size > len(head):
                _write_end(s3, one, file)
    except ClientError as error:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        return Fetched(one, error=described(error, f"file at s3://{one.place}"))
    return Fetched(one, name)


def _write_end(s3: Any, one: Object, file: Any) -> None:
    """The footer of Parquet at its place; the hole before it is never read."""
    start = max(one.size - SAMPLE, 0)
    end = _range(s3, one, start, one.size)
    footer = int.from_bytes(end[-8:-4], "little") + 8
    if footer > len(end) and footer <= one.size:
        start = one.size - footer
        end = _range(s3, one, start, one.size)
    file.seek(start)
    file.write(end)


def _range(s3: Any, one: Object, start: int, end: int) -> bytes:
    whole = {} if (start, end) == (0, one.size) else {"Range": f"bytes={start}-{end - 1}"}
    return bytes(s3.get_object(Bucket=one.bucket, Key=one.key, **whole)["Body"].read())
