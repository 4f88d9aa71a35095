"""gate: objects are staged; those that come together are audited in one execution of the workflow."""

import os
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from quality.gate.gathering import Engines, Gathering, Member
from sluice_pipeline.consumer.consumer import Consumer, Delivery, Work
from sluice_pipeline.consumer.redelivery import Redelivery
from sluice_pipeline.events.announcements import STAGED
from sluice_pipeline.events.committed import Committed
from sluice_pipeline.events.messages import MalformedMessage
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.staged import StagedRuns
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.runtime.clients import client, on_demand
from sluice_pipeline.runtime.telemetry import traced

logger = Logger()
notices = Notices(on_demand("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
redelivery = Redelivery(client("sqs"), os.environ["QUALITY_QUEUE_URL"], int(os.environ["MAX_RECEIVES"]))
dynamodb, table = client("dynamodb"), os.environ["LEDGER_TABLE"]
gathering = Gathering(
    Ledger(dynamodb, table),
    StagedRuns(dynamodb, table),
    client("stepfunctions"),
    os.environ["STATE_MACHINE_ARN"],
    Engines(os.environ["QUALITY_ENGINE"], int(os.environ["ARROW_MAX_ROWS"])),
)
parse = partial(Committed.from_json, kind=STAGED)
started: dict[Member, Exception | None] = {}
"""What became of the objects of this invocation."""


def process(event: Committed) -> None:
    """Raises what starting the object's audit raised."""
    if error := started[event.object_id, event.run]:
        raise error


def on_failure(event: Committed, error: Exception, delivery: Delivery) -> None:
    """Retries exhausted send the notice."""
    logger.exception("the object's audit is not started", extra={"receives": delivery.receives})
    if delivery.is_last:
        notices.branch_failed("quality", event.dataset, event.object_id, delivery.receives, error)


consumer = Consumer(
    Work(parse=parse, object_id=lambda event: event.object_id, process=process, on_failure=on_failure),
    redelivery,
    notices,
    logger,
)


def parsed(event: dict[str, Any]) -> list[Committed]:
    """The well-formed messages; the consumer reports the others."""
    found = []
    for record in event["Records"]:
        try:
            found.append(parse(record["body"]))
        except MalformedMessage:
            continue
    return found


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    started.clear()
    started.update(gathering.start(parsed(event)))
    return consumer.handle(event, context)
