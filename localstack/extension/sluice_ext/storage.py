"""Where S3's objects lie: in the engine's own folder, and what could not be written whole takes no room there.

LocalStack's own place is one folder below /tmp, shared by all engines of a machine (deleting a bucket in one takes the
folder from under the others), and memory in a container.
"""

import contextlib
import os
import tempfile
from typing import IO, Any

from localstack.services.plugins import Service
from localstack.services.s3.provider import S3Provider
from localstack.services.s3.storage.ephemeral import EphemeralS3ObjectStore, EphemeralS3StoredObject


class StoredObject(EphemeralS3StoredObject):  # type: ignore[misc]
    """An object whose file is emptied when writing it fails, as on a full disk; LocalStack would keep the part."""

    def write(self, stream: IO[bytes]) -> int:
        try:
            return int(super().write(stream))
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.file.fileno(), 0)
            raise


class Store(EphemeralS3ObjectStore):  # type: ignore[misc]
    """LocalStack's store of this engine alone."""

    def __init__(self) -> None:
        super().__init__(tempfile.mkdtemp(prefix="s3-"))

    def open(self, bucket: str, s3_object: Any, mode: Any = "r") -> EphemeralS3StoredObject:
        stored = super().open(bucket, s3_object, mode)
        if type(stored) is EphemeralS3StoredObject:
            # Not a second one for the same file: each holds the file's lock.
            stored.__class__ = StoredObject
        return stored


def create_service() -> Service:
    return Service.for_provider(S3Provider(Store()))
