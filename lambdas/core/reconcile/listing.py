"""What is in bronze, page by page in the order of the keys; a pass goes on after the last key of a page."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from core.reconcile.listed import Listed, Page
from core.reconcile.progress import Progress, ProgressStore
from core.reconcile.window import Window
from sluice_pipeline.objects.keys import BRONZE
from sluice_pipeline.runtime.clock import written


class Listing:
    """The list that S3 answers now: a pass begins whenever none is under way."""

    def __init__(self, s3: Any, bucket: str, store: ProgressStore) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._store = store

    def open(self, progress: Progress, now: datetime) -> bool:
        if progress.began is None or progress.manifest:
            self._store.begin(progress, now)
        return True

    def pages(self, progress: Progress, _window: Window) -> Iterator[Page]:
        """Objects under ``bronze/``, up to 1,000 a page, after the key at which the pass is.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        after = {"StartAfter": progress.position} if progress.position else {}
        for answer in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=BRONZE, **after):
            if entries := answer.get("Contents"):
                yield Page([_listed(entry) for entry in entries], str(entries[-1]["Key"]), len(entries))


def _listed(entry: dict[str, Any]) -> Listed:
    return Listed(entry["Key"], entry["ETag"].strip('"'), int(entry["Size"]), written(entry["LastModified"]))
