"""ingest: S3 announces an object through a queue; its plan goes to the ledger, its chunks, as pointers, to a queue."""

import json
import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from core.ingest.cut import Limits
from core.ingest.planner import Planner, ScanUnfinished
from sluice_pipeline.catalog.deployed import deployed
from sluice_pipeline.consumer.consumer import Consumer, Delivery, Work
from sluice_pipeline.consumer.redelivery import Redelivery
from sluice_pipeline.events.chunk_queue import ChunkQueue
from sluice_pipeline.events.notifications import Notification, failed_object, scanned_object
from sluice_pipeline.ledger.items import State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.notices.failures import record_failed_object
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.objects.failures import Failure, ObjectFailed, ObjectMissing
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.objects.keys import dataset_of
from sluice_pipeline.objects.passed_over import PassedOver
from sluice_pipeline.objects.storage import Storage
from sluice_pipeline.runtime.clients import client, on_demand
from sluice_pipeline.runtime.telemetry import correlate, measure, traced

logger = Logger()
sqs = client("sqs")
dynamodb = client("dynamodb")
storage = Storage(client("s3"))
ledger = Ledger(dynamodb, os.environ["LEDGER_TABLE"])
notices = Notices(on_demand("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
limits = Limits(int(os.environ["CHUNK_BYTES"]), int(os.environ["SINGLE_CHUNK_LIMIT_BYTES"]))
SCAN_SHARE: Final = 0.5  # of the function's time, for reading one object through
scan_seconds = SCAN_SHARE * int(os.environ["TIMEOUT_SECONDS"])
planner = Planner(storage, ledger, ChunkQueue(sqs, os.environ["CHUNK_QUEUE_URL"]), deployed(), limits, scan_seconds)

passed_over = PassedOver(json.loads(os.environ["PASSED_OVER_KEYS"]))

idempotency = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"], boto3_client=dynamodb)
once = IdempotencyConfig(expires_after_seconds=int(os.environ["IDEMPOTENCY_TTL_SECONDS"]))


@idempotent_function(  # type: ignore[untyped-decorator]
    data_keyword_argument="uri", persistence_store=idempotency, config=once
)
def plan_once(*, uri: str, ref: ObjectRef, scanned: int) -> dict[str, Any]:
    """Once for each ``s3://bucket/key#etag``; an exception removes the record, so that a retry may try again."""
    logger.debug("planning", extra={"uri": uri})
    return plan(ref, scanned)


def plan(ref: ObjectRef, scanned: int = 0) -> dict[str, Any]:
    result = planner.plan(ref, scanned)
    if result["sent"]:
        measure(dataset_of(ref.key) or "unknown", ObjectsPlanned=1, ChunksSent=result["sent"])
    return result


def plan_created(ref: ObjectRef, scanned: int = 0) -> dict[str, Any]:
    result: dict[str, Any] = plan_once(uri=ref.as_origin().uri, ref=ref, scanned=scanned)
    if result["version_id"] != ref.version_id:
        # The same bytes were uploaded again, as a new version. It is planned again only when the first version
        # was deleted before it could be read, or has expired since.
        known = ledger.object(result["object_id"])
        if known is None or known["state"] == State.MISSING:
            return plan(ref)
        ledger.note_newest(known["object_id"], ref)
    return result


def ingest_object(ref: ObjectRef, planned: Callable[[ObjectRef], dict[str, Any]], *, restored: bool) -> None:
    """Plans an object. A permanent error is recorded, notified and sent to the dead-letter queue; others are raised."""
    if pattern := passed_over.by(ref.key, ref.size):
        logger.info("passed over", extra={"key": ref.key, "pattern": pattern})
        measure(ObjectsPassedOver=1)
        return
    origin = ref.as_origin()
    dataset = dataset_of(ref.key) or "unknown"
    try:
        result = planned(ref)
    except ScanUnfinished as unfinished:
        logger.info("read through in part", extra={"key": ref.key, "size": ref.size, "scanned": unfinished.scanned})
        message = scanned_object(ref, unfinished.scanned, restored=restored)
        sqs.send_message(QueueUrl=os.environ["INGEST_QUEUE_URL"], MessageBody=message)
        return
    except ObjectMissing as missing:
        logger.warning("the object is gone", extra={"object_id": origin.object_id, "detail": str(missing)})
        why = State.MISSING, Failure.MISSING_VERSION, str(missing)
        record_failed_object(ledger, notices, ref, origin, dataset, *why)
        return
    except ObjectFailed as failed:
        logger.error("the object cannot be ingested", extra={"object_id": origin.object_id, "detail": str(failed)})
        # The message is sent before the ledger is written: a function that dies in between and runs again would
        # otherwise find the failure recorded, and send no message.
        message = failed_object(ref, failed.code, failed.detail)
        sqs.send_message(QueueUrl=os.environ["INGEST_DLQ_URL"], MessageBody=message)
        record_failed_object(ledger, notices, ref, origin, dataset, State.FAILED, failed.code, failed.detail)
        return
    logger.info("planned", extra=result | {"key": ref.key, "size": ref.size})


def ingest(notification: Notification) -> None:
    """Every object of a notification, also after one that fails; the first error is raised then."""
    errors: list[Exception] = []
    # A restored object is not planned once only: it may have been planned before it went to the archive. What is done
    # stays done.
    for ref in notification.objects:
        restored = ref in notification.restored
        planned = partial(plan if restored else plan_created, scanned=notification.scanned)
        correlate(logger, ref.as_origin().object_id)
        try:
            ingest_object(ref, planned, restored=restored)
        except Exception as error:  # noqa: BLE001  (raised below)
            errors.append(error)
    if errors:
        raise errors[0]


def on_failure(notification: Notification, error: Exception, delivery: Delivery) -> None:
    """Permanent errors are recorded where they occur; here those that retries did not help."""
    if not delivery.is_last:
        return
    detail = f"{delivery.receives} tries, the last: {error!r}"
    for ref in notification.objects:
        dataset = dataset_of(ref.key) or "unknown"
        why = State.FAILED, Failure.RETRIES_EXHAUSTED, detail
        record_failed_object(ledger, notices, ref, ref.as_origin(), dataset, *why)


consumer = Consumer(
    Work(
        parse=Notification.from_json,
        object_id=lambda message: message.objects[0].as_origin().object_id if message.objects else "none",
        process=ingest,
        on_failure=on_failure,
        is_interruptible=True,
    ),
    Redelivery.outlasting(
        int(os.environ["TIMEOUT_SECONDS"]), sqs, os.environ["INGEST_QUEUE_URL"], int(os.environ["MAX_RECEIVES"])
    ),
    notices,
    logger,
)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse | None:
    """A batch of the queue, or a notification itself: Lambda may hold some of before there was a queue."""
    once.register_lambda_context(context)
    if is_batch(event):
        return consumer.handle(event, context)
    ingest(Notification.from_event(event))
    return None


def is_batch(event: dict[str, Any]) -> bool:
    """Whether an event is one of SQS: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
    records = event.get("Records")
    return isinstance(records, list) and bool(records) and records[0].get("eventSource") == "aws:sqs"
