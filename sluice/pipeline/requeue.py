"""`sluice requeue`: reprocesses one object.

An object that the ledger has planned gets a new run under its old identity and its chunks are sent; no byte is copied,
and the same silver and quarantine files are written again. One that was never planned has its event redelivered.
One that the ledger does not know at all is copied to ``bronze/_requeue/...`` with its origin in the metadata:
ingest may have a record of its event and would skip it. Of one that is older than ``ledger_retention_days`` it has none
any more: its event is delivered again, and it is planned as an object that returns, which replaces the files and rows
that it had.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail
from sluice.pipeline import runs
from sluice.pipeline.ledger import Item, LedgerView
from sluice.pipeline.reconcile import Retention
from sluice_pipeline.objects.failures import ObjectMissing
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.objects.passed_over import PassedOver
from sluice_pipeline.runtime import clock

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack
    from sluice_pipeline.catalog.rules import RulesVersion
    from sluice_pipeline.replays.requeue import Requeuer

_KEY_BYTES = 1024


@dataclass(frozen=True)
class Requeued:
    """The object that is reprocessed, and how: by the ``run`` of this number, else by an event or a copy."""

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
    ledger = LedgerView.of(stack)
    key = name.removeprefix(f"s3://{bucket}/")
    if not key.startswith("bronze/"):
        return _known(stack, runs.one(ledger, name).item, moment)
    if pattern := PassedOver(stack.outputs.get("passed_over_keys", [])).by(key, 0):
        fail(f"{key} is no data: ingest passes over {pattern} (passed_over_keys)")
    origin, version, head = _in_bronze(stack, bucket, key)
    if entry := ledger.one(origin.object_id):
        return _known(stack, entry.item, moment)
    if Retention.of(stack.outputs.get("ledger_retention_days"), clock.present()).over(head.get("LastModified")):
        _deliver_of(stack, ObjectRef(bucket, key, version, head["ETag"].strip('"'), int(head["ContentLength"])))
        return Requeued(origin.object_id, origin)
    return _copy(stack, origin, key, version, moment)


def _known(stack: Stack, item: Item, moment: str) -> Requeued:
    origin, object_id = Origin(**item["origin"]), str(item["object_id"])
    if not int(item["chunk_count"]):
        _deliver(stack, item)
        return Requeued(object_id, origin)
    run = int(item["run"])
    try:
        requeuer(stack).requeue(object_id, run, f"requeue-{moment}")
    except ObjectMissing as missing:
        fail(f"cannot read {origin.key}: {missing}", FAILED)
    return Requeued(object_id, origin, run=run + 1)


def requeuer(stack: Stack) -> Requeuer:
    """Opens new runs of a stack's objects."""
    from sluice_pipeline.events.chunk_queue import ChunkQueue
    from sluice_pipeline.ledger.ledger import Ledger
    from sluice_pipeline.objects.storage import Storage
    from sluice_pipeline.replays.requeue import Requeuer

    ledger = Ledger(stack.client("dynamodb"), stack["ledger_table"])
    queue = ChunkQueue(stack.client("sqs"), stack["chunk_queue_url"])
    return Requeuer(ledger, queue, Storage(stack.client("s3")), lambda: rules_of(stack))


def rules_of(stack: Stack) -> RulesVersion:
    """The version of the rules that is in service. Ends with code 1 when it cannot be read."""
    from sluice_pipeline.catalog.deployed import DatasetsUnavailable, DeployedDatasets
    from sluice_pipeline.catalog.document import DatasetsUnreadable

    deployed = DeployedDatasets(stack.client("s3"), stack["artifacts_bucket"], stack["datasets_key"])
    try:
        return deployed.current().version
    except (DatasetsUnavailable, DatasetsUnreadable) as error:
        fail(str(error), FAILED)


def _deliver(stack: Stack, item: Item) -> None:
    _deliver_of(stack, ObjectRef.from_item(item))


def _deliver_of(stack: Stack, ref: ObjectRef) -> None:
    from sluice_pipeline.events.notifications import s3_event

    body = json.dumps(s3_event(ref))
    stack.client("sqs").send_message(QueueUrl=stack["ingest_queue_url"], MessageBody=body)


def _copy(stack: Stack, origin: Origin, key: str, version: str, moment: str) -> Requeued:
    identity = origin.object_id
    copy = copy_key(moment, origin)
    stack.client("s3").copy_object(
        Bucket=origin.bucket,
        Key=copy,
        CopySource={"Bucket": origin.bucket, "Key": key} | ({"VersionId": version} if version else {}),
        Metadata=origin.to_metadata(),
        MetadataDirective="REPLACE",
    )
    return Requeued(identity, origin, copy=copy)


def copy_key(moment: str, origin: Origin) -> str:
    """Ends as the origin's key does, for the ending may name the format; a key has 1,024 bytes at most.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    """
    folder = f"bronze/_requeue/{moment}/{origin.object_id}/"
    name = origin.key.rsplit("/", 1)[-1].encode()
    return folder + name[-(_KEY_BYTES - len(folder)) :].decode(errors="ignore")


def _in_bronze(stack: Stack, bucket: str, key: str) -> tuple[Origin, str, dict[str, Any]]:
    """The origin of the object under a key, its version, and what S3 says of it."""
    from botocore.exceptions import ClientError

    try:
        head = stack.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError:
        fail(f"there is no s3://{bucket}/{key}", FAILED)
    version = str(head.get("VersionId") or "")
    origin = Origin.from_metadata(head.get("Metadata", {})) or Origin(bucket, key, head["ETag"].strip('"'), version)
    return origin, version, head
