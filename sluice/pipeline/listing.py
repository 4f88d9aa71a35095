"""`sluice ls`: objects of the buckets, and which of bronze the pipeline does not ingest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappush, heappushpop
from typing import TYPE_CHECKING, Final, NoReturn

from sluice.console import fail
from sluice.names import nearest, unknown
from sluice.pipeline import storage
from sluice_pipeline.objects.keys import BRONZE, QUARANTINE, SILVER, dataset_of

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

BUCKETS: Final = {"bronze": BRONZE, "silver": SILVER, "quarantine": QUARANTINE}
_PAGE: Final = 1_000  # objects that S3 lists at a time
_REQUEUED: Final = "_requeue"  # below bronze/: copies that `sluice requeue` makes


@dataclass(frozen=True)
class Listed:
    """An object of a bucket; size in bytes. ``managed`` is False for one of bronze that is never ingested."""

    bucket: str
    key: str
    size: int
    modified: datetime | None
    managed: bool = True

    @property
    def dataset(self) -> str:
        """That of its prefix; empty for an object under none."""
        parts = self.key.split("/", 2)
        return parts[1] if len(parts) == 3 and self.key.startswith(BUCKETS[self.bucket]) else ""

    @property
    def rank(self) -> tuple[str, str]:
        """What objects are ordered by; the newest has the greatest."""
        return str(self.modified or ""), self.key


@dataclass(frozen=True)
class Total:
    """Objects of one bucket and dataset; ``dataset`` is empty for those under no prefix."""

    bucket: str
    dataset: str
    objects: int
    size: int
    newest: datetime | None


@dataclass
class Summary:
    """Objects counted as they are listed: the totals, and the ``limit`` newest ones. All others are not remembered."""

    limit: int
    objects: int = 0
    size: int = 0
    unmanaged: list[str] = field(default_factory=list)
    _totals: dict[tuple[str, str], Total] = field(default_factory=dict)
    _newest: list[tuple[str, str, str, Listed]] = field(default_factory=list)

    def add(self, one: Listed) -> None:
        """Count an object."""
        self.objects, self.size = self.objects + 1, self.size + one.size
        if not one.managed:
            self.unmanaged.append(one.key)
        place = one.bucket, one.dataset
        known = self._totals.get(place) or Total(*place, 0, 0, None)
        newest = max(filter(None, (known.newest, one.modified)), default=None)
        self._totals[place] = Total(*place, known.objects + 1, known.size + one.size, newest)
        entry = (*one.rank, one.bucket, one)
        if len(self._newest) < self.limit:
            heappush(self._newest, entry)
        else:
            heappushpop(self._newest, entry)

    @property
    def newest(self) -> list[Listed]:
        """The newest ones, newest first."""
        return [one for *_, one in sorted(self._newest, reverse=True)]

    @property
    def totals(self) -> list[Total]:
        """By bucket and dataset, in the order of the buckets."""
        order = list(BUCKETS)
        return [total for _, total in sorted(self._totals.items(), key=lambda one: (order.index(one[0][0]), one[0][1]))]


def summary(
    stack: Stack,
    which: str = "",
    known: Iterable[str] = (),
    limit: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Summary:
    """What `found` gives, counted. ``progress`` gets the number of objects so far."""
    made = Summary(limit)
    for one in found(stack, which, known):
        made.add(one)
        if progress and made.objects % _PAGE == 0:
            progress(made.objects)
    return made


def objects(stack: Stack, which: str = "", known: Iterable[str] = ()) -> list[Listed]:
    """What `found` gives, newest first, all of it in memory."""
    return sorted(found(stack, which, known), key=lambda one: one.rank, reverse=True)


def found(stack: Stack, which: str = "", known: Iterable[str] = ()) -> Iterator[Listed]:
    """Objects of bronze, silver and quarantine as S3 lists them: all, a bucket's, a dataset's, or those under a prefix.

    ``known`` are the datasets that are ingested. Ends with code 2 when ``which`` is none of them, and no key begins so.
    """
    names = list(known)
    places = _places(stack, which)
    none = True
    for name, prefix in places:
        for one in _listed(stack, name, prefix, names):
            if prefix.startswith(BUCKETS[name]) or prefix == "" or not one.key.startswith(BUCKETS[name]):
                none = False
                yield one
    if none and which not in ("", *BUCKETS, *names):
        _unknown(
            which, names, (one for name in {name for name, _ in places} for one in _listed(stack, name, "", names))
        )


def _unknown(which: str, names: Collection[str], there: Iterable[Listed]) -> NoReturn:
    """Ends with code 2; names what is there and nearest."""
    if "/" in which:
        close = nearest(which, {one.key.rsplit("/", 1)[0] + "/" for one in there})
        fail(f"no object's key begins with {which!r}" + (f", did you mean {close!r}?" if close else ""))
    fail(unknown("dataset or prefix", which, {*names, *(one.dataset for one in there if one.dataset)}))


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
