"""watch: once a minute, how many objects are unfinished and how long the oldest has waited, as metrics."""

import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from core.watch.backlog import read_backlog
from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import measure, traced

logger = Logger()
dynamodb = client("dynamodb")


@traced
@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    found = read_backlog(dynamodb, os.environ["LEDGER_TABLE"], datetime.now(UTC))
    measure(ObjectsUnfinished=found.objects, OldestUnfinishedSeconds=found.oldest_seconds)
