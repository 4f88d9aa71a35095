"""What is in bronze, page by page in the order of the keys; a pass goes on after the last key of a page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sluice_pipeline.objects.keys import BRONZE

_PARTS: Final = "-"  # and their number end the ETag of a multipart upload


@dataclass(frozen=True, slots=True)
class Listed:
    """A current version as a list shows it: size in bytes, ``modified`` as the ledger writes times."""

    key: str
    etag: str
    size: int
    modified: str

    @property
    def is_multipart(self) -> bool:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html"""
        return _PARTS in self.etag


@dataclass(frozen=True, slots=True)
class Page:
    """``position``: from where a later run goes on once this page is done."""

    objects: list[Listed]
    position: str


def listed(s3: Any, bucket: str, position: str = "") -> Iterator[Page]:
    """Objects under ``bronze/``, up to 1,000 a page, after the key ``position``.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    after = {"StartAfter": position} if position else {}
    for answer in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=BRONZE, **after):
        if entries := answer.get("Contents"):
            yield Page([_listed(entry) for entry in entries], str(entries[-1]["Key"]))


def _listed(entry: dict[str, Any]) -> Listed:
    return Listed(entry["Key"], entry["ETag"].strip('"'), int(entry["Size"]), stamp(entry["LastModified"]))


def stamp(moment: datetime) -> str:
    """A time as the ledger writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
