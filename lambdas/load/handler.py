"""load: an object is committed; its silver rows go to the warehouse, their count to the ledger."""

import os
import time
from typing import Any, Final

import psycopg
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from canonical import NOTHING, Canonical
from loader import Loader
from pipeline.catalog import load_catalog
from pipeline.clients import client
from pipeline.committed import Committed
from pipeline.ledger import Ledger
from pipeline.messages import MalformedMessage
from pipeline.notices import Notices
from pipeline.redelivery import Redelivery
from pipeline.telemetry import correlate, measure, traced
from pipeline.warehouse import Warehouse
from totals import ControlTotals

logger = Logger()
ledger = Ledger(client("dynamodb"), os.environ["LEDGER_TABLE"])
notices = Notices(client("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
MAX_RECEIVES: Final = int(os.environ["MAX_RECEIVES"])
# 1, 4, 16 and 64 s: longer than a database takes to fail over.
redelivery = Redelivery(client("sqs"), os.environ["LOAD_QUEUE_URL"], MAX_RECEIVES, base=4, longest=120)
warehouse = Warehouse(client("secretsmanager"), os.environ["DATABASE_SECRET_ARN"], "load")
s3 = client("s3")
CANONICAL: Final = os.environ["CANONICAL_ENABLED"] == "true"
loader = Loader(
    s3,
    os.environ["SILVER_BUCKET"],
    ledger,
    warehouse,
    Canonical(load_catalog()) if CANONICAL else None,
    ControlTotals(s3, os.environ["QUARANTINE_BUCKET"], notices, warehouse, load_catalog()) if CANONICAL else None,
)
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def process_record(record: SQSRecord) -> None:
    """One message; an exception leaves it on the queue, to be tried again soon or put aside."""
    receives = int(record.attributes.approximate_receive_count)
    try:
        committed = Committed.from_json(record.body)
    except MalformedMessage as malformed:
        if receives == MAX_RECEIVES:
            notices.dead_letter(redelivery.queue, record.message_id, str(malformed), record.body)
        redelivery.now(record.receipt_handle)
        raise
    correlate(logger, committed.object_id)
    began = time.monotonic()
    try:
        loaded = loader.load(committed)
    except Exception as error:
        # What PostgreSQL refuses it will refuse again, until somebody deploys a table or mends a rule.
        hopeless = isinstance(error, psycopg.Error) and not isinstance(
            error, psycopg.OperationalError | psycopg.InterfaceError
        )
        if receives >= MAX_RECEIVES:
            _give_up(committed, error)
        if hopeless:
            redelivery.now(record.receipt_handle)
        else:
            redelivery.later(record.receipt_handle, receives)
        raise
    if loaded is None:
        logger.info("a newer run has begun", extra={"run": committed.run})
        return
    if loaded.fresh:
        seconds = time.monotonic() - began
        measure(committed.dataset, RowsLoaded=loaded.rows, ObjectsLoaded=1, LoadSeconds=seconds)
        if loaded.entities != NOTHING or loaded.totals_differing:
            measure(
                committed.dataset,
                EntityVersions=loaded.entities.versions,
                EntitiesWithdrawn=loaded.entities.withdrawn,
                ControlTotalsDiffering=loaded.totals_differing,
            )
    logger.info(
        "loaded" if loaded.fresh else "was loaded before",
        extra={"run": committed.run, "batch_id": loaded.batch_id, "rows": dict(loaded.rows_by_table),
               "replaced": loaded.replaced, "nul_characters_replaced": loaded.nuls,
               "entity_versions": loaded.entities.versions, "totals_differing": loaded.totals_differing},
    )  # fmt: skip


def _give_up(committed: Committed, error: Exception) -> None:
    """Ledger first, then the notice: whoever gets the notice finds the ledger saying the same."""
    reason = f"{type(error).__name__}: {error}".strip()
    logger.error("the object is not loaded", extra={"object_id": committed.object_id, "reason": reason})
    ledger.note_load_failed(committed.object_id, committed.run, reason)
    measure(committed.dataset, LoadsFailed=1)
    notices.load_failed(committed.object_id, committed.run, committed.dataset, committed.source_key, reason)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return process_partial_response(event=event, record_handler=process_record, processor=processor, context=context)
