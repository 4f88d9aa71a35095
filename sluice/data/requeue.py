"""`sluice requeue`: has one object taken in again, through the front door.

It copies the object's exact version to ``bronze/_requeue/...`` with its origin in the metadata. The pipeline sees the
copy, opens a new run under the origin's identity, and writes the same silver and quarantine files again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.identity import Origin
from sluice.console import FAILED, fail
from sluice.data import runs
from sluice.data.ledger import LedgerView

if TYPE_CHECKING:
    from sluice.stack import Stack


@dataclass(frozen=True)
class Requeued:
    """The object that is taken in again, and the copy that does it."""

    object_id: str
    origin: Origin
    copy: str


def requeue(stack: Stack, name: str, now: datetime | None = None) -> Requeued:
    """``name`` is an object id (or its beginning) or the bronze key of an object that the ledger does not know."""
    from botocore.exceptions import ClientError

    s3 = stack.client("s3")
    origin, key, version = _find(stack, name)
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%S%fZ")
    identity = origin.object_id
    copy = f"bronze/_requeue/{moment}/{identity}/{origin.key.rsplit('/', 1)[-1]}"
    source = {"Bucket": origin.bucket, "Key": key} | ({"VersionId": version} if version else {})
    try:
        s3.copy_object(
            Bucket=origin.bucket,
            Key=copy,
            CopySource=source,
            Metadata=origin.to_metadata(),
            MetadataDirective="REPLACE",
        )
    except ClientError as error:
        fail(f"cannot read s3://{origin.bucket}/{key} (version {version}): {error.response['Error']['Code']}", FAILED)
    return Requeued(identity, origin, copy)


def _find(stack: Stack, name: str) -> tuple[Origin, str, str]:
    """The object's origin, and the key and version to read it from."""
    bucket = stack["bronze_bucket"]
    key = name.removeprefix(f"s3://{bucket}/")
    if key.startswith("bronze/"):
        return _from_bronze(stack, bucket, key)
    ledger = LedgerView(stack.client("dynamodb"), stack["ledger_table"])
    item = runs.one(ledger, name).item
    origin = Origin(**item["origin"])
    if origin.version_id:
        return origin, origin.key, origin.version_id
    return origin, str(item["key"]), str(item.get("version_id") or "")


def _from_bronze(stack: Stack, bucket: str, key: str) -> tuple[Origin, str, str]:
    from botocore.exceptions import ClientError

    try:
        head = stack.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError:
        fail(f"there is no s3://{bucket}/{key}", FAILED)
    version = str(head.get("VersionId") or "")
    origin = Origin.from_metadata(head.get("Metadata", {})) or Origin(bucket, key, head["ETag"].strip('"'), version)
    return origin, key, version
