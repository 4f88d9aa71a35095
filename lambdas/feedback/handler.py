"""feedback: an object is committed; its feedback goes to DynamoDB, and people are told what is unusual in it."""

import os
from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from alerts import Alerts
from pipeline.catalog import load_catalog
from pipeline.clients import client
from pipeline.committed import Committed
from pipeline.ledger import Ledger
from pipeline.messages import MalformedMessage
from pipeline.notices import Notices
from pipeline.redelivery import Redelivery
from pipeline.row_table import RowTable
from pipeline.telemetry import correlate, measure, traced
from upsert import Upsert

logger = Logger()
dynamodb = client("dynamodb")
notices = Notices(client("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
MAX_RECEIVES: Final = int(os.environ["MAX_RECEIVES"])
redelivery = Redelivery(client("sqs"), os.environ["FEEDBACK_QUEUE_URL"], MAX_RECEIVES)
rows = RowTable(dynamodb, os.environ["FEEDBACK_TABLE"])
upsert = Upsert(
    client("s3"),
    os.environ["SILVER_BUCKET"],
    Ledger(dynamodb, os.environ["LEDGER_TABLE"]),
    rows,
    Alerts(rows.table, notices, int(os.environ["ALERT_QUIET_SECONDS"])),
    load_catalog(),
)
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def process_record(record: SQSRecord) -> None:
    """One message; an exception leaves it, and only it, on the queue, to be tried again soon."""
    receives = int(record.attributes.approximate_receive_count)
    try:
        event = Committed.from_json(record.body)
    except MalformedMessage as malformed:
        if receives == MAX_RECEIVES:
            notices.dead_letter(redelivery.queue, record.message_id, str(malformed), record.body)
        redelivery.now(record.receipt_handle)
        raise
    if not upsert.concerns(event):
        return
    correlate(logger, event.object_id)
    try:
        done = upsert.process(event)
    except Exception as error:
        logger.exception("the feedback is not stored", extra={"receives": receives})
        measure(event.dataset, ProcessingErrors=1)
        if receives == MAX_RECEIVES:
            reason = f"feedback gave up after {receives} tries, the last: {error!r}"
            repair = f"mend the cause, then sluice dlq redrive {event.object_id}"
            notices.branch_failed("feedback.failed", event.dataset, event.object_id, reason, repair)
        redelivery.later(record.receipt_handle, receives)
        raise
    if done is not None and done.new:
        for dataset, count in done.rows.items():
            # From the upload on; that a replay comes days later is no latency.
            latency = {"ETLLatency": _since(done.received_at)} if event.run == 1 else {}
            measure(dataset, ProcessedItemCount=count, ProcessingErrors=0, **latency)
        logger.info("feedback stored", extra={"rows": done.rows, "written": done.written, "removed": done.removed})


def _since(at: str) -> float:
    """Milliseconds."""
    return (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() * 1000


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return process_partial_response(event=event, record_handler=process_record, processor=processor, context=context)
