"""taxi: starts the next attempt at a month, by the monthly schedule, as a retry, or by hand."""

import os
from dataclasses import asdict
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import traced
from taxi.runs import Runs, wanted_of

logger = Logger()
runs = Runs(
    Table(client("dynamodb"), os.environ["TAXI_TABLE"]), client("stepfunctions"), os.environ["STATE_MACHINE_ARN"]
)
ZONE: Final = os.environ["TIME_ZONE"]
SOURCE_URL: Final = os.environ["SOURCE_URL"]


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """``{"month", "batch", "new", "status"}``. Raises InvalidRequest (see runs.wanted_of)."""
    # A repeated asynchronous call has the id of the first one:
    # https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    started = asdict(runs.start(wanted_of(event, ZONE, SOURCE_URL, context.aws_request_id)))
    logger.info("started" if started["new"] else "not started", extra={"run": started})
    return started
