"""`sluice ls`: objects of the buckets, and which of bronze the pipeline does not ingest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sluice.console import fail
from sluice.names import nearest, unknown
from sluice.pipeline import storage
from sluice_pipeline.objects.keys import BRONZE, QUARANTINE, SILVER, dataset_of

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

BUCKETS: Final = {"bronze": BRONZE, "silver": SILVER, "quarantine": QUARANTINE}
_REQUEUED: Final = "_requeue"  # below bronze/: copies that `sluice requeue` makes


@dataclass(frozen=True)
class Listed:
    """An object of a bucket; size in bytes. ``managed`` is False for one of bronze that is never ingested."""

    bucket: str
    key: str
    size: int
    modified: datetime | None
    managed: bool = True


@dataclass(frozen=True)
class Total:
    """Objects of one bucket and dataset; ``dataset`` is empty for those under no prefix."""

    bucket: str
    dataset: str
    objects: int
    size: int
    newest: datetime | None


def objects(stack: Stack, which: str = "", known: Iterable[str] = ()) -> list[Listed]:
    """Objects of bronze, silver and quarantine, newest first: all, a bucket's, a dataset's, or those under a prefix.

    ``known`` are the datasets that are ingested. Ends with code 2 when ``which`` is none of them, and no key begins so.
    """
    names = list(known)
    places = _places(stack, which)
    found = {
        (one.bucket, one.key): one
        for name, prefix in places
        for one in _listed(stack, name, prefix, names)
        if prefix.startswith(BUCKETS[name]) or prefix == "" or not one.key.startswith(BUCKETS[name])
    }
    if not found and which not in ("", *BUCKETS, *names):
        there = [one for name in {name for name, _ in places} for one in _listed(stack, name, "", names)]
        if "/" in which:
            close = nearest(which, {one.key.rsplit("/", 1)[0] + "/" for one in there})
            fail(f"no object's key begins with {which!r}" + (f", did you mean {close!r}?" if close else ""))
        fail(unknown("dataset or prefix", which, {*names, *(one.dataset for one in totals(there) if one.dataset)}))
    return sorted(found.values(), key=lambda one: (str(one.modified or ""), one.key), reverse=True)


def totals(found: Iterable[Listed]) -> list[Total]:
    """Counted by bucket and dataset, in the order of the buckets."""
    groups: dict[tuple[str, str], list[Listed]] = {}
    for one in found:
        parts = one.key.split("/", 2)
        named = len(parts) == 3 and one.key.startswith(BUCKETS[one.bucket])
        groups.setdefault((one.bucket, parts[1] if named else ""), []).append(one)
    order = list(BUCKETS)
    return [
        Total(
            bucket,
            dataset,
            len(own),
            sum(one.size for one in own),
            max((one.modified for one in own if one.modified), default=None),
        )
        for (bucket, dataset), own in sorted(groups.items(), key=lambda group: (order.index(group[0][0]), group[0][1]))
    ]


def _places(stack: Stack, which: str) -> list[tuple[str, str]]:
    """Bucket and beginning of the keys that are meant."""
    if which.startswith("s3://"):
        named, _, prefix = which.removeprefix("s3://").partition("/")
        buckets = {stack[f"{name}_bucket"]: name for name in BUCKETS}
        if named not in buckets:
            fail(unknown("bucket", named, buckets))
        return [(buckets[named], prefix)]
    if not which:
        return [(name, "") for name in BUCKETS]
    if which in BUCKETS:
        return [(which, "")]
    for name, start in BUCKETS.items():
        if which.startswith(start):
            return [(name, which)]
    below = which if "/" in which else f"{which}/"
    return [*((name, f"{start}{below}") for name, start in BUCKETS.items()), ("bronze", which)]


def _listed(stack: Stack, name: str, prefix: str, known: Collection[str]) -> Iterator[Listed]:
    for key, size, modified in storage.entries(stack.client("s3"), stack[f"{name}_bucket"], prefix):
        dataset = dataset_of(key)
        ours = name != "bronze" or (dataset is not None and (not known or dataset in known or dataset == _REQUEUED))
        yield Listed(name, key, size, modified, ours)
