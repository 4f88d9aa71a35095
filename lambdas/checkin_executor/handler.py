"""checkin-executor: submits a day's check-in files, each once however often it is asked; tells when there is none."""

import os
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from pipeline.catalog import load_catalog
from pipeline.checkin_runs import MISSING, SUCCEEDED, InvalidRequest, Log, day_of, hard_of
from pipeline.checkin_submit import Submitter
from pipeline.clients import client
from pipeline.notices import Notices
from pipeline.telemetry import traced

logger = Logger()
log = Log(client("dynamodb"), os.environ["CHECKIN_LOG_TABLE"])
submitter = Submitter(
    client("s3"), client("stepfunctions"), os.environ["BRONZE_BUCKET"], os.environ["STATE_MACHINE_ARN"], log
)
notices = Notices(client("sns"), os.environ["NOTIFICATIONS_TOPIC_ARN"])
DAYS_BACK: Final = int(os.environ["DAYS_BACK"])
DATASETS: Final = sorted(name for name, dataset in load_catalog().datasets.items() if dataset.checkin)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """``{"day": "2026-03-01", "hard_testing": "", "id": ""}``, all but the day optional, or a schedule's event."""
    del context
    day = _day(event)
    hard_of(hard_testing := str(event.get("hard_testing", "")))
    other = str(event.get("id", ""))
    submitted, missing = [], []
    for dataset in DATASETS:
        found = [submitter.submit(request, hard_testing, other) for request in submitter.files(dataset, day)]
        submitted += found
        if not found:
            missing.append(dataset)
            if log.day_status(dataset, day) != MISSING:  # told of once; whoever dies in between tells of it again
                notices.checkins_missing(dataset, day)
        counts = {"files": len(found), "new": sum(one.new for one in found)}
        log.note_day(dataset, day, SUCCEEDED if found else MISSING, counts)
    done = {"day": day, "submitted": [asdict(one) for one in submitted], "missing": missing}
    logger.info("submitted", extra={"submit": done})
    return done


def _day(event: dict[str, Any]) -> str:
    """The day that is asked for; of a schedule's event the one that lies DAYS_BACK before its own time (UTC).

    Its own, not the clock's: an event that comes late or twice means the same day.
    https://docs.aws.amazon.com/eventbridge/latest/ref/events-structure.html
    """
    if "day" in event:
        return day_of(str(event["day"]))
    if "time" not in event:
        raise InvalidRequest("day is missing")
    return (datetime.fromisoformat(event["time"]) - timedelta(days=DAYS_BACK)).date().isoformat()
