"""ETags of what is encrypted with a key of KMS or of the caller: no digest of the bytes, and another with each write.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
"""

import uuid
from typing import Any

from localstack.services.s3.models import S3Object

_KMS = "aws:kms"  # and aws:kms:dsse


def install() -> None:
    """An object has the ETag that LocalStack gives it only when its bytes are its own (no encryption, or SSE-S3)."""
    S3Object.etag = property(_given, _give)


def _given(self: Any) -> str | None:
    etag: str | None = self.__dict__.get("etag")
    return etag


def _give(self: Any, etag: str | None) -> None:
    # LocalStack gives it after the encryption, and again of the parts: `-2` at its end says how many there were.
    if etag and (str(getattr(self, "encryption", "")).startswith(_KMS) or getattr(self, "sse_key_hash", None)):
        _, dash, parts = etag.partition("-")
        etag = f"{uuid.uuid4().hex}{dash}{parts}"
    self.__dict__["etag"] = etag
