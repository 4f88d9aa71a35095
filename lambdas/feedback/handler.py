"""feedback: an object is committed; its feedback goes to DynamoDB, and a notice says what is unusual in it."""

import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from feedback.alerts import Alerts
from feedback.upsert import Upsert
from sluice_pipeline.catalog.deployed import OfCurrent
from sluice_pipeline.consumer.consumer import Consumer, Delivery, Work
from sluice_pipeline.consumer.redelivery import Redelivery
from sluice_pipeline.dynamo.rows import RowTable
from sluice_pipeline.events.committed import Committed
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.runtime.clients import client, on_demand
from sluice_pipeline.runtime.telemetry import measure, traced

logger = Logger()
dynamodb = client("dynamodb")
notices = Notices(on_demand("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
redelivery = Redelivery(client("sqs"), os.environ["FEEDBACK_QUEUE_URL"], int(os.environ["MAX_RECEIVES"]))
rows = RowTable(dynamodb, os.environ["FEEDBACK_TABLE"])
s3 = client("s3")
ledger = Ledger(dynamodb, os.environ["LEDGER_TABLE"])
alerts = Alerts(rows.table, notices, int(os.environ["ALERT_QUIET_SECONDS"]))
upsert = OfCurrent(lambda catalog: Upsert(s3, os.environ["SILVER_BUCKET"], ledger, rows, alerts, catalog))


def process(event: Committed) -> None:
    """Stores the run's feedback and measures it; raises what Upsert.process and OfCurrent do."""
    current = upsert()
    done = current.process(event) if current.applies_to(event) else None
    if done is not None and done.new:
        for dataset, count in done.rows.items():
            # From the upload on; that a replay comes days later is no latency.
            latency = {"ETLLatency": _since(done.received_at)} if event.run == 1 else {}
            measure(dataset, ProcessedItemCount=count, ProcessingErrors=0, **latency)
        logger.info("feedback stored", extra={"rows": done.rows, "written": done.written, "removed": done.removed})


def on_failure(event: Committed, error: Exception, delivery: Delivery) -> None:
    """Every failure counts as an error; retries exhausted send the notice."""
    logger.exception("the feedback is not stored", extra={"receives": delivery.receives})
    measure(event.dataset, ProcessingErrors=1)
    if delivery.is_last:
        notices.branch_failed("feedback", event.dataset, event.object_id, delivery.receives, error)


def _since(at: str) -> float:
    """Milliseconds."""
    return (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() * 1000


consumer = Consumer(
    Work(
        parse=Committed.from_json,
        object_id=lambda event: event.object_id,
        process=process,
        on_failure=on_failure,
    ),
    redelivery,
    notices,
    logger,
)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return consumer.handle(event, context)
