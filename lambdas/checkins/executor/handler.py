"""checkin-executor: submits a day's check-in files, each once however often it is asked; a notice says it has none."""

import os
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from checkins.notices import notify_missing
from checkins.request import day_of, hard_of
from checkins.run_log import MISSING, SUCCEEDED, Log
from checkins.schema import CHECKIN
from checkins.submit import Submitter
from sluice_pipeline.catalog.deployed import load_catalog
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.requests import InvalidRequest
from sluice_pipeline.runtime.clients import client, on_demand
from sluice_pipeline.runtime.telemetry import traced

logger = Logger()
log = Log(client("dynamodb"), os.environ["CHECKIN_LOG_TABLE"])
submitter = Submitter(
    client("s3"), client("stepfunctions"), os.environ["BRONZE_BUCKET"], os.environ["STATE_MACHINE_ARN"], log
)
notices = Notices(on_demand("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
DAYS_BACK: Final = int(os.environ["DAYS_BACK"])


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """``{"day": "2026-03-01", "hard_testing": "", "id": ""}``, all but the day optional, or a schedule's event."""
    del context
    day = _day(event)
    hard_of(hard_testing := str(event.get("hard_testing", "")))
    other = str(event.get("id", ""))
    submitted, missing = [], []
    for dataset in sorted(CHECKIN.all(load_catalog())):
        found = [submitter.submit(request, hard_testing, other) for request in submitter.files(dataset, day)]
        submitted += found
        if not found:
            missing.append(dataset)
            if log.day_status(dataset, day) != MISSING:  # one notice, or two when the function dies before the record
                notify_missing(notices, dataset, day)
        counts = {"files": len(found), "new": sum(one.new for one in found)}
        log.record_day(dataset, day, SUCCEEDED if found else MISSING, counts)
    done = {"day": day, "submitted": [asdict(one) for one in submitted], "missing": missing}
    logger.info("submitted", extra={"submit": done})
    return done


def _day(event: dict[str, Any]) -> str:
    """The day that is asked for; of a schedule's event the one DAYS_BACK before the event's time (UTC).

    Not before the present time: an event that comes late or twice means the same day.
    https://docs.aws.amazon.com/eventbridge/latest/ref/events-structure.html
    """
    if "day" in event:
        return day_of(str(event["day"]))
    if "time" not in event:
        raise InvalidRequest("day is missing")
    return (datetime.fromisoformat(event["time"]) - timedelta(days=DAYS_BACK)).date().isoformat()
