"""Objects of the bronze bucket that the pipeline does not ingest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sluice.pipeline import storage
from sluice_pipeline.ledger.items import State
from sluice_pipeline.objects.failures import Failure
from sluice_pipeline.objects.keys import BRONZE

if TYPE_CHECKING:
    from sluice.pipeline.ledger import Item

MAX_OBJECTS: Final = 1_000


def unmanaged(s3: Any, bucket: str, items: Iterable[Item]) -> list[str]:
    """Keys of bronze that are not ingested: under no ``bronze/`` prefix, or under that of no dataset.

    S3 announces no object of the first kind. Ingest has recorded those of the second as failed: ``items`` are objects
    of the ledger. At most MAX_OBJECTS of each kind.
    """
    stray = (str(item["origin"]["key"]) for item in items if is_of_no_dataset(item))
    return sorted({*islice(_outside(s3, bucket), MAX_OBJECTS), *islice(stray, MAX_OBJECTS)})


def is_of_no_dataset(item: Item) -> bool:
    """Whether an object failed because its prefix names no dataset."""
    return item.get("state") == State.FAILED and item.get("failed_reason") == Failure.UNKNOWN_DATASET


def _outside(s3: Any, bucket: str) -> Iterator[str]:
    """What is under no ``bronze/`` prefix, without listing what is."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="", Delimiter="/"):
        yield from (entry["Key"] for entry in page.get("Contents", []))
        for folder in page.get("CommonPrefixes", []):
            if folder["Prefix"] != BRONZE:
                yield from (key for key, _, _ in storage.entries(s3, bucket, folder["Prefix"]))
