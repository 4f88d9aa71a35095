"""Objects of S3 as files on disk, for queries to read. Each is fetched once, for as long as there is room."""

import contextlib
import hashlib
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sluice_ext import settings

# Athena and Hive pass over such names: they are markers of writers.
_HIDDEN = ("_", ".")
_DENIED = ("AccessDenied", "403")
_LISTED_APART = 16
"""Locations that are listed one by one; more of them are found in one list of the folder that they share."""


class Unreadable(Exception):
    """An object or a bucket cannot be read; the message is Athena's."""


class Files:
    """Copies of objects in a folder. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: OrderedDict[str, int] = OrderedDict()  # name -> bytes, the oldest use first
        self._bytes = 0
        self._lock = threading.Lock()
        self._fetching = ThreadPoolExecutor(max(2, settings.cores()), thread_name_prefix="athena-fetch")

    def below(self, s3: Any, locations: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Of each location s3://bucket/prefix, {"path", "key", "size"} of every object below it that is not empty, in
        the order of keys.

        Raises Unreadable when a bucket does not exist, or the caller may not read it.
        """
        places = [split(one) for one in locations]
        found: list[list[dict[str, Any]]] = [[] for _ in locations]
        together = len(places) > _LISTED_APART and len({bucket for bucket, _ in places}) == 1
        where = locations[0] if locations else ""
        try:
            if not together or not _assign(s3, places, found):
                for number, (bucket, prefix) in enumerate(places):
                    where = locations[number]
                    found[number] = _listed(s3, bucket, prefix)
            wanted = [
                (bucket, [one for one in some if one["Size"] and not hidden(one["Key"][len(prefix) :])])
                for (bucket, prefix), some in zip(places, found, strict=True)
            ]
            paths = iter(
                self._fetching.map(
                    lambda one: self._fetch(s3, *one), [(bucket, one) for bucket, some in wanted for one in some]
                )
            )
            return [
                [{"path": next(paths), "key": one["Key"], "size": one["Size"]} for one in some] for _, some in wanted
            ]
        except ClientError as error:
            raise Unreadable(_message(error, where)) from error

    def folders(self, s3: Any, location: str) -> list[str]:
        """Folders below a location that hold objects, relative to it, in order."""
        bucket, prefix = split(location)
        try:
            keys = [one["Key"][len(prefix) :] for one in _listed(s3, bucket, prefix)]
        except ClientError as error:
            raise Unreadable(_message(error, location)) from error
        return sorted({key.rsplit("/", 1)[0] for key in keys if "/" in key and not hidden(key)})

    def _fetch(self, s3: Any, bucket: str, one: dict[str, Any]) -> str:
        identity = f"{bucket}\0{one['Key']}\0{one['ETag']}\0{one['Size']}\0{one['LastModified']}"
        name = hashlib.sha256(identity.encode()).hexdigest()
        path = self._folder / name
        with self._lock:
            if name in self._known:
                self._known.move_to_end(name)
                return str(path)
        self._folder.mkdir(parents=True, exist_ok=True)
        body = s3.get_object(Bucket=bucket, Key=one["Key"], IfMatch=one["ETag"])["Body"]
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            for block in iter(lambda: body.read(1 << 20), b""):
                file.write(block)
        Path(file.name).replace(path)
        with self._lock:
            self._bytes += int(one["Size"]) - self._known.get(name, 0)
            self._known[name] = int(one["Size"])
            self._make_room(name)
        return str(path)

    def _make_room(self, last: str) -> None:
        """A query links to what it reads, so that a copy may go while it is read."""
        while self._bytes > settings.ATHENA_CACHE_BYTES and next(iter(self._known)) != last:
            name, size = self._known.popitem(last=False)
            self._bytes -= size
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()


def split(location: str) -> tuple[str, str]:
    """(bucket, prefix) of s3://bucket/prefix; the prefix ends with a slash, unless it is empty."""
    bucket, prefix = object_of(location)
    return bucket, prefix if not prefix or prefix.endswith("/") else prefix + "/"


def object_of(uri: str) -> tuple[str, str]:
    """(bucket, key) of s3://bucket/key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _listed(s3: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [one for page in pages for one in page.get("Contents") or []]


def _assign(s3: Any, places: Sequence[tuple[str, str]], found: Sequence[list[dict[str, Any]]]) -> bool:
    """Lists the folder that all places are in, and appends each object to those that it is below.

    False, and nothing is appended, when the caller may not list that folder: it may list the places in it.
    """
    bucket = places[0][0]
    by_prefix: dict[str, list[list[dict[str, Any]]]] = {}
    for (_, prefix), below in zip(places, found, strict=True):
        by_prefix.setdefault(prefix, []).append(below)
    first, last = min(by_prefix), max(by_prefix)  # what these share, all share
    shared = first[: next((at for at, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), None)]
    try:
        listed = _listed(s3, bucket, shared[: shared.rfind("/") + 1])
    except ClientError as error:
        if error.response["Error"]["Code"] not in _DENIED:
            raise
        return False
    for one in listed:
        key = one["Key"]
        ends = [0, *(place + 1 for place, character in enumerate(key) if character == "/")]
        for below in (below for end in ends for below in by_prefix.get(key[:end], ())):
            below.append(one)
    return True


def hidden(relative: str) -> bool:
    """Whether Athena passes over an object with this key below the location."""
    return any(part.startswith(_HIDDEN) for part in relative.split("/") if part)


def _message(error: ClientError, location: str) -> str:
    code = error.response["Error"]["Code"]
    if code in _DENIED:
        return f"PERMISSION_DENIED: Access Denied when reading {location}: {error.response['Error']['Message']}"
    if code == "NoSuchBucket":
        return f"HIVE_FILESYSTEM_ERROR: the bucket of {location} does not exist"
    return f"HIVE_CANNOT_OPEN_SPLIT: {location}: {error}"
