"""The world of `reconcile` in which S3 delivers inventories of the bucket."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

from botocore.exceptions import ClientError

from sluice_pipeline.runtime.clock import written
from tests.support.reconcile_world import BUCKET, NOW, World

LISTS = "lists"
PREFIX = f"inventory/{BUCKET}/daily/"
COLUMNS = ("Bucket", "Key", "Size", "LastModifiedDate", "ETag")
CREATED = (NOW - timedelta(hours=2)).replace(second=0, microsecond=0)

type Row = dict[str, str]


class InventoryWorld(World):
    """``lists``: the destination's objects by key."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, bytes] = {}
        self.settings = {"INVENTORY_BUCKET": LISTS, "INVENTORY_PREFIX": PREFIX}

    def clear(self) -> None:
        super().clear()
        self.lists.clear()

    # -- S3

    def paginate(self, Bucket: str, Prefix: str, StartAfter: str = "", **request: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
        if Bucket == BUCKET:
            yield from super().paginate(Bucket, Prefix, StartAfter)
            return
        assert (Bucket, Prefix, request) == (LISTS, PREFIX, {"Delimiter": "/"})
        names = {key.removeprefix(Prefix).split("/")[0] + "/" for key in self.lists if key.startswith(Prefix)}
        yield self._call(lambda: {"CommonPrefixes": [{"Prefix": Prefix + name} for name in sorted(names)]})

    def list_objects_v2(self, Bucket: str, Prefix: str) -> Any:  # noqa: N803
        assert Bucket == LISTS
        assert Prefix.startswith(PREFIX)
        return self._call(lambda: {"Contents": [{"Key": key} for key in sorted(self.lists) if key.startswith(Prefix)]})

    def get_object(self, Bucket: str, Key: str, Range: str) -> Any:  # noqa: N803
        assert Bucket == LISTS
        assert Key.startswith(PREFIX)
        start, end = map(int, Range.removeprefix("bytes=").split("-"))

        def get() -> dict[str, Any]:
            if Key not in self.lists:
                raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")
            if start >= len(self.lists[Key]):
                raise ClientError({"Error": {"Code": "InvalidRange"}}, "GetObject")
            return {"Body": io.BytesIO(self.lists[Key][start : end + 1])}

        return self._call(get)

    # -- what tests do

    def rows(self) -> list[Row]:
        """What a list of the bucket has now."""
        return [
            {"Bucket": BUCKET, "Key": quote_plus(key, safe="/"), "Size": str(one.size),
             "LastModifiedDate": written(one.modified), "ETag": one.etag}
            for key, one in sorted(self.bucket.items())
        ]  # fmt: skip

    def deliver(
        self,
        *files: Sequence[Row] | bytes,
        created: datetime = CREATED,
        columns: Sequence[str] = COLUMNS,
        **manifest: Any,
    ) -> str:
        """S3 delivers lists with these rows, or these bytes; without any, one file of what the bucket has now.

        Answers the manifest's key; ``manifest`` replaces parts of it.
        """
        entries = []
        for number, file in enumerate(files or [self.rows()]):
            body = file if isinstance(file, bytes) else packed(file, columns)
            key = f"{PREFIX}data/{created:%Y%m%d%H%M}-{number}.csv.gz"
            self.lists[key] = body
            entries.append({"key": key, "size": len(body), "MD5checksum": md5(body)})
        document = {
            "sourceBucket": BUCKET,
            "destinationBucket": f"arn:aws:s3:::{LISTS}",
            "version": "2016-11-30",
            "creationTimestamp": str(int(created.timestamp() * 1000)),
            "fileFormat": "CSV",
            "fileSchema": ", ".join(columns),
            "files": entries,
        } | manifest
        return self.deliver_manifest(json.dumps(document).encode(), created)

    def deliver_manifest(self, written: bytes, created: datetime = CREATED) -> str:
        folder = f"{PREFIX}{created:%Y-%m-%dT%H-%MZ}/"
        self.lists[folder + "manifest.json"] = written
        self.lists[folder + "manifest.checksum"] = md5(written).encode()
        self.lists[f"{PREFIX}hive/dt={created:%Y-%m-%d-%H-%M}/symlink.txt"] = b""
        return folder + "manifest.json"


def packed(rows: Sequence[Row], columns: Sequence[str] = COLUMNS) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
        [row[name] for name in columns] for row in rows
    )
    return gzip.compress(text.getvalue().encode(), 1)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
