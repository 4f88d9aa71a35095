"""The objects that a COPY reads: those of a prefix, or those of a manifest.

https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-data-source-s3.html
https://docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sluice_ext.redshift.copying import errors
from sluice_ext.redshift.copying.errors import LoadFailed


@dataclass(frozen=True)
class Source:
    """An object, and its length in bytes where the manifest says it."""

    bucket: str
    key: str
    length: int | None = None

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def address(self) -> str:
        """As Spectrum's errors show it."""
        return f"https://s3.amazonaws.com/{self.bucket}/{self.key}"


def split(url: str) -> tuple[str, str]:
    """The bucket and key of ``s3://bucket/key``. Raises LoadFailed."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket:
        raise LoadFailed(f"ERROR: The S3 path '{url}' is not valid")
    return bucket, key


def find(url: str, manifest: bool, columnar: bool, s3: Any) -> list[Source]:
    """In the order of their keys, or of the manifest. Raises LoadFailed."""
    bucket, key = split(url)
    if manifest:
        return _of_manifest(bucket, key, columnar, s3)
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        found = [Source(bucket, one["Key"], one["Size"]) for page in pages for one in page.get("Contents", ())]
    except ClientError as error:
        raise errors.storage(error) from None
    if not found:
        raise LoadFailed(f"ERROR: The specified S3 prefix '{key}' does not exist")
    # Markers of folders, and the files that Hadoop and Spark leave beside the data.
    return [one for one in found if one.length and not _hidden(one.key)] or found[:0]


def _hidden(key: str) -> bool:
    name = key.rsplit("/", 1)[-1]
    return name.startswith(("_", ".")) or not name or name.endswith("_$folder$")


def _of_manifest(bucket: str, key: str, columnar: bool, s3: Any) -> list[Source]:
    prefix = "Problem reading manifest file - "
    try:
        text = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise errors.storage(error, prefix) from None
    try:
        entries = json.loads(text)["entries"]
        given = [
            (split(one["url"]), bool(one.get("mandatory", False)), (one.get("meta") or {}).get("content_length"))
            for one in entries
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LoadFailed(f"ERROR: {prefix}Manifest file is not in correct json format") from None
    if columnar and any(length is None for _, _, length in given):
        raise LoadFailed(f"ERROR: {prefix}The manifest of columnar files needs the key meta with content_length")
    found = []
    for (at, name), mandatory, length in given:
        try:
            size = s3.head_object(Bucket=at, Key=name)["ContentLength"]
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status == 404 and not mandatory:
                continue
            raise errors.storage(error) from None
        if length is not None and size != length and columnar:
            raise LoadFailed(
                f"ERROR: {prefix}The content_length {length} of s3://{at}/{name} is not the object's, {size}"
            )
        found.append(Source(at, name, size))
    return found


def download(source: Source, folder: Path, s3: Any) -> Path:
    """An object as a file, in parts that the client chooses. Raises LoadFailed."""
    path = folder / "object"
    try:
        with path.open("wb") as file:
            s3.download_fileobj(source.bucket, source.key, file)
    except ClientError as error:
        raise errors.storage(error) from None
    return path
