"""Who an object is: the version to read, and the origin that names everything made from it."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import quote, unquote

ORIGIN_BUCKET: Final = "sluice-origin-bucket"
ORIGIN_KEY: Final = "sluice-origin-key"
ORIGIN_KEY_BASE64: Final = "sluice-origin-key-base64"
ORIGIN_ETAG: Final = "sluice-origin-etag"
ORIGIN_VERSION: Final = "sluice-origin-version"
_QUOTED_CHARACTERS: Final = 1024  # of a key as URL encoding, which makes three of one byte; base64 makes four of three


@dataclass(frozen=True, slots=True)
class Origin:
    """The object that first brought these rows to bronze; a replay copy has its origin's identity."""

    bucket: str
    key: str
    etag: str
    version_id: str = ""

    @property
    def uri(self) -> str:
        """``s3://bucket/key#etag``: same place and same bytes, same identity."""
        return f"s3://{self.bucket}/{self.key}#{self.etag}"

    @property
    def object_id(self) -> str:
        """32 hexadecimal digits of the SHA-256 of the uri (128 bits: no two objects of a bucket share one)."""
        return hashlib.sha256(self.uri.encode()).hexdigest()[:32]

    def content_id(self, checksum: str, size: int) -> str:
        """The same for the same bytes under this key, whatever their ETag; ``checksum`` names its algorithm.

        Empty without a checksum: then only the ETag identifies the bytes.
        """
        text = f"s3://{self.bucket}/{self.key}#{checksum}:{size}"
        return hashlib.sha256(text.encode()).hexdigest()[:32] if checksum else ""

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self | None:
        """The origin that a replayed copy carries in its S3 metadata, None for an ordinary object.

        S3 user metadata is ASCII, so the key travels URL-encoded, and a long one in base64:
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
        """
        key = _key_in(metadata)
        if not (key and all(metadata.get(name) for name in (ORIGIN_BUCKET, ORIGIN_ETAG))):
            return None
        return cls(
            bucket=metadata[ORIGIN_BUCKET],
            key=key,
            etag=metadata[ORIGIN_ETAG],
            version_id=metadata.get(ORIGIN_VERSION, ""),
        )

    def to_metadata(self) -> dict[str, str]:
        """The inverse of ``from_metadata``, for the caller that makes a replay copy; less than S3's 2 KB in all."""
        quoted = quote(self.key)
        if len(quoted) > _QUOTED_CHARACTERS:
            key = {ORIGIN_KEY_BASE64: base64.b64encode(self.key.encode()).decode()}
        else:
            key = {ORIGIN_KEY: quoted}
        return key | {
            ORIGIN_BUCKET: self.bucket,
            ORIGIN_ETAG: self.etag,
            ORIGIN_VERSION: self.version_id,
        }


def _key_in(metadata: Mapping[str, str]) -> str:
    """The origin's key, empty when there is none that can be read."""
    if text := metadata.get(ORIGIN_KEY_BASE64):
        try:
            return base64.b64decode(text, validate=True).decode()
        except ValueError:
            return ""
    return unquote(metadata.get(ORIGIN_KEY, ""))


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One version of one S3 object, exactly as its event named it; size in bytes.

    ``since``: when it was announced, or its run began, in ISO 8601; empty when that is not known. It is no part of
    the identity.
    """

    bucket: str
    key: str
    version_id: str
    etag: str
    size: int
    since: str = field(default="", compare=False)

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """What the present run of an object in the ledger reads."""
        since = str(item.get("began_at") or item.get("received_at") or "")
        return cls(item["bucket"], item["key"], item["version_id"], item["etag"], int(item["size"]), since)

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def as_origin(self) -> Origin:
        return Origin(self.bucket, self.key, self.etag, self.version_id)
