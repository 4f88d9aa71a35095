"""audit: one staged object an invocation, with PyArrow; the workflow says which."""

import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from quality.audit import arrow_engine
from quality.audit.auditing import AUDITED, Auditor, Buckets, Engine
from quality.audit.recording import Verdicts
from quality.staged_run import requested
from sluice_pipeline.catalog.deployed import deployed
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import correlate, measure, traced

logger = Logger()
s3 = client("s3")
auditor = Auditor(
    s3,
    Buckets(os.environ["STAGING_BUCKET"], os.environ["SILVER_BUCKET"]),
    Ledger(client("dynamodb"), os.environ["LEDGER_TABLE"]),
    deployed(),
    Verdicts(s3, os.environ["QUALITY_BUCKET"]),
    Engine(arrow_engine.NAME, arrow_engine.judge),
)


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """``{"object_id", "run"}``; the answer has ``outcome`` and ``passed`` as well.

    Raises:
        InvalidRequest: the request is wrong; no retry can help.
        Exception: whatever Auditor.audit does.
    """
    del context
    object_id, run = requested(event)
    correlate(logger, object_id)
    done = auditor.audit(object_id, run)
    if done.outcome == AUDITED:
        measure(RowsAudited=done.rows, AuditsFailed=int(not done.passed))
    logger.info("audited", extra={"run": run, "outcome": done.outcome, "passed": done.passed, "rows": done.rows})
    return {"object_id": object_id, "run": run, "outcome": done.outcome, "passed": done.passed}
