"""transform: chunk pointers come from the queue, their rows go to silver or quarantine, the counts to the ledger."""

import os
import time
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from chunk import Buckets, ChunkProcessor
from pipeline.catalog import load_catalog
from pipeline.clients import client
from pipeline.failures import Failure, ObjectFailed, ObjectMissing
from pipeline.items import State
from pipeline.ledger import Ledger
from pipeline.messages import ChunkMessage, MalformedMessage
from pipeline.notices import Announcements, Notices
from pipeline.redelivery import Redelivery
from pipeline.telemetry import correlate, measure, traced

logger = Logger()
ledger = Ledger(client("dynamodb"), os.environ["LEDGER_TABLE"])
notices = Notices(client("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
MAX_RECEIVES: Final = int(os.environ["MAX_RECEIVES"])
redelivery = Redelivery(client("sqs"), os.environ["CHUNK_QUEUE_URL"], MAX_RECEIVES)
chunks = ChunkProcessor(
    client("s3"),
    ledger,
    Announcements(client("events"), os.environ["EVENT_BUS_NAME"]),
    load_catalog(),
    Buckets(os.environ["SILVER_BUCKET"], os.environ["QUARANTINE_BUCKET"]),
    int(os.environ["SINGLE_CHUNK_LIMIT_BYTES"]),
    notices,
    float(os.environ["QUARANTINE_NOTICE_RATIO"]),
)
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def process_record(record: SQSRecord) -> None:
    """One message; an exception leaves it, and only it, on the queue.

    The failed message's visibility is shortened, so that it is tried again soon (or, when no retry can help, ends
    in the dead-letter queue soon) instead of after six times the function's timeout.
    """
    receives = int(record.attributes.approximate_receive_count)
    try:
        message = ChunkMessage.from_json(record.body)
    except MalformedMessage as malformed:
        if receives == MAX_RECEIVES:  # it names no object, so nothing else will tell of it
            notices.dead_letter(redelivery.queue, record.message_id, str(malformed), record.body)
        redelivery.now(record.receipt_handle)
        raise
    correlate(logger, message.origin.object_id)
    began = time.monotonic()
    try:
        result = chunks.process(message)
    except ObjectMissing as missing:
        _record(message, State.MISSING, Failure.MISSING_VERSION, str(missing))
        return  # acknowledged: a deleted version never comes back
    except ObjectFailed as failed:
        _record(message, State.FAILED, failed.code, failed.detail)
        redelivery.now(record.receipt_handle)
        raise
    except Exception as error:
        if receives >= MAX_RECEIVES:
            _record(message, State.FAILED, Failure.GAVE_UP, f"{receives} tries, the last: {error!r}")
        redelivery.later(record.receipt_handle, receives)
        raise
    if result is not None:
        measure(
            message.dataset,
            RowsIn=result.rows_in,
            RowsSilver=result.rows_silver,
            RowsQuarantined=result.rows_quarantined,
            ChunkSeconds=time.monotonic() - began,
            ObjectsCommitted=int(result.committed),
        )
        counts = {"rows_in": result.rows_in, "rows_silver": result.rows_silver, "files": len(result.outputs)}
        logger.info("chunk done", extra=counts | {"chunk": message.chunk.index, "of": message.chunk.count})


def _record(message: ChunkMessage, state: State, code: str, detail: str) -> None:
    """Ledger first, then the notice: whoever gets the notice finds the ledger saying the same."""
    origin, ref = message.origin, message.object
    logger.error("the object is not taken in", extra={"object_id": origin.object_id, "reason": code, "detail": detail})
    ledger.fail_chunk(origin.object_id, message.chunk, message.run, f"{code}: {detail}")
    if ledger.record_failure(ref, origin, message.dataset, state, code, detail):
        measure(message.dataset, **{"ObjectsMissing" if state == State.MISSING else "ObjectsFailed": 1})
        notices.object_trouble(f"object.{state}", ref, origin, message.dataset, code, detail)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return process_partial_response(event=event, record_handler=process_record, processor=processor, context=context)
