"""GetJobBookmark and ResetJobBookmark. https://docs.aws.amazon.com/glue/latest/dg/monitor-continuations.html"""

import json
from typing import Any

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.glue import errors
from sluice_ext.glue.jobs.definitions import store_of
from sluice_ext.glue.jobs.store import JOBS, Bookmark, Job


def _shown(job: Job, bookmark: Bookmark) -> dict[str, Any]:
    state = {context: {"type": "S3DataSource", "files": files} for context, files in bookmark.contexts.items()}
    found: dict[str, Any] = {
        "JobName": job.name, "Version": bookmark.version, "Run": bookmark.run, "Attempt": bookmark.attempt,
        "JobBookmark": json.dumps(state),
    }  # fmt: skip
    named = {"RunId": bookmark.run_id, "PreviousRunId": bookmark.previous_run_id}
    return found | {key: value for key, value in named.items() if value}


def get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetJobBookmark, the present one or that of a run."""
    with JOBS.lock:
        job = store_of(context).job(request["JobName"])
        run = request.get("RunId")
        found = job.committed.get(run) if run else job.bookmark
        if found is None:
            raise errors.not_found(f"Continuation for job {job.name} not found")
        return {"JobBookmarkEntry": _shown(job, found)}


def reset(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ResetJobBookmark: to what a run had seen, or to nothing."""
    with JOBS.lock:
        job = store_of(context).job(request["JobName"])
        run = request.get("RunId")
        before = job.committed.get(run) if run else Bookmark()
        if before is None or job.bookmark is None:
            raise errors.not_found(f"Continuation for job {job.name} not found")
        job.bookmark = Bookmark(before.contexts, job.bookmark.version + 1, before.run, 0, before.run_id)
        return {"JobBookmarkEntry": _shown(job, job.bookmark)}


OPERATIONS = {"GetJobBookmark": get, "ResetJobBookmark": reset}
