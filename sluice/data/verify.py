"""`sluice verify`: reads source, ledger, silver and quarantine, and has them compared.

The source is read again, the exact version that the ledger names, and counted by code that shares nothing with the
functions. Buckets are listed once; files are read in parallel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pipeline.items import State
from pipeline.keys import is_totals_key
from sluice.data import queues, reconcile, storage
from sluice.data.ledger import Entry, LedgerView
from sluice.data.reconcile import Difference, Found, ObjectResult, Source
from sluice.data.source import UncountableError, count_rows
from sluice.data.storage import Version

if TYPE_CHECKING:
    from sluice.stack import Stack

BRONZE, SILVER, QUARANTINE = "bronze/", "silver/", "quarantine/"


@dataclass(frozen=True)
class Report:
    """What was compared and what differs."""

    objects: list[ObjectResult]
    queues: dict[str, queues.Depth]
    differences: list[Difference]

    @property
    def ok(self) -> bool:
        return not self.differences

    def to_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "summary": reconcile.summary(self.objects),
            "queues": {name: asdict(depth) for name, depth in self.queues.items()},
            "objects": [
                {name: value for name, value in asdict(row).items() if name != "differences"} | {"ok": row.ok}
                for row in self.objects
            ],
            "differences": [asdict(difference) for difference in self.differences],
        }


def verify(
    stack: Stack,
    *,
    dataset: str | None = None,
    prefixes: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Reconciles all objects, or those of a dataset, or those whose bronze key begins with one of ``prefixes``.

    ``progress`` is told objects done and objects in all. Nothing is changed.
    """
    collector = Collector(stack)
    entries = collector.ledger.everything()
    wanted = {name: entry for name, entry in entries.items() if _wanted(entry, dataset, prefixes)}
    versions = [
        v for start in prefixes or (BRONZE,) for v in collector.bronze(start) if dataset in (None, _dataset(v.key))
    ]
    listed = {kind: collector.list(kind) for kind in ("outputs", "quarantine")}
    results: list[ObjectResult] = []
    for result in storage.in_parallel(lambda entry: collector.check(entry, listed), wanted.values()):
        results.append(result)
        if progress:
            progress(len(results), len(wanted))
    results.sort(key=lambda row: (row.dataset, row.key))
    differences = [difference for row in results for difference in row.differences]
    ids = collector.identify(versions, entries)
    differences += reconcile.unplanned(versions, entries, ids)
    for kind, files in listed.items():
        # A file of another object is that object's affair; one that belongs to none is looked for in the whole lake.
        chosen = {key: size for key, size in files.items() if _concerns(key, wanted, entries, dataset, prefixes)}
        differences += reconcile.orphans(chosen, entries, set(ids.values()), collector.bucket(kind), kind)
    return Report(results, queues.depths(stack), differences)


class Collector:
    """Reads what verify compares."""

    def __init__(self, stack: Stack) -> None:
        self._s3 = stack.client("s3")
        self.ledger = LedgerView(stack.client("dynamodb"), stack["ledger_table"])
        self.buckets = reconcile.Buckets(stack["bronze_bucket"], stack["silver_bucket"], stack["quarantine_bucket"])

    def bucket(self, kind: str) -> str:
        return self.buckets.silver if kind == "outputs" else self.buckets.quarantine

    def list(self, kind: str) -> dict[str, int]:
        found = storage.files(self._s3, self.bucket(kind), SILVER if kind == "outputs" else QUARANTINE)
        # Totals that differ are about a file, and no rows of it.
        return {key: size for key, size in found.items() if not is_totals_key(key)}

    def bronze(self, prefix: str) -> Iterable[Version]:
        return storage.versions(self._s3, self.buckets.bronze, prefix)

    def check(self, entry: Entry, listed: Mapping[str, Mapping[str, int]]) -> ObjectResult:
        """Reads and compares one object."""
        found = Found(
            source=self.source(entry),
            silver=storage.contents(
                storage.silver_content,
                self._s3,
                self.buckets.silver,
                (key for key in entry.files("outputs") if key in listed["outputs"]),
            ),
            quarantine=storage.contents(
                storage.quarantine_content,
                self._s3,
                self.buckets.quarantine,
                (key for key in entry.files("quarantine") if key in listed["quarantine"]),
            ),
        )
        return reconcile.check_object(entry, found, self.buckets)

    def source(self, entry: Entry) -> Source:
        """Counts the version that the ledger planned; an object that never reached silver has nothing to compare."""
        if entry.state in (State.FAILED, State.MISSING):
            return Source(None, entry.state)
        item = entry.item
        which = {"VersionId": item["version_id"]} if item.get("version_id") else {}
        try:
            body = self._s3.get_object(Bucket=item["bucket"], Key=item["key"], **which)["Body"]
            return Source(count_rows(entry.key, body))
        except UncountableError as error:
            return Source(None, str(error))
        except Exception as error:
            if storage.gone(error):
                return Source(None, "the version is gone")  # lifecycle or a deletion after the commit
            raise

    def identify(self, versions: Iterable[Version], entries: Mapping[str, Entry]) -> dict[Version, str]:
        """The object id of each version; only one that the ledger does not know is asked for a replay's origin."""
        ids = {version: object_id(self.buckets.bronze, version.key, version.etag) for version in versions}
        by_version = {(e.item.get("key"), e.item.get("version_id")): name for name, e in entries.items()}
        for version, name in ids.items():
            if name not in entries:
                known = by_version.get((version.key, version.version_id))
                ids[version] = known or self._origin_id(version) or name
        return ids

    def _origin_id(self, version: Version) -> str | None:
        metadata = self._s3.head_object(Bucket=self.buckets.bronze, Key=version.key, VersionId=version.version_id).get(
            "Metadata", {}
        )
        origin = [metadata.get(f"sluice-origin-{part}") for part in ("bucket", "key", "etag")]
        return object_id(origin[0], unquote(origin[1]), origin[2]) if all(origin) else None


def object_id(bucket: str, key: str, etag: str) -> str:
    """An object's identity, worked out anew from DESIGN's rule: 32 hex digits of the SHA-256 of s3://bucket/key#etag."""
    return hashlib.sha256(f"s3://{bucket}/{key}#{etag}".encode()).hexdigest()[:32]


def _wanted(entry: Entry, dataset: str | None, prefixes: Sequence[str]) -> bool:
    return dataset in (None, entry.dataset) and (not prefixes or entry.key.startswith(tuple(prefixes)))


def _dataset(key: str) -> str:
    parts = key.split("/", 2)
    return parts[1] if len(parts) == 3 else ""


def _concerns(
    key: str, wanted: Mapping[str, Entry], entries: Mapping[str, Entry], dataset: str | None, prefixes: Sequence[str]
) -> bool:
    owner = storage.owner_of(key)
    if owner in wanted:
        return True
    return owner not in entries and not prefixes and dataset in (None, _dataset(key))
