"""publish: one audited object an invocation; the workflow, or an operator who releases it, says which."""

import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from quality.publish.publishing import Buckets, Publisher
from quality.staged_run import requested
from sluice_pipeline.events.announcements import Announcements
from sluice_pipeline.ledger.items import State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.staged import StagedRuns
from sluice_pipeline.notices.ending import RunEnd
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.runtime.clients import client, on_demand
from sluice_pipeline.runtime.telemetry import correlate, measure, traced

logger = Logger()
dynamodb, table = client("dynamodb"), os.environ["LEDGER_TABLE"]
notices = Notices(on_demand("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
ledger = Ledger(dynamodb, table)
announcements = Announcements(client("events"), os.environ["EVENT_BUS_NAME"])
publisher = Publisher(
    client("s3"),
    Buckets(os.environ["SILVER_BUCKET"], os.environ["STAGING_BUCKET"], os.environ["QUALITY_BUCKET"]),
    ledger,
    StagedRuns(dynamodb, table),
    RunEnd(ledger, announcements, notices, float(os.environ["QUARANTINE_NOTICE_RATIO"])),
    notices,
)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """``{"object_id", "run"}``, with ``error`` of an audit that failed, or ``release`` and its reason.

    Raises:
        InvalidRequest: the request is wrong; no retry can help.
        NotStaged, NoVerdict: as Publisher.publish.
    """
    del context
    object_id, run = requested(event)
    correlate(logger, object_id)
    done = publisher.publish(object_id, run, _error(event.get("error")), str(event.get("release") or ""))
    if done.new:
        held = done.outcome == State.WITHHELD
        measure(RowsPublished=0 if held else done.rows, ObjectsWithheld=int(held), ObjectsPublished=int(not held))
    logger.info("published", extra={"run": run, "outcome": done.outcome, "rows": done.rows})
    return {"object_id": object_id, "run": run, "outcome": done.outcome}


def _error(error: Any) -> str:
    """Step Functions gives an error's name and cause."""
    if isinstance(error, dict):
        return f"{error.get('Error', 'error')}: {error.get('Cause', '')}"
    return str(error or "")
