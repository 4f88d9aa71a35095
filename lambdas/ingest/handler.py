"""ingest: S3 tells of an object; its plan goes to the ledger and its chunks, as pointers, to the queue."""

import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from events import objects_in
from pipeline.catalog import load_catalog
from pipeline.chunk_queue import ChunkQueue
from pipeline.clients import client
from pipeline.failures import Failure, ObjectFailed, ObjectMissing
from pipeline.identity import ObjectRef
from pipeline.items import State
from pipeline.keys import dataset_of
from pipeline.ledger import Ledger
from pipeline.notices import Notices
from pipeline.storage import Storage
from pipeline.telemetry import correlate, measure, traced
from planner import Limits, Planner, failed_event

logger = Logger()
sqs = client("sqs")
dynamodb = client("dynamodb")
storage = Storage(client("s3"))
ledger = Ledger(dynamodb, os.environ["LEDGER_TABLE"])
notices = Notices(client("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
limits = Limits(int(os.environ["CHUNK_BYTES"]), int(os.environ["SINGLE_CHUNK_LIMIT_BYTES"]))
planner = Planner(storage, ledger, ChunkQueue(sqs, os.environ["CHUNK_QUEUE_URL"]), load_catalog(), limits)

idempotency = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"], boto3_client=dynamodb)
once = IdempotencyConfig(expires_after_seconds=int(os.environ["IDEMPOTENCY_TTL_SECONDS"]))


@idempotent_function(  # type: ignore[untyped-decorator]
    data_keyword_argument="uri", persistence_store=idempotency, config=once
)
def plan_once(*, uri: str, ref: ObjectRef) -> dict[str, Any]:
    """Once for each ``s3://bucket/key#etag``; an exception removes the record, so that a retry may try again."""
    logger.debug("planning", extra={"uri": uri})
    return plan(ref)


def plan(ref: ObjectRef) -> dict[str, Any]:
    result = planner.plan(ref)
    if result["sent"]:
        measure(dataset_of(ref.key) or "unknown", ObjectsPlanned=1, ChunksSent=result["sent"])
    return result


def take_in(ref: ObjectRef) -> None:
    """Plans an object. What cannot ever be planned is recorded, reported and put aside; what may pass is raised."""
    origin = ref.as_origin()
    dataset = dataset_of(ref.key) or "unknown"
    try:
        result = plan_once(uri=origin.uri, ref=ref)
        if result["version_id"] != ref.version_id:
            # The same bytes were uploaded again, as a new version. Only an object whose first version was deleted
            # before it could be read gains by that; the ledger knows.
            known = ledger.object(result["object_id"])
            if known and known["state"] == State.MISSING:
                result = plan(ref)
    except ObjectMissing as missing:
        logger.warning("the object is gone", extra={"object_id": origin.object_id, "detail": str(missing)})
        if ledger.record_failure(ref, origin, dataset, State.MISSING, Failure.MISSING_VERSION, str(missing)):
            measure(dataset, ObjectsMissing=1)
            notices.object_trouble("object.missing", ref, origin, dataset, Failure.MISSING_VERSION, str(missing))
        return
    except ObjectFailed as failed:
        logger.error("the object cannot be taken in", extra={"object_id": origin.object_id, "detail": str(failed)})
        # The dead letter comes first: were the ledger first, a function that dies here would, when it runs again,
        # find the failure recorded and have nothing left to say.
        dead_letter = failed_event(ref, failed.code, failed.detail)
        sqs.send_message(QueueUrl=os.environ["INGEST_DLQ_URL"], MessageBody=dead_letter)
        if ledger.record_failure(ref, origin, dataset, State.FAILED, failed.code, failed.detail):
            measure(dataset, ObjectsFailed=1)
            notices.object_trouble("object.failed", ref, origin, dataset, failed.code, failed.detail)
        return
    logger.info("planned", extra=result | {"key": ref.key, "size": ref.size})


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    once.register_lambda_context(context)
    for ref in objects_in(event):
        correlate(logger, ref.as_origin().object_id)
        take_in(ref)
