"""Reading bronze: exactly the version that the event named."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from botocore.exceptions import ClientError

from sluice_pipeline.objects.failures import UNSEEN_AT_MOST, Failure, ObjectFailed, ObjectMissing, ObjectUnseen
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.runtime.errors import code_of

HASHED_BYTES: Final = 16 * 1024 * 1024
"""To read so many bytes through costs less than another call, and needs no checksum that S3 may not have."""
_BLOCK: Final = 1024 * 1024
# A version that was deleted, or a delete marker: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
_GONE: Final = {"NoSuchVersion", "MethodNotAllowed", "405"}
_NO_KEY: Final = "NoSuchKey"  # of no version, and of one that is not shown yet
_NOT_FOUND: Final = "404"  # HEAD has no body, and so no code
# Of GLACIER, DEEP_ARCHIVE and the archive tiers of INTELLIGENT_TIERING, unless a copy is restored:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
_ARCHIVED: Final = "InvalidObjectState"
READ_BYTES: Final = 128 * 1024 * 1024
"""An object up to so large whose checksum identifies nothing is read through: some seconds, and no more memory."""
# Checksums that identify content, with the size: by chance, two of 10 million contents of one key and one size have the
# same 64 bits once in 400,000 times, and the same 32 bits almost surely (n * n / 2 / 2 ** bits). The rows of the second
# would be lost, so CRC32 and CRC32C identify nothing.
_IDENTIFYING: Final = ("ChecksumCRC64NVME", "ChecksumSHA256", "ChecksumSHA1")
_HASHES: Final = ("ChecksumSHA256", "ChecksumSHA1")


@dataclass(frozen=True, slots=True)
class Head:
    """The first bytes of an object and the user metadata that it carries.

    ``sha256``: of all its bytes, in hexadecimal digits; empty for an object that is not read as a whole.
    ``modified``: when the version came into the bucket.
    """

    data: bytes
    metadata: dict[str, str]
    sha256: str = ""
    modified: datetime | None = None


class Storage:
    """Every call raises ObjectMissing when the version is gone, and ObjectFailed when it is in an archive.

    While S3 may not show a version that is there, it raises ObjectUnseen instead of ObjectMissing.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def head(self, ref: ObjectRef, size: int) -> Head:
        """At most ``size`` first bytes, with the metadata, in one call, which reads an object up to HASHED_BYTES whole.

        Raises:
            ObjectMissing: the version is gone.
        """
        if ref.size > HASHED_BYTES:
            answer = self._call(self._client.get_object, ref, Range=f"bytes=0-{size - 1}")
            return Head(answer["Body"].read(), answer["Metadata"], modified=answer.get("LastModified"))
        answer = self._call(self._client.get_object, ref)
        first, digest = b"", sha256()
        while block := answer["Body"].read(_BLOCK):
            first += block[: size - len(first)]
            digest.update(block)
        return Head(first, answer["Metadata"], digest.hexdigest(), answer.get("LastModified"))

    def read(self, ref: ObjectRef, start: int, end: int) -> bytes:
        """Bytes [start, end) of the version; raises ObjectMissing when it is gone."""
        if end <= start:
            return b""
        answer = self._call(self._client.get_object, ref, Range=f"bytes={start}-{end - 1}")
        data: bytes = answer["Body"].read()
        return data

    def blocks(self, ref: ObjectRef, start: int = 0) -> Iterator[bytes]:
        """The object from a byte on, in blocks of 1 MiB; raises ObjectMissing when the version is gone."""
        answer = self._call(self._client.get_object, ref, **({"Range": f"bytes={start}-"} if start else {}))
        yield from answer["Body"].iter_chunks(_BLOCK)

    def checksum(self, ref: ObjectRef) -> str:
        """``CRC64NVME:<base64>`` or another checksum that identifies the bytes; empty when there is none.

        S3 stores CRC64NVME for an upload without a checksum, else the one of the upload. That of a multipart upload may
        be COMPOSITE, a checksum of its parts' checksums, which ends with their number. Other parts of the same bytes
        have another one, but one of hashes is of these bytes alone:
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
        Without any of them an object up to READ_BYTES is read through; that is its SHA-256, as of a smaller object.
        """
        answer = self._call(self._client.head_object, ref, ChecksumMode="ENABLED") or {}
        composite = answer.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT"
        for name in _IDENTIFYING:
            # `-2` ends one of two parts, whatever the type says. Base64 has no hyphen.
            if (value := answer.get(name)) and (name in _HASHES or not (composite or "-" in value)):
                return f"{name.removeprefix('Checksum')}:{value}"
        return f"SHA256:{self._sha256(ref)}" if ref.size <= READ_BYTES else ""

    def _sha256(self, ref: ObjectRef) -> str:
        digest = sha256()
        for block in self.blocks(ref):
            digest.update(block)
        return digest.hexdigest()

    def exists(self, ref: ObjectRef) -> bool:
        """Whether this version can still be read.

        Without s3:ListBucket on the bucket, S3 answers 403 for what is not there, and this raises ClientError:
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """
        try:
            self._call(self._client.head_object, ref)
        except ObjectMissing:
            return False
        return True

    def _call(self, operation: Callable[..., Any], ref: ObjectRef, **options: str) -> Any:
        version = {"VersionId": ref.version_id} if ref.version_id else {}
        try:
            return operation(Bucket=ref.bucket, Key=ref.key, **version, **options)
        except ClientError as error:
            code = code_of(error)
            if code == _NOT_FOUND and ref.version_id:
                return self._call(self._client.get_object, ref)["Body"].close()  # GET has a code
            if code == _NO_KEY and ref.version_id and _is_fresh(ref):
                raise ObjectUnseen(f"S3 does not show {ref.uri} version {ref.version_id} yet") from error
            if code in (*_GONE, _NO_KEY, _NOT_FOUND):
                raise ObjectMissing(f"{ref.uri} version {ref.version_id or '(none)'} is gone") from error
            if code == _ARCHIVED:
                raise ObjectFailed(Failure.ARCHIVED, _archived(ref, error)) from error
            raise


def _is_fresh(ref: ObjectRef) -> bool:
    try:
        return datetime.now(UTC) - datetime.fromisoformat(ref.since) < UNSEEN_AT_MOST
    except (ValueError, TypeError):  # it is not known since when
        return False


def _archived(ref: ObjectRef, error: ClientError) -> str:
    answer: dict[str, Any] = {**error.response.get("Error", {}), **error.response}
    where = answer.get("StorageClass") or answer.get("AccessTier") or "an archive"
    return f"{ref.uri} is in {where}, from which S3 does not read: restore it (S3 RestoreObject), then it is ingested"
