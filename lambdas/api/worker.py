"""analytics-worker: the step of the jobs' workflow. Runs a question and keeps its result; notes what was cut short."""

import os
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from analytics import question_of
from analytics_jobs import Jobs
from answers import ApiError
from api_models import REQUEST
from pipeline.clients import client
from pipeline.telemetry import measure, traced
from pipeline.warehouse import Warehouse
from reading import Reader
from results import Results, s3_client

logger = Logger()
jobs = Jobs(client("dynamodb"), os.environ["ANALYTICS_TABLE"], int(os.environ["JOB_KEEP_SECONDS"]))
results = Results(s3_client(), os.environ["RESULTS_BUCKET"])
warehouse = Warehouse(client("secretsmanager"), os.environ["DATABASE_SECRET_ARN"], "analytics-worker")
reader = Reader(warehouse, float(os.environ["STATEMENT_TIMEOUT_SECONDS"]))
_PASSING: Final = 503


class JobRefused(Exception):
    """The question is wrong, or takes too long: the workflow does not try again."""


class WarehouseAway(Exception):
    """The database does not answer: the workflow tries again."""


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
        if error.status == _PASSING:
            raise WarehouseAway(error.message) from error
        raise JobRefused(f"{error.kind}: {error.message}") from error
    except ValidationError as error:
        raise JobRefused(f"InvalidRequest: {error.errors()[0]['msg']}") from error
    jobs.succeed(job_id, outcome)
    measure(JobsDone=1, JobRows=outcome.rows)
    logger.info("done", extra={"operation": request.operation, "rows": outcome.rows, "bytes": outcome.size})
    return {"operation": request.operation, "rows": outcome.rows, "bytes": outcome.size}
