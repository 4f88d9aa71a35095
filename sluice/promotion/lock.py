"""The lock of a state in a bucket: who has it, since when, and how one that was left behind is removed.

https://developer.hashicorp.com/terraform/language/backend/s3#state-locking
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sluice.console import fail
from sluice.engine import clients
from sluice.terraform import identity

SUFFIX = ".tflock"


@dataclass(frozen=True)
class Lock:
    """What Terraform writes into it."""

    id: str
    who: str
    since: str
    operation: str
    etag: str

    @property
    def said(self) -> str:
        """One line."""
        return f"{self.who} has locked the state since {self.since} ({self.operation}, lock {self.id})"


def read(bucket: str, key: str, region: str) -> Lock | None:
    """The lock of the state under this key; None when it is free. Raises ClientError when AWS refuses to say."""
    from botocore.exceptions import ClientError

    from sluice_pipeline.runtime.errors import code_of

    s3 = clients.new("s3", None, region, {})
    try:
        found = identity.call(s3, "get_object", Bucket=bucket, Key=f"{key}{SUFFIX}")
    except ClientError as error:
        if code_of(error) in ("NoSuchKey", "NoSuchBucket", "404"):
            return None
        raise
    return parse(found["Body"].read(), str(found.get("ETag", "")))


def parse(body: bytes, etag: str = "") -> Lock:
    """A lock from its bytes; one that is broken is a lock, too."""
    try:
        given = json.loads(body)
        fields = [str(given.get(name) or "unknown") for name in ("ID", "Who", "Created", "Operation")]
    except (ValueError, AttributeError):
        fields = ["unknown"] * 4
    id, who, created, operation = fields
    since = created.split(".")[0] + ("Z" if "." in created else "")
    return Lock(id, who, since, operation.removeprefix("OperationType").lower(), etag)


def remove(bucket: str, key: str, region: str, lock: Lock) -> None:
    """Removes this lock and no other: one that was taken meanwhile stays.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
    """
    from botocore.exceptions import ClientError

    from sluice_pipeline.runtime.errors import code_of

    s3 = clients.new("s3", None, region, {})
    try:
        identity.call(s3, "delete_object", Bucket=bucket, Key=f"{key}{SUFFIX}", IfMatch=lock.etag)
    except ClientError as error:
        code = code_of(error)
        fail(f"the lock {lock.id} is not removed: {'it is another one now' if 'Precondition' in code else code}", 1)
