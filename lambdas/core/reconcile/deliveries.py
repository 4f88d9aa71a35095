"""S3 Inventory's deliveries: lists of bronze that S3 writes once a day, each with a manifest that names its files.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from sluice_pipeline.runtime.errors import code_of

REQUIRED: Final = ("Bucket", "Key", "Size", "LastModifiedDate", "ETag")
_FOLDER: Final = "%Y-%m-%dT%H-%MZ/"
_MANIFEST: Final = "manifest.json"
_CHECKSUM: Final = "manifest.checksum"
_MANIFEST_BYTES: Final = 32 * 1024 * 1024  # 100,000 files
_BLOCK: Final = 4 * 1024 * 1024
# S3 answers 403 for what is not there to a role that may not list the key:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
_NOT_SHOWN: Final = ("NoSuchKey", "404", "AccessDenied", "403")

_NOT_A_MANIFEST: Final = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, OSError, RecursionError)


class InventoryRefusedError(Exception):
    """The delivery is damaged, of another bucket, or in a form that is not read here: the pass over it ends."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """``manifest``: its key; ``moment``: when S3 began to list, to the minute."""

    manifest: str
    moment: datetime


@dataclass(frozen=True, slots=True)
class DataFile:
    """``md5``: of the file's bytes, in hexadecimal digits; ``size`` in bytes."""

    key: str
    size: int
    md5: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """``created``: when S3 began to list, so what came later is not in it; ``columns``: the names of a row's fields."""

    created: datetime
    columns: tuple[str, ...]
    files: tuple[DataFile, ...]


class Deliveries:
    """``prefix``: destination prefix, source bucket and id of the configuration, with a slash at its end."""

    def __init__(self, s3: Any, bucket: str, prefix: str, source: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix
        self.source = source

    def newest(self, now: datetime) -> Delivery | None:
        """The newest delivery that is complete, which means that its manifest and the manifest's checksum are there."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
        )
        found = [str(one["Prefix"]) for page in pages for one in page.get("CommonPrefixes") or ()]
        for folder in sorted(found, reverse=True):
            moment = _moment(folder.removeprefix(self._prefix))
            if moment and moment <= now and {folder + _MANIFEST, folder + _CHECKSUM} <= self._keys(folder):
                return Delivery(folder + _MANIFEST, moment)
        return None

    def manifest(self, key: str) -> Manifest:
        """Raises InventoryRefusedError when it is not what its checksum says, or not a CSV list of this bucket."""
        written = self._whole(key)
        checksum = self._whole(key.removesuffix(_MANIFEST) + _CHECKSUM).decode(errors="replace").strip()
        if _md5(written).hexdigest() != checksum.lower():
            raise InventoryRefusedError(f"{key} has not the MD5 that manifest.checksum says")
        try:
            return self._parsed(key, json.loads(written))
        except _NOT_A_MANIFEST as error:
            raise InventoryRefusedError(f"{key} is no manifest: {type(error).__name__} {error}") from error

    def blocks(self, file: DataFile) -> Iterator[bytes]:
        """The file's bytes. A call for each block: S3 closes a connection on which nothing is read for long.

        Raises InventoryRefusedError at the end when they have not the MD5 of the manifest, or when the file is gone.
        """
        digest = _md5()
        for start in range(0, file.size, _BLOCK):
            block = self._get(file.key, Range=f"bytes={start}-{min(start + _BLOCK, file.size) - 1}")
            digest.update(block)
            yield block
        if digest.hexdigest() != file.md5:
            raise InventoryRefusedError(f"{file.key} has not the MD5 that the manifest says")

    def _keys(self, prefix: str) -> set[str]:
        answer = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
        return {str(one["Key"]) for one in answer.get("Contents") or ()}

    def _whole(self, key: str) -> bytes:
        return self._get(key, Range=f"bytes=0-{_MANIFEST_BYTES - 1}")

    def _get(self, key: str, **request: str) -> bytes:
        try:
            body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key, **request)["Body"].read()
        except ClientError as error:
            if code_of(error) == "InvalidRange":
                raise InventoryRefusedError(f"{key} is shorter than its manifest says") from error
            if code_of(error) in _NOT_SHOWN and key not in self._keys(key):
                raise InventoryRefusedError(f"{key} is gone") from error
            raise
        return body

    def _parsed(self, key: str, manifest: dict[str, Any]) -> Manifest:
        if manifest["sourceBucket"] != self.source:
            raise InventoryRefusedError(f"{key} is a list of {manifest['sourceBucket']!r}, not of {self.source}")
        if manifest["fileFormat"] != "CSV":
            raise InventoryRefusedError(f"{key} is a list in {manifest['fileFormat']!r}, not in CSV")
        columns = tuple(name.strip() for name in manifest["fileSchema"].split(","))
        if missing := [name for name in REQUIRED if name not in columns]:
            raise InventoryRefusedError(f"{key} is a list without {', '.join(missing)}")
        if len(set(columns)) < len(columns):
            raise InventoryRefusedError(f"{key} names a column twice")
        created = datetime.fromtimestamp(int(manifest["creationTimestamp"]) / 1000, UTC)
        files = tuple(self._file(one) for one in manifest["files"])
        return Manifest(created, columns, files)

    def _file(self, entry: dict[str, Any]) -> DataFile:
        file = DataFile(str(entry["key"]), int(entry["size"]), str(entry["MD5checksum"]).lower())
        if not file.key.startswith(self._prefix):
            raise InventoryRefusedError(f"{file.key!r} is not below {self._prefix}")
        return file


def _moment(folder: str) -> datetime | None:
    """Of a delivery's folder; None for data/, hive/ and everything else that is beside them."""
    try:
        return datetime.strptime(folder, _FOLDER).replace(tzinfo=UTC)
    except ValueError:
        return None


def _md5(data: bytes = b"") -> Any:
    return hashlib.md5(data, usedforsecurity=False)
