"""`sluice requeue`: has one object taken in again.

An object that the ledger has planned gets a new run under its old identity and its chunks are sent; no byte is copied,
and the same silver and quarantine files are written again. One that was never planned has its event delivered again.
One that the ledger does not know at all is copied to ``bronze/_requeue/...`` with its origin in the metadata:
ingest may have a record of its event and would pass over it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.failures import ObjectMissing
from pipeline.identity import ObjectRef, Origin
from sluice.console import FAILED, fail
from sluice.data import runs
from sluice.data.ledger import Item, LedgerView

if TYPE_CHECKING:
    from pipeline.requeue import Requeuer
    from sluice.stack import Stack


@dataclass(frozen=True)
class Requeued:
    """The object that is taken in again, and how: by the ``run`` of this number, else by an event or a copy."""

    object_id: str
    origin: Origin
    run: int = 0
    copy: str = ""

    @property
    def how(self) -> str:
        if self.run:
            return f"run {self.run}"
        return f"a copy, s3://{self.origin.bucket}/{self.copy}" if self.copy else "its event, delivered again"


def requeue(stack: Stack, name: str, now: datetime | None = None) -> Requeued:
    """``name`` is an object id (or its beginning) or the bronze key of an object that the ledger does not know.

    Ends with code 1 when the object's version can no longer be read; nothing has changed then.
    """
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%S%fZ")
    bucket = stack["bronze_bucket"]
    ledger = LedgerView(stack.client("dynamodb"), stack["ledger_table"])
    key = name.removeprefix(f"s3://{bucket}/")
    if not key.startswith("bronze/"):
        return _known(stack, runs.one(ledger, name).item, moment)
    origin, version = _in_bronze(stack, bucket, key)
    entry = ledger.one(origin.object_id)
    return _known(stack, entry.item, moment) if entry else _copy(stack, origin, key, version, moment)


def _known(stack: Stack, item: Item, moment: str) -> Requeued:
    origin, object_id = Origin(**item["origin"]), str(item["object_id"])
    if not int(item["chunk_count"]):
        _deliver(stack, item)
        return Requeued(object_id, origin)
    run = int(item["run"])
    try:
        _requeuer(stack).requeue(object_id, run, f"requeue-{moment}")
    except ObjectMissing as missing:
        fail(f"cannot read {origin.key}: {missing}", FAILED)
    return Requeued(object_id, origin, run=run + 1)


def _requeuer(stack: Stack) -> Requeuer:
    from pipeline.chunk_queue import ChunkQueue
    from pipeline.ledger import Ledger
    from pipeline.requeue import Requeuer
    from pipeline.storage import Storage

    ledger = Ledger(stack.client("dynamodb"), stack["ledger_table"])
    queue = ChunkQueue(stack.client("sqs"), stack["chunk_queue_url"])
    return Requeuer(ledger, queue, Storage(stack.client("s3")))


def _deliver(stack: Stack, item: Item) -> None:
    from sluice.ops.letters import s3_event

    ref = ObjectRef(item["bucket"], item["key"], item["version_id"], item["etag"], int(item["size"]))
    stack.client("lambda").invoke(
        FunctionName=stack["ingest_function"], InvocationType="Event", Payload=json.dumps(s3_event(ref)).encode()
    )


def _copy(stack: Stack, origin: Origin, key: str, version: str, moment: str) -> Requeued:
    identity = origin.object_id
    copy = f"bronze/_requeue/{moment}/{identity}/{origin.key.rsplit('/', 1)[-1]}"
    stack.client("s3").copy_object(
        Bucket=origin.bucket,
        Key=copy,
        CopySource={"Bucket": origin.bucket, "Key": key} | ({"VersionId": version} if version else {}),
        Metadata=origin.to_metadata(),
        MetadataDirective="REPLACE",
    )
    return Requeued(identity, origin, copy=copy)


def _in_bronze(stack: Stack, bucket: str, key: str) -> tuple[Origin, str]:
    """The origin of what lies under a key, and its version."""
    from botocore.exceptions import ClientError

    try:
        head = stack.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError:
        fail(f"there is no s3://{bucket}/{key}", FAILED)
    version = str(head.get("VersionId") or "")
    origin = Origin.from_metadata(head.get("Metadata", {})) or Origin(bucket, key, head["ETag"].strip('"'), version)
    return origin, version
