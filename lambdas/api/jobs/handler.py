"""analytics-worker: the step of the jobs' workflow. Runs a question and stores its result; records aborted runs."""

import os
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from api.answers import ApiError
from api.jobs.results import Results, s3_client
from api.jobs.store import Jobs
from api.models import REQUEST
from api.queries.analytics import question_of
from api.queries.reading import Reader
from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import measure, traced
from warehouse.database import Warehouse

logger = Logger()
jobs = Jobs(client("dynamodb"), os.environ["ANALYTICS_TABLE"], int(os.environ["JOB_KEEP_SECONDS"]))
results = Results(s3_client(), os.environ["RESULTS_BUCKET"])
warehouse = Warehouse(client("secretsmanager"), os.environ["DATABASE_SECRET_ARN"], "analytics-worker")
reader = Reader(warehouse, float(os.environ["STATEMENT_TIMEOUT_SECONDS"]))
_TRANSIENT: Final = 503


class JobRefused(Exception):
    """A permanent error: the question is wrong, or takes too long. The workflow does not retry."""


class WarehouseAway(Exception):
    """A transient error: the database does not answer. The workflow retries."""


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    if event.get("detail-type") == "Step Functions Execution Status Change":
        detail = event["detail"]
        jobs.fail(detail["name"], detail["status"], "the workflow was ended before the job was done")
        return {}
    logger.append_keys(job_id=event["job_id"])
    return _run(event["job_id"], event["request"])


def _run(job_id: str, given: dict[str, Any]) -> dict[str, Any]:
    """Raises JobRefused, WarehouseAway."""
    if not jobs.begin(job_id, given):
        item = jobs.get(job_id) or {}
        return {"operation": given["operation"], "rows": int(item["result_rows"]), "bytes": int(item["result_bytes"])}
    try:
        # Schedules write numbers as text.
        request = REQUEST.validate_python(given, strict=False)
        question = question_of(request)
        with reader.snapshot(foreign=question.foreign) as snapshot:
            outcome = results.write(job_id, snapshot.rows(question), question.limit)
    except ApiError as error:
        if error.status == _TRANSIENT:
            raise WarehouseAway(error.message) from error
        raise JobRefused(f"{error.kind}: {error.message}") from error
    except ValidationError as error:
        raise JobRefused(f"InvalidRequest: {error.errors()[0]['msg']}") from error
    jobs.succeed(job_id, outcome)
    measure(JobsDone=1, JobRows=outcome.rows)
    logger.info("done", extra={"operation": request.operation, "rows": outcome.rows, "bytes": outcome.size})
    return {"operation": request.operation, "rows": outcome.rows, "bytes": outcome.size}
