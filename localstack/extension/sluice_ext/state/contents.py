"""The contents of S3's objects in a saved state: each once, by its SHA-256.

Most of them are stored before the engine is paused; afterwards only what was written meanwhile is left.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localstack.services.plugins import SERVICE_PLUGINS
from localstack.services.s3.models import s3_stores

from sluice_ext.s3.storage import RestoredFile, Store
from sluice_ext.state.files import Objects, link

_PIECE = 1 << 20
_LOCK_SECONDS = 5.0
Index = dict[str, list[Any]]


class Locked(RuntimeError):
    """An object is being written and cannot be read. The message names it."""


def _store() -> Store:
    store: Store = SERVICE_PLUGINS.require("s3")._provider._storage_backend
    return store


def save_early(objects: Objects) -> None:
    """Store what can be stored while the engine works, so that a pause is short."""
    for bucket, key, file in _store().contents():
        try:
            _save(objects, file, f"{bucket}/{key}")
        except (ValueError, Locked):  # deleted, or being written
            continue
    objects.sync()


def save(objects: Objects) -> Index:
    """Store every content that is not stored yet.

    Returns {"objects": [(bucket, key, SHA-256, size, modified)], "parts": [(bucket, upload, number, ...)]}.
    """
    store = _store()
    return {
        "objects": [(bucket, key, *_save(objects, file, f"{bucket}/{key}")) for bucket, key, file in store.contents()],
        "parts": [
            (bucket, upload, number, *_save(objects, file, f"a part of {bucket}"))
            for bucket, upload, number, file in store.parts()
        ],
    }


def _save(objects: Objects, file: Any, name: str) -> tuple[str, int, int]:
    modified = file.internal_last_modified
    known = getattr(file, "sluice_content", None)
    if known and known[2] == modified and objects.has(known[0], known[1]):
        return known[0], known[1], modified
    lock = file.readwrite_lock.gen_rlock()
    if not lock.acquire(timeout=_LOCK_SECONDS):
        raise Locked(f"{name} is being written")
    try:
        modified = file.internal_last_modified
        if isinstance(file, RestoredFile) and known and known[2] == modified:
            digest, size = objects.add_file(file.path, known[0])
        else:
            digest, size = objects.add(_pieces(file))
    finally:
        lock.release()
    file.sluice_content = (digest, size, modified)
    return digest, size, modified


def _pieces(file: Any) -> Iterator[bytes]:
    position = 0
    while True:
        with file.position_lock:
            file.seek(position)
            piece = file.read(_PIECE)
        if not piece:
            return
        yield bytes(piece)
        position += len(piece)


def restore(objects: Objects, index: Index) -> None:
    """Put the contents back, into folders of this engine's own. The stores of S3 are filled already."""
    store = _store()
    # Links, so that a saved state may be removed while this engine runs.
    folder = Path(tempfile.mkdtemp(prefix="s3-restored-"))
    uploads: dict[tuple[str, str], Any] = {}
    for _account, _region, buckets in s3_stores.iter_stores():
        for name, bucket in buckets.buckets.items():
            store.create_bucket(name)
            uploads |= {(name, upload): multipart for upload, multipart in bucket.multiparts.items()}
    for number, (bucket, key, digest, size, modified) in enumerate(index["objects"]):
        place = folder / str(number)
        link(objects.path(digest), place)
        file = RestoredFile(place, modified)
        file.sluice_content = (digest, size, modified)
        store.restore(bucket, key, file)
    for bucket, upload, number, digest, _size, modified in index["parts"]:
        if (bucket, upload) in uploads:
            content = objects.path(digest).read_bytes()
            store.restore_part(bucket, uploads[(bucket, upload)], number, content, modified)


def of_index(index: Index) -> list[tuple[str, int]]:
    """(SHA-256, size) of every content in an index, each once."""
    found = {(entry[-3], entry[-2]) for entry in [*index["objects"], *index["parts"]]}
    return sorted(found)
