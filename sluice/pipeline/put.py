"""`sluice put`: local files into bronze, under keys that their content names, and what became of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sluice.console import FAILED, fail
from sluice.names import unknown
from sluice.pipeline import storage
from sluice.pipeline.check import prefixes
from sluice.pipeline.ledger import Item, LedgerView
from sluice.pipeline.verify import object_id
from sluice.polling import poll
from sluice_pipeline.ledger.items import FINAL
from sluice_pipeline.objects.keys import BRONZE

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack
    from sluice_pipeline.catalog.datasets import Catalog

PART_BYTES: Final = 16 * 1024 * 1024
"""Larger files are uploaded in parts of this size. An etag depends on it, so an object's identity: never change it."""
_HASH_DIGITS: Final = 16
_MAX_NAME: Final = 200  # bytes; a key has at most 1024
_SHA256: Final = "sluice-sha256"
_BLOCK: Final = 1024 * 1024
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Destination:
    """A dataset's bronze prefix with a folder below it, which may be empty."""

    dataset: str
    folder: str = ""

    @property
    def prefix(self) -> str:
        return "/".join(part for part in (f"{BRONZE}{self.dataset}", self.folder) if part) + "/"


@dataclass(frozen=True)
class Put:
    """An object that is in bronze; ``new`` is False when the same content was there, and nothing was uploaded."""

    file: str
    key: str
    size: int
    object_id: str
    new: bool


def destination(text: str, bucket: str, catalog: Catalog) -> Destination:
    """Where ``shipments``, ``shipments/2024``, ``bronze/shipments`` or ``s3://<bronze>/bronze/shipments/`` leads.

    Ends with code 2 for a place whose objects would not be ingested: only ``bronze/<dataset>/`` is.
    """
    rest = text
    if text.startswith("s3://"):
        named, _, rest = text.removeprefix("s3://").partition("/")
        if named != bucket:
            fail(f"{text}: objects are ingested from the bucket {bucket} only")
    rest = rest.removeprefix(BRONZE).strip("/")
    dataset, _, folder = rest.partition("/")
    if not catalog.knows(dataset):
        below = f" (objects are ingested under {BRONZE}<dataset>/ only)" if "/" in text else ""
        fail(f"{unknown('dataset', dataset, prefixes(catalog))}{below}")
    folder = "/".join(part for part in folder.split("/") if part)
    return Destination(dataset, folder)


def sha256_of(path: Path, read: Callable[[int], object] | None = None) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits; ``read`` gets the bytes of each block."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            if read:
                read(len(block))
    return found.hexdigest()


def key_of(path: Path, sha256: str, to: Destination) -> str:
    """``bronze/<dataset>/<folder>/<16 digits of the content's hash>/<name>``: the same content has one prefix."""
    return f"{to.prefix}{sha256[:_HASH_DIGITS]}/{_safe(path.name)}"


def _safe(name: str) -> str:
    """A file's name as the end of a key: without control characters, and not too long; its ending stays."""
    text = "".join(char if char.isprintable() else "_" for char in name)
    text = text.encode("utf-8", "replace").decode()
    stem, dot, ending = text.partition(".")
    room = _MAX_NAME - len((dot + ending).encode())
    if len(text.encode()) <= _MAX_NAME:
        return text
    if room < 1:
        return text.encode()[-_MAX_NAME:].decode("utf-8", "ignore")
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + ending


class Uploader:
    """Puts files into the bronze bucket of a stack."""

    def __init__(self, stack: Stack) -> None:
        self._s3 = stack.client("s3")
        self._bucket = stack["bronze_bucket"]

    def put(self, path: Path, to: Destination, sent: Callable[[int], None] | None = None) -> Put:
        """Uploads a file unless its content is there; ``sent`` gets the bytes of each part.

        An upload that is interrupted leaves no object: S3 shows an object once it is whole. Ends with code 1 when the
        file changes meanwhile.
        """
        before = _state(path)
        sha256 = sha256_of(path)
        key = key_of(path, sha256, to)
        there = self._same(key, sha256)
        if there is None:
            self._upload(path, key, sha256, sent)
            if _state(path) != before:
                self._s3.delete_object(Bucket=self._bucket, Key=key)
                fail(f"{path} changed while it was uploaded: put it again when it is complete", FAILED)
        key = there or key
        head = self._s3.head_object(Bucket=self._bucket, Key=key)
        identity = object_id(self._bucket, key, head["ETag"].strip('"'))
        return Put(str(path), key, before[0], identity, there is None)

    def _same(self, key: str, sha256: str) -> str | None:
        """The key of an object with this content that is read the same way, None when there is none.

        Another name's ending may make another format of the same bytes, so it counts.
        """
        prefix = key.rsplit("/", 1)[0] + "/"
        ending = _ending(key)
        for found in sorted(storage.files(self._s3, self._bucket, prefix)):
            if _ending(found) == ending:
                metadata = self._s3.head_object(Bucket=self._bucket, Key=found).get("Metadata", {})
                if metadata.get(_SHA256) == sha256:
                    return found
        return None

    def _upload(self, path: Path, key: str, sha256: str, sent: Callable[[int], None] | None) -> None:
        from boto3.s3.transfer import TransferConfig

        self._s3.upload_file(
            str(path),
            self._bucket,
            key,
            ExtraArgs={"Metadata": {_SHA256: sha256}},
            Callback=sent,
            Config=TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES),
        )


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _ending(key: str) -> str:
    """What the pipeline looks at in a name."""
    name = key.lower().removesuffix(".gz")
    return next((ending for ending in (".csv", ".jsonl", ".ndjson") if name.endswith(ending)), "")


def wait_for_end(
    stack: Stack, object_ids: Iterable[str], seconds: float, report: Callable[[int], None] | None = None
) -> dict[str, Item]:
    """The ledger's items of objects once the run of each has ended; those of unknown objects are left out.

    After ``seconds`` what there is. ``report`` gets the number of objects that have ended.
    """
    ids = list(dict.fromkeys(object_ids))
    ledger = LedgerView.of(stack)

    def look() -> dict[str, Item]:
        items = ledger.objects(ids)
        if report:
            report(_ended(items))
        return items

    return poll(look, lambda items: _ended(items) == len(ids), seconds=seconds, interval=_POLL_SECONDS).value


def _ended(items: dict[str, Item]) -> int:
    return sum(1 for item in items.values() if item["state"] in FINAL)


def end_of(item: Item | None) -> tuple[bool, str]:
    """Whether an object is committed, and its end in words: rows, or the reason."""
    if item is None:
        return False, "the ledger does not know it yet"
    if item["state"] == "committed":
        silver, rejected = int(item["rows_silver"]), int(item["rows_quarantined"])
        return True, f"committed: {silver:,} rows in silver, {rejected:,} in quarantine"
    if item["state"] in FINAL:
        return False, f"{item['state']}: {item.get('failed_reason')}: {item.get('error')}"
    return False, f"{item['state']}, {int(item['chunks_done'])} of {int(item['chunk_count'])} chunks done"
