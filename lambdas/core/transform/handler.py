"""transform: receives chunk pointers, writes their rows to silver or quarantine and their counts to the ledger."""

import os
import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from core.transform import last_try
from core.transform.chunk import Buckets, ChunkProcessor
from core.transform.drift import Drift
from core.transform.last_try import LastTry
from sluice_pipeline.catalog.deployed import deployed
from sluice_pipeline.consumer.consumer import Consumer, Delivery, Work
from sluice_pipeline.consumer.redelivery import Redelivery
from sluice_pipeline.events.announcements import Announcements
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.items import ChunkState, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.sights import SightLedger
from sluice_pipeline.notices.ending import RunEnd
from sluice_pipeline.notices.failures import record_failed_chunk
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.objects.failures import Failure, ObjectFailed, ObjectMissing
from sluice_pipeline.runtime.clients import client, on_demand
from sluice_pipeline.runtime.telemetry import measure, traced

logger = Logger()
ledger = Ledger(client("dynamodb"), os.environ["LEDGER_TABLE"])
notices = Notices(on_demand("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
announcements = Announcements(client("events"), os.environ["EVENT_BUS_NAME"])
redelivery = Redelivery(client("sqs"), os.environ["CHUNK_QUEUE_URL"], int(os.environ["MAX_RECEIVES"]))
chunks = ChunkProcessor(
    client("s3"),
    ledger,
    announcements,
    deployed(),
    Buckets(os.environ["SILVER_BUCKET"], os.environ["QUARANTINE_BUCKET"], os.environ.get("STAGING_BUCKET", "")),
    int(os.environ["SINGLE_CHUNK_LIMIT_BYTES"]),
    RunEnd(ledger, announcements, notices, float(os.environ["QUARANTINE_NOTICE_RATIO"])),
    Drift(SightLedger(client("dynamodb"), os.environ["LEDGER_TABLE"]), notices),
)


def process(message: ChunkMessage | LastTry, *, again: bool = False) -> None:
    """A chunk, or what is left to do of one whose last try has ended."""
    if isinstance(message, LastTry):
        settle(message)
    else:
        process_chunk(message, again=again)


def process_again(message: ChunkMessage | LastTry) -> None:
    """The same for a message that was received before: its former attempt may have written files and then ended."""
    try:
        cleared = isinstance(message, ChunkMessage) and chunks.clear(message)
    except (ObjectMissing, ObjectFailed):  # of an object that cannot be read, nothing was written
        cleared = True
    if not cleared:
        process(message, again=True)


def settle(last: LastTry) -> None:
    """Records the failure of a chunk whose function did not survive its last try; announces an object that is done."""
    message = last.message
    chunk = ledger.chunk(message.origin.object_id, message.chunk.index)
    if chunk is None or int(chunk["run"]) != message.run or chunk["chunk_state"] == ChunkState.FAILED:
        return
    if chunk["chunk_state"] == ChunkState.DONE:
        process_chunk(message)
        return
    ended = last_try.how_it_ended(client("logs"), last)
    detail = f"{redelivery.max_receives} tries, the function did not survive the last: {ended}"
    _record(message, State.FAILED, Failure.RETRIES_EXHAUSTED, f"{detail}, see {last.log_group}, {last.request_id}")


def before_last_try(message: ChunkMessage | LastTry, context: LambdaContext) -> None:
    """Not for a chunk whose failure is recorded, as a permanent error's is: a message would only wait in the queue."""
    if isinstance(message, LastTry):
        return
    chunk = ledger.chunk(message.origin.object_id, message.chunk.index)
    if chunk is not None and chunk["chunk_state"] != ChunkState.FAILED:
        last_try.send(redelivery.sqs, redelivery.queue_url, message, context)


def process_chunk(message: ChunkMessage, *, again: bool = False) -> None:
    """Raises what ChunkProcessor.process does, except for a deleted version: that never comes back, so no retry."""
    began = time.monotonic()
    try:
        result = chunks.process(message, again=again)
    except ObjectMissing as missing:
        _record(message, State.MISSING, Failure.MISSING_VERSION, str(missing))
        return
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


def on_failure(message: ChunkMessage | LastTry, error: Exception, delivery: Delivery) -> None:
    """A permanent error is recorded the first time, a transient one when retries are exhausted."""
    if isinstance(message, LastTry):
        message = message.message
    if isinstance(error, ObjectFailed):
        _record(message, State.FAILED, error.code, error.detail)
    elif delivery.is_last:
        _record(message, State.FAILED, Failure.RETRIES_EXHAUSTED, f"{delivery.receives} tries, the last: {error!r}")


def _record(message: ChunkMessage, state: State, code: str, detail: str) -> None:
    record_failed_chunk(ledger, notices, message, state, code, detail, logger)


consumer = Consumer(
    Work(
        parse=last_try.parse,
        object_id=lambda message: (message.message if isinstance(message, LastTry) else message).origin.object_id,
        process=process,
        process_again=process_again,
        on_failure=on_failure,
        is_permanent=lambda error: isinstance(error, ObjectFailed),
        before_last_try=before_last_try,
        is_interruptible=True,
    ),
    redelivery,
    notices,
    logger,
)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return consumer.handle(event, context)
