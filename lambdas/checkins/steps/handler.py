"""checkins: one state of the check-in workflow an invocation; the state machine says which, and tries it again."""

import os
from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from checkins.request import Request, hard_of
from checkins.run_log import Log
from checkins.steps.failed_rows import FailedRows
from checkins.steps.file_steps import Places, Run
from sluice_pipeline.catalog.deployed import load_catalog
from sluice_pipeline.dynamo.rows import RowTable
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import correlate, traced

logger = Logger()
dynamodb, s3 = client("dynamodb"), client("s3")
ledger = Ledger(dynamodb, os.environ["LEDGER_TABLE"])
log = Log(dynamodb, os.environ["CHECKIN_LOG_TABLE"])
places = Places(
    s3,
    os.environ["SILVER_BUCKET"],
    RowTable(dynamodb, os.environ["CHECKINS_TABLE"]),
    FailedRows(s3, os.environ["QUARANTINE_BUCKET"]),
)
DEADLINE_SECONDS: Final = int(os.environ["DEADLINE_SECONDS"])
HARD_TESTING: Final = os.environ["HARD_TESTING"]


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    del context
    if event["step"] == "cut-short":  # the rule on Step Functions' events sends it for ABORTED and TIMED_OUT
        return {"closed": log.close(event["name"], f"the run was aborted or timed out: {event['status']}")}
    request = Request.parse(event["request"])
    correlate(logger, request.object_id)
    run = Run(event["name"], request, ledger, places, log, load_catalog())
    match event["step"]:
        case "transform":
            elapsed = datetime.now(UTC) - datetime.fromisoformat(event["started"])
            done = run.transform(elapsed.total_seconds(), DEADLINE_SECONDS)
        case "test":
            done = run.test(event["ledger_run"], hard_of(request.hard_testing or HARD_TESTING))
        case "load":
            done = run.load(event["ledger_run"])
        case unknown:
            raise ValueError(f"there is no step {unknown!r}")
    logger.info(event["step"], extra={"run": event["name"], "done": done})
    return done
