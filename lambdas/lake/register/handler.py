"""register: an object is committed; Athena finds its rows and its counts."""

import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from lake.compaction.fence import Fence
from lake.register.counts import Counts
from lake.register.partitions import CrawledPartitions, Partitions
from lake.register.register import Register
from sluice_pipeline.catalog.deployed import OfCurrent
from sluice_pipeline.consumer.consumer import Consumer, Delivery, Work
from sluice_pipeline.consumer.redelivery import Redelivery
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.events.committed import Committed
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.runtime.clients import client, on_demand
from sluice_pipeline.runtime.telemetry import traced

logger = Logger()
notices = Notices(on_demand("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
redelivery = Redelivery(client("sqs"), os.environ["LAKE_QUEUE_URL"], int(os.environ["MAX_RECEIVES"]))
ledger = Ledger(client("dynamodb"), os.environ["LEDGER_TABLE"])
fence = Fence(Table(client("dynamodb"), os.environ["LEDGER_TABLE"]))
registers = os.environ["REGISTERS_PARTITIONS"] == "true"
partitions = (Partitions if registers else CrawledPartitions)(client("glue"), os.environ["LAKE_DATABASE"])
counts = Counts(client("s3"), os.environ["LAKE_BUCKET"], os.environ["OBJECTS_PREFIX"])
register = OfCurrent(lambda catalog: Register(ledger, fence, partitions, counts, frozenset(catalog.datasets)))


def process(event: Committed) -> None:
    """Registers the object; raises what Register.process and OfCurrent do."""
    done = register().process(event)
    if done is not None:
        logger.info("registered", extra={"added": done.added, "changed": done.changed, "without_table": done.unknown})


def on_failure(event: Committed, error: Exception, delivery: Delivery) -> None:
    """Retries exhausted send the notice."""
    logger.exception("the object is not registered", extra={"receives": delivery.receives})
    if delivery.is_last:
        notices.branch_failed("lake", event.dataset, event.object_id, delivery.receives, error)


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
