"""S3's objects are files in the engine's own folder; a partly written object takes no disk space.

LocalStack uses one folder below /tmp for all engines of a machine, so deleting a bucket in one engine breaks the
others; in a container it uses memory. It holds every object up to 512 KiB in memory; here the oldest go to files when
all together have more than SLUICE_S3_MEMORY_MB.
"""

import contextlib
import io
import itertools
import logging
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from localstack.services.s3.storage.ephemeral import (
    EphemeralS3ObjectStore,
    EphemeralS3StoredObject,
    LockedFileMixin,
    LockedSpooledTemporaryFile,
)

from sluice_ext import settings

LOG = logging.getLogger(__name__)
_IN_MEMORY_BYTES = 512 * 1024
with SpooledTemporaryFile() as _spooled:
    _ARGUMENTS = _spooled._TemporaryFileArgs  # type: ignore[attr-defined]
_OVERHEAD_BYTES = 2_000  # of an object in memory, beside its content: buffer, file, locks


class StoredObject(EphemeralS3StoredObject):  # type: ignore[misc]
    """An object that is written whole or not at all: a write that fails leaves the content of before.

    LocalStack writes over the old content, so a refused upload (BadDigest, a full disk, a client that went away) would
    destroy the object that is there: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
    """

    place: "_Place | None" = None  # of an object that is written

    def write(self, stream: IO[bytes]) -> int:
        self._begin()
        return int(super().write(stream))

    def truncate(self, size: int | None = None) -> int:
        self._begin()
        return int(super().truncate(size))

    def _begin(self) -> None:
        """Write beside the present content. The write lock is held: there is no reader."""
        if self.place and self.place.before is None:
            file = self.file
            self.place.before = (file._file, file._rolled, file.internal_last_modified)
            file._file, file._rolled = io.BytesIO(), False
            # One that has gone to the disk has forgotten these.
            file._TemporaryFileArgs = _ARGUMENTS | {"dir": Path(self.place.store.root_directory) / self.place.bucket}

    def undo(self) -> None:
        """Put the content of before back; the object's place is removed when there was none."""
        place = self.place
        if place is None:
            return
        file = self.file
        if place.before:
            file._file.close()
            file._file, file._rolled, file.internal_last_modified = place.before
            place.before = None
        if place.restored:
            file._file, file._rolled = place.restored.path.open("r+b"), True
            file.internal_last_modified = place.restored.internal_last_modified
        self.size = _IN_MEMORY_BYTES + 1 if file._rolled else len(file._file.getbuffer())
        if not place.existed:
            place.store.ended(self.s3_object)
            place.store.drop(place.bucket, place.key, file)
            self.place = None

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        if kind is not None:
            self.undo()
        self.close()

    def close(self) -> None:
        """A written object is counted, and may push others out of memory."""
        place, self.place = self.place, None
        if place:
            place.store.ended(self.s3_object)
            if place.before:
                place.before[0].close()
        super().close()
        if place:
            place.store.written(place.bucket, place.key, self.size)


@dataclass
class _Place:
    """Where an object is written. ``before``: the content that is replaced, its kind and time, once it is replaced."""

    store: "Store"
    bucket: str
    key: str
    existed: bool
    restored: "RestoredFile | None"
    before: tuple[Any, bool, int] | None = None


class RestoredFile(LockedFileMixin):  # type: ignore[misc]
    """The content of an object that came from a saved state or from memory: a file that is only read.

    It is open only while it is read, because a process has fewer descriptors than objects.
    """

    def __init__(self, path: Path, modified: int) -> None:
        super().__init__()
        self._place = str(path)  # a Path is 800 bytes, and there are as many as objects
        self.internal_last_modified = modified
        self._position = 0

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self._place)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.path.stat().st_size if whence else 0}
        self._position = max(0, base[whence] + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        with self.path.open("rb") as file:
            file.seek(self._position)
            found = file.read(size)
        self._position += len(found)
        return found

    def close(self) -> None:
        """The object is deleted."""
        self.path.unlink(missing_ok=True)


class MovedFile(RestoredFile):
    """The content of an object that was in memory. One that is overwritten is read to the end by those who have it."""

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            Path(self._place).unlink()


class Store(EphemeralS3ObjectStore):  # type: ignore[misc]
    """LocalStack's store, in a folder of this engine, with a limit of what is in memory."""

    def __init__(self, memory_limit: int = settings.S3_MEMORY) -> None:
        super().__init__(tempfile.mkdtemp(prefix="s3-"))
        self._memory_limit = memory_limit
        self._memory_lock = threading.Lock()
        self._in_memory: dict[tuple[str, str], int] = {}  # bucket and key of the store -> bytes, oldest first
        self._in_memory_total = 0
        self._numbers = itertools.count()
        self._writing: dict[int, StoredObject] = {}  # id of the S3Object -> what is being written

    def open(self, bucket: str, s3_object: Any, mode: Any = "r") -> EphemeralS3StoredObject:
        key = self._key_from_s3_object(s3_object)
        restored = None
        while True:
            existed = key in self._filesystem[bucket]["keys"]
            if mode == "w":
                # Another thread may have moved the new, empty file to the disk meanwhile: the first is the object's.
                given = self._give_new_file(bucket, key)
                restored = restored or given
            stored = super().open(bucket, s3_object, mode)
            file = stored.file
            if mode != "w" or (
                self._filesystem[bucket]["keys"].get(key) is file and not isinstance(file, RestoredFile)
            ):
                break
            stored.close()  # meanwhile the object went from memory to a file
        if type(stored) is EphemeralS3StoredObject:
            # A second object for the same file would wait for the file's lock, which this one holds.
            stored.__class__ = StoredObject
            if mode == "w":
                stored.place = _Place(self, bucket, key, existed, restored)
                self._writing[id(s3_object)] = stored
        return stored

    def ended(self, s3_object: Any) -> None:
        """The object is not written any more."""
        self._writing.pop(id(s3_object), None)

    def drop(self, bucket: str, key: str, file: Any) -> None:
        """Forget the file of an object that was never written."""
        with self._memory_lock:
            keys = self._filesystem[bucket]["keys"]
            if keys.get(key) is file:
                del keys[key]

    def written(self, bucket: str, key: str, size: int) -> None:
        """An object was written: the oldest others go to files when all in memory have too many bytes."""
        with self._memory_lock:
            self._forget(bucket, key)
            if size <= _IN_MEMORY_BYTES:
                self._count(bucket, key, size)
            leaving = []
            while self._in_memory_total > self._memory_limit and len(self._in_memory) > 1:
                place = next(iter(self._in_memory))
                leaving.append((*place, self._forget(*place)))
        for old_bucket, old_key, old_size in leaving:
            if not self._to_file(old_bucket, old_key):
                with self._memory_lock:
                    self._count(old_bucket, old_key, old_size)

    def _count(self, bucket: str, key: str, size: int) -> None:
        self._forget(bucket, key)
        self._in_memory[(bucket, key)] = size
        self._in_memory_total += size + _OVERHEAD_BYTES

    def _forget(self, bucket: str, key: str) -> int:
        size = self._in_memory.pop((bucket, key), None)
        if size is None:
            return 0
        self._in_memory_total -= size + _OVERHEAD_BYTES
        return size

    def _to_file(self, bucket: str, key: str) -> bool:
        """Move an object from memory to a file of its own; False when it is in use, or the disk is full."""
        keys: Any = self._filesystem[bucket]["keys"] if bucket in self._filesystem else {}
        file = keys.get(key)
        if not isinstance(file, LockedSpooledTemporaryFile) or file._rolled:
            return True
        lock = file.readwrite_lock.gen_wlock()
        if not lock.acquire(blocking=False):
            return False
        path = Path(self.root_directory) / f"content-{next(self._numbers)}"
        try:
            with file.position_lock:
                file.seek(0)
                path.write_bytes(file.read())
            moved = MovedFile(path, file.internal_last_modified)
            if known := getattr(file, "sluice_content", None):
                moved.sluice_content = known
            with self._memory_lock:
                if keys.get(key) is file:
                    keys[key] = moved
        except OSError as error:
            LOG.warning("%s/%s stays in memory: %s", bucket, key, error)
            path.unlink(missing_ok=True)
            return False
        except ValueError:
            path.unlink(missing_ok=True)  # it was deleted, and its file is closed
        finally:
            lock.release()
        return True

    def remove(self, bucket: str, s3_object: Any) -> None:
        # S3 removes an object in its own write when the checksum is wrong: then what was there before stays.
        gone = []
        for one in s3_object if isinstance(s3_object, list) else [s3_object]:
            if written := self._writing.get(id(one)):
                written.undo()
            else:
                gone.append(one)
        # Not while `_to_file` puts an object back that is removed here.
        with self._memory_lock:
            for one in gone:
                self._forget(bucket, self._key_from_s3_object(one))
            super().remove(bucket, gone)

    def _give_new_file(self, bucket: str, key: str) -> RestoredFile | None:
        """A restored object is overwritten: a caller that still reads it gets the old content, which is returned."""
        keys = self._filesystem[bucket]["keys"]
        restored = keys.get(key)
        if not isinstance(restored, RestoredFile):
            return None
        folder = Path(self.root_directory) / bucket
        keys[key] = LockedSpooledTemporaryFile(dir=folder, max_size=_IN_MEMORY_BYTES)
        return restored

    @staticmethod
    def _key_from_s3_object(s3_object: Any) -> str:
        # Not a hash, as in LocalStack: Python's hashes are others in the next process.
        return f"{s3_object.key}?{s3_object.version_id or 'null'}"

    # For saving and restoring state

    def contents(self) -> list[tuple[str, str, Any]]:
        """(bucket, key of the store, file) of every object."""
        return [
            (bucket, key, file)
            for bucket, held in list(self._filesystem.items())
            for key, file in list(held["keys"].items())
        ]

    def parts(self) -> list[tuple[str, str, int, Any]]:
        """(bucket, upload id, part number, file) of every multipart upload that goes on."""
        return [
            (bucket, upload, number, file)
            for bucket, held in list(self._filesystem.items())
            for upload, multipart in held["multiparts"].items()
            for number, file in multipart.parts.items()
        ]

    def restore(self, bucket: str, key: str, file: RestoredFile) -> None:
        """Put an object's content back."""
        self._filesystem[bucket]["keys"][key] = file

    def restore_part(self, bucket: str, upload: Any, number: int, content: bytes, modified: int) -> None:
        """Put a part of a multipart upload back."""
        multipart = self.get_multipart(bucket, upload)
        file = LockedSpooledTemporaryFile(dir=multipart.upload_dir, max_size=_IN_MEMORY_BYTES)
        file.write(content)
        file.internal_last_modified = modified
        multipart.parts[number] = file
