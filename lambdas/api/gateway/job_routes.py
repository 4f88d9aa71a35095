"""Routes of jobs: start one, list them, show one, download its result."""

import json
import os
from contextlib import suppress
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from api.answers import JSON, ApiError, plain_body
from api.gateway.openapi_document import answers_of
from api.jobs.results import Results, s3_client
from api.jobs.store import FAILED, QUEUED, SUCCEEDED, Jobs, described, new_id
from api.models import SYNC_ROWS, Request
from api.queries.analytics import question_of
from api.queries.reading import ANSWER_BYTES
from sluice_pipeline.runtime.clients import client

router = APIGatewayRouter()  # type: ignore[no-untyped-call]
jobs = Jobs(client("dynamodb"), os.environ["ANALYTICS_TABLE"], int(os.environ["JOB_KEEP_SECONDS"]))
results = Results(s3_client(), os.environ["RESULTS_BUCKET"])
workflows = client("stepfunctions")
STATE_MACHINE: Final = os.environ["JOBS_STATE_MACHINE_ARN"]

JobId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,80}$", description="As it was given out.")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[A-Za-z0-9_.:-]{1,128}$",
        description="The same question with the same key is the same job.",
    ),
]


def answered(body: str, status: int = 200) -> Response[str]:
    return Response(status_code=status, content_type=JSON, body=body)


@router.post("/analytics/jobs", summary="A question that takes its time", responses=answers_of("job_started"))
def start(request: Annotated[Request, Body()], idempotency_key: Key = None) -> Response[str]:
    """Creates the job, then starts it; a repeated request starts a job that was only created."""
    question_of(request)  # a wrong question is answered now, not by the job
    asked = request.model_dump(mode="json")
    job_id = new_id(_owner(), idempotency_key)
    item = jobs.add(job_id, asked)
    if item["state"] == QUEUED:
        with suppress(workflows.exceptions.ExecutionAlreadyExists):  # by an earlier request
            workflows.start_execution(
                stateMachineArn=STATE_MACHINE, name=job_id, input=json.dumps({"request": asked}, sort_keys=True)
            )
    return answered(plain_body(job=described(item)), 202)


@router.get("/analytics/jobs", summary="Jobs, newest first", responses=answers_of("jobs"))
def listed(
    limit: Annotated[int, Query(ge=1, le=100, description="Jobs of a page.")] = 20,
    cursor: Annotated[str, Query(max_length=2000, description="Of the page before; good for an hour.")] = "",
) -> Response[str]:
    page = jobs.page(limit, cursor)
    return answered(plain_body(jobs=[described(item) for item in page.items], cursor=page.cursor or None))


@router.get("/analytics/jobs/<job_id>", summary="A job, and its rows when they fit", responses=answers_of("job"))
def shown(job_id: JobId) -> Response[str]:
    """The answer holds up to 1,000 rows and 5 MB; a larger result is downloaded."""
    item = _item(job_id)
    job = described(item)
    if item["state"] != SUCCEEDED:
        return answered(plain_body(job=job))
    if job["resultCount"] > SYNC_ROWS or job["bytes"] > ANSWER_BYTES:
        return answered(plain_body(job=job, download=f"/analytics/jobs/{job_id}/download"))
    return answered(f'{plain_body(job=job)[:-1]}, "data": {results.read(job_id)}}}')


@router.get("/analytics/jobs/<job_id>/download", summary="Where the rows are", responses=answers_of("download"))
def download(job_id: JobId) -> Response[str]:
    item = _item(job_id)
    if item["state"] == FAILED:
        raise ApiError(409, "JobFailed", "the job failed", [f"GET /analytics/jobs/{job_id} says why"])
    if item["state"] != SUCCEEDED:
        raise ApiError(409, "JobNotFinished", f"the job is {item['state']}", ["try again later"])
    url, until = results.url(job_id)
    job = described(item)
    return answered(
        plain_body(url=url, expiresAt=until.isoformat(timespec="seconds").replace("+00:00", "Z"),
                   resultCount=job["resultCount"], bytes=job["bytes"])
    )  # fmt: skip


def _owner() -> str:
    """The id of the caller's key: idempotency keys of different clients are different."""
    context = router.current_event.get("requestContext") or {}
    return str((context.get("identity") or {}).get("apiKeyId") or "")


def _item(job_id: str) -> dict[str, Any]:
    """Raises ApiError (404)."""
    item = jobs.get(job_id)
    if item is None:
        raise ApiError(404, "NotFound", "there is no such job", ["GET /analytics/jobs lists them"])
    return item
