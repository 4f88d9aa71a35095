"""`sluice verify`: reads source, ledger, silver and quarantine, and has them compared.

The source is read again, the exact version that the ledger names, and counted by code that shares nothing with the
functions. Buckets are listed once; objects are read in parallel, each a chunk at a time, so memory holds no more than a
few chunks of rows, however large the objects are, and however many (`sluice.pipeline.verify_reading`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sluice.console import fail
from sluice.names import unknown
from sluice.pipeline import queues, reconcile, storage
from sluice.pipeline.key_counts import Counts
from sluice.pipeline.ledger import Item, LedgerView, Outline, Outlines
from sluice.pipeline.reconcile import Difference, Expired, Found, ObjectResult, Retention
from sluice.pipeline.storage import Version
from sluice.pipeline.unmanaged import is_of_no_dataset, unmanaged
from sluice.pipeline.verify_reading import Reader, memory_given_back
from sluice_pipeline.objects.identity import Origin
from sluice_pipeline.objects.keys import BRONZE, QUARANTINE, SILVER, is_totals_key
from sluice_pipeline.objects.passed_over import PassedOver
from sluice_pipeline.runtime import clock

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack


@dataclass(frozen=True)
class Report:
    """What was compared and what differs."""

    objects: list[ObjectResult]
    queues: dict[str, queues.Depth]
    differences: list[Difference]
    duplicates: Counts = field(default_factory=dict)
    """Rows of the committed objects here whose key occurs more than once, by dataset. They are no difference."""
    expired: Expired = field(default_factory=Expired)
    """What is older than the ledger's retention, and so in no comparison."""
    unmanaged: Sequence[str] = ()
    """Keys of bronze that the pipeline does not ingest: under no ``bronze/`` prefix, or that of no dataset."""

    @property
    def ok(self) -> bool:
        return not self.differences

    def to_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "unmanaged": list(self.unmanaged),
            "expired": asdict(self.expired),
            "summary": reconcile.summary(self.objects),
            "duplicates": {name: found and asdict(found) for name, found in self.duplicates.items()},
            "queues": {name: asdict(depth) for name, depth in self.queues.items()},
            "objects": [
                {name: value for name, value in asdict(row).items() if name != "differences"}
                | {"ok": row.ok and row.ingested}
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

    ``progress`` gets the number of objects done and of objects in all. Nothing is changed. Ends with code 2 when a
    dataset or a prefix names no object: nothing would be verified.
    """
    collector = Collector(stack)
    with memory_given_back(), closing(collector.reader):
        return _report(stack, collector, dataset, prefixes, progress)


def _report(
    stack: Stack,
    collector: Collector,
    dataset: str | None,
    prefixes: Sequence[str],
    progress: Callable[[int, int], None] | None,
) -> Report:
    outlines = collector.ledger.outlines()
    entries = outlines.entries
    wanted = [entry for entry in entries.values() if _wanted(entry, dataset, prefixes)]
    versions = [
        v
        for start in prefixes or (BRONZE,)
        for v in collector.bronze(start)
        if dataset in (None, storage.dataset_in(v.key))
    ]
    listed = {kind: collector.list(kind) for kind in ("outputs", "quarantine")}
    files = {kind: _by_owner(found, entries) for kind, found in listed.items()}
    results: list[ObjectResult] = []
    for result in storage.in_parallel(lambda entry: collector.check(entry, files), wanted):
        if result is not None:
            results.append(result)
        if progress:
            progress(len(results), len(wanted))
    results.sort(key=lambda row: (row.dataset, row.key))
    differences = [difference for row in results for difference in row.differences]
    versions = [version for version in versions if not collector.passed_over.by(version.key, version.size)]
    ids = collector.identify(versions, outlines)
    retention = Retention.of(stack.outputs.get("ledger_retention_days"), clock.present())
    missing, gone = reconcile.missing_from_ledger(versions, entries, ids, retention)
    differences += missing
    expired_files = 0
    for kind, found in listed.items():
        # A file that belongs to no object is looked for in the whole lake.
        stray = {key: at for key, at in found.items() if storage.owner_of(key) not in entries}
        stray = {key: at for key, at in stray.items() if not prefixes and dataset in (None, storage.dataset_in(key))}
        old = {key for key, modified in stray.items() if retention.over(modified)}
        expired_files += len(old)
        left = [key for key in stray if key not in old]
        differences += reconcile.orphans(left, None, set(ids.values()), collector.bucket(kind), kind)
    if not differences:  # a file that no object wrote is one, also where there is no object
        _require_objects(dataset, prefixes, wanted, versions, entries)
    unmanaged = () if dataset or prefixes else collector.unmanaged(entries)
    expired = Expired(len(gone), expired_files)
    return Report(results, queues.depths(stack), differences, collector.reader.keys.count(), expired, unmanaged)


def _by_owner(files: Iterable[str], entries: Mapping[str, Outline]) -> dict[str, list[str]]:
    """The files of the objects that the ledger knows, by object id."""
    found: dict[str, list[str]] = {}
    for key in files:
        if (owner := storage.owner_of(key)) in entries:
            found.setdefault(owner, []).append(key)
    return found


def _require_objects(
    dataset: str | None,
    prefixes: Sequence[str],
    wanted: Iterable[Outline],
    versions: Iterable[Version],
    entries: Mapping[str, Outline],
) -> None:
    """Ends with code 2 when the dataset has no object, or a prefix begins the key of none."""
    keys = {*(entry.key for entry in wanted), *(version.key for version in versions)}
    if dataset and not keys:
        among = f" under {', '.join(prefixes)}" if prefixes else ""
        have = {entry.dataset for entry in entries.values() if not is_of_no_dataset(_as_item(entry))}
        fail(f"nothing to verify{among}: {unknown('object of dataset', dataset, have)}")
    folders = {entry.key.rsplit("/", 1)[0] + "/" for entry in entries.values()}
    for prefix in prefixes:
        if not any(key.startswith(prefix) for key in keys):
            fail(f"nothing to verify: {unknown('object under', prefix, folders)}")


class Collector:
    """Reads what verify compares."""

    def __init__(self, stack: Stack) -> None:
        self._s3 = stack.client("s3")
        self.ledger = LedgerView.of(stack)
        self.passed_over = PassedOver(stack.outputs.get("passed_over_keys", []))
        self.buckets = reconcile.Buckets(
            stack["bronze_bucket"],
            stack["silver_bucket"],
            stack["quarantine_bucket"],
            stack.outputs.get("staging_bucket") or "",
        )
        self.reader = Reader(self._s3, self.buckets)

    def bucket(self, kind: str) -> str:
        return self.buckets.silver if kind == "outputs" else self.buckets.quarantine

    def list(self, kind: str) -> dict[str, datetime | None]:
        """The files and when each was written."""
        found = storage.entries(self._s3, self.bucket(kind), SILVER if kind == "outputs" else QUARANTINE)
        # Totals that differ are about a file, and no rows of it.
        return {key: modified for key, _, modified in found if not is_totals_key(key)}

    def bronze(self, prefix: str) -> Iterable[Version]:
        return storage.versions(self._s3, self.buckets.bronze, prefix)

    def unmanaged(self, entries: Mapping[str, Outline]) -> Sequence[str]:
        """Keys of bronze that are not ingested."""
        return unmanaged(self._s3, self.buckets.bronze, map(_as_item, entries.values()))

    def check(self, outline: Outline, files: Mapping[str, Mapping[str, Sequence[str]]]) -> ObjectResult | None:
        """Reads and compares one object as it is now, a chunk at a time; None when it has expired meanwhile.

        ``files``: what silver (``outputs``) and quarantine have of each object, by its id.
        """
        entry = self.ledger.one(outline.object_id)
        if entry is None:
            return None
        silver, quarantine, ids = self.reader.rows(entry)
        result = reconcile.check_object(entry, Found(self.reader.source(entry), silver, quarantine, ids), self.buckets)
        orphans = tuple(
            one
            for kind, by_owner in files.items()
            for key in by_owner.get(entry.object_id, ())
            for one in reconcile.orphans([key], entry, (), self.bucket(kind), kind)
            if self._is_there(self.bucket(kind), key)  # a newer run may have deleted it since it was listed
        )
        return replace(result, differences=result.differences + orphans)

    def _is_there(self, bucket: str, key: str) -> bool:
        try:
            self._s3.head_object(Bucket=bucket, Key=key)
        except Exception as error:
            if storage.gone(error):
                return False
            raise
        return True

    def identify(self, versions: Iterable[Version], outlines: Outlines) -> dict[Version, str]:
        """The object that has each version's rows; only of one that the ledger does not know the metadata is read."""
        entries, stand_for = outlines.entries, outlines.stand_for
        ids = {version: object_id(self.buckets.bronze, version.key, version.etag) for version in versions}
        by_version = {entry.version: name for name, entry in entries.items()}
        for version, name in ids.items():
            if name not in entries:
                known = stand_for.get(name) or by_version.get((version.key, version.version_id))
                origin = known or self._origin_id(version) or name
                ids[version] = stand_for.get(origin, origin)
        return ids

    def _origin_id(self, version: Version) -> str | None:
        metadata = self._s3.head_object(Bucket=self.buckets.bronze, Key=version.key, VersionId=version.version_id).get(
            "Metadata", {}
        )
        origin = Origin.from_metadata(metadata)
        return object_id(origin.bucket, origin.key, origin.etag) if origin else None


def object_id(bucket: str, key: str, etag: str) -> str:
    """An object's identity, computed here independently: 32 hex digits of the SHA-256 of s3://bucket/key#etag."""
    return hashlib.sha256(f"s3://{bucket}/{key}#{etag}".encode()).hexdigest()[:32]


def _wanted(entry: Outline, dataset: str | None, prefixes: Sequence[str]) -> bool:
    return dataset in (None, entry.dataset) and (not prefixes or entry.key.startswith(tuple(prefixes)))


def _as_item(entry: Outline) -> Item:
    return {"state": entry.state, "failed_reason": entry.failed_reason, "origin": {"key": entry.key}}
