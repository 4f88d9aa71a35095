"""settle: once a minute, records the failure of chunks that reached the dead-letter queue without a word of why.

A function that fails records why, and one that does not survive its last try has sent a message that does (transform's
last_try). One that cannot start at all (an import error, a broken layer, an init that takes too long, no concurrency)
does neither: SQS moves its messages to the dead-letter queue, where they stay to be redriven, and this function is the
only one that is left to say so. It needs nothing of transform's: no layer but the base, none of its code.

A function can also die after it recorded a failure and before it sent the notice, which is then due in the ledger:
this function sends it.

What time is left it spends on a ledger that an earlier release has written, until all of it is in the indexes, and then
on objects that have been finished for so long that they expire (ledger_retention_days).
"""

import json
import os
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from core.settle.dead_chunks import dead_chunks, how_it_ended
from core.settle.waiting import Waiting
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.expiry import Expiry
from sluice_pipeline.ledger.items import ChunkState, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.reindex import Reindex
from sluice_pipeline.notices.failures import record_failed_chunk, send_due_notice
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.objects.failures import Failure
from sluice_pipeline.runtime.clients import client, on_demand
from sluice_pipeline.runtime.telemetry import correlate, traced

SPARE_MILLISECONDS: Final = 15_000  # of the function's time, reserved for the last page of the table

logger = Logger()
dynamodb = client("dynamodb")
ledger = Ledger(dynamodb, os.environ["LEDGER_TABLE"])
notices = Notices(on_demand("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])


def settle(message: ChunkMessage, how_it_ended: Callable[[], str]) -> None:
    """Records the failure of a chunk that is still to be done in this run, or whose object is still to be announced."""
    chunk = ledger.chunk_alone(message.origin.object_id, message.chunk.index)
    if chunk is None or int(chunk["run"]) != message.run:
        return
    state, code = State.FAILED, str(Failure.RETRIES_EXHAUSTED)
    correlate(logger, message.origin.object_id)
    if chunk["chunk_state"] == ChunkState.FAILED:
        if not is_planned(message):
            return
        # Its function died before it recorded the same of the object.
        code, _, detail = chunk["error"].partition(": ")
        state = State.MISSING if code == Failure.MISSING_VERSION else state
    elif chunk["chunk_state"] == ChunkState.DONE and not is_unannounced(message):
        return
    else:
        tries = f"{os.environ['MAX_RECEIVES']} tries, the function did not survive the last"
        detail = f"{tries}: {how_it_ended()}, see {os.environ['TRANSFORM_LOG_GROUP']}"
    record_failed_chunk(ledger, notices, message, state, code, detail, logger)


def is_planned(message: ChunkMessage) -> bool:
    """Whether the object still waits for its chunks."""
    item = ledger.object(message.origin.object_id)
    return item is not None and item["state"] == State.PLANNED


def is_unannounced(message: ChunkMessage) -> bool:
    """Whether all chunks of the object are done and no function has begun to announce it."""
    item = ledger.object(message.origin.object_id)
    return item is not None and item["state"] == State.PLANNED and item["chunks_done"] == item["chunk_count"]


def notify(object_id: str) -> None:
    """Sends the notice of a failure that another function, or this one, recorded before it died."""
    item = ledger.object(object_id)
    if item is not None and item.get("notice_due") and item["state"] in (State.FAILED, State.MISSING):
        correlate(logger, object_id)
        send_due_notice(ledger, notices, item)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], context: LambdaContext) -> None:
    """Each object is settled by itself; the next run tries again what failed in this one.

    Raises:
        ExceptionGroup: some were not settled.
    """
    table, failed = os.environ["LEDGER_TABLE"], []

    def hurry() -> bool:
        return context.get_remaining_time_in_millis() < SPARE_MILLISECONDS

    waiting = Waiting(dynamodb, table)
    ended = cache(lambda: how_it_ended(client("logs"), os.environ["TRANSFORM_LOG_GROUP"]))
    work: list[Callable[[], None]] = [partial(notify, object_id) for object_id in waiting.due_notices()]
    if waiting.has_stalled():
        work += [partial(settle, message, ended) for message in dead_chunks(client("sqs"), os.environ["CHUNK_DLQ_URL"])]
    for settle_one in work:
        try:
            settle_one()
        except Exception as error:
            logger.exception("not settled")
            failed.append(error)
    # Last, so that nothing waits for it; the next run goes on.
    if not waiting.all_is_indexed:
        Reindex(dynamodb, table).run(hurry)
    elif days := int(os.environ.get("LEDGER_RETENTION_DAYS", "0")):
        left_out = json.loads(os.environ["WAREHOUSE_LEFT_OUT"])
        loaded = os.environ["WAREHOUSE_ENABLED"] == "true"
        if expired := Expiry(dynamodb, table, days, loaded=loaded, left_out=left_out).run(hurry):
            logger.info("expired", extra={"objects": expired})
    if failed:
        raise ExceptionGroup(f"{len(failed)} of {len(work)} objects are not settled", failed)
