"""Operations on the runs of jobs. https://docs.aws.amazon.com/glue/latest/webapi/API_StartJobRun.html"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.glue import errors
from sluice_ext.glue.jobs import validation
from sluice_ext.glue.jobs.definitions import check_role, store_of
from sluice_ext.glue.jobs.kinds import SHELL
from sluice_ext.glue.jobs.runner import RUNNER, Where
from sluice_ext.glue.jobs.store import JOBS, UNFINISHED, Job
from sluice_ext.glue.store import page

_PAGE: Final = 200
_BATCH: Final = 25


def start(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """StartJobRun. Beyond MaxConcurrentRuns a run waits where queuing is enabled, and is refused elsewhere."""
    where = Where(context.account_id, context.region)
    with JOBS.lock:
        job = store_of(context).jobs.get(request["JobName"])
        if job is None:
            raise errors.not_found("Failed to start job run due to missing metadata")
        check_role(job.given, context.account_id)
        previous = _previous(job, request.get("JobRunId"))
        run = described(job, request, previous)
        if job.busy() >= job.limit:
            queuing = request.get("JobRunQueuingEnabled", job.given.get("JobRunQueuingEnabled"))
            if not queuing:
                message = f"Concurrent runs exceeded for {job.name}"
                raise errors.named("ConcurrentRunsExceededException", message)
            run["JobRunState"] = "WAITING"
        job.add(run)
    if run["JobRunState"] != "WAITING":
        RUNNER.start(where, job, run)
    return {"JobRunId": run["Id"]}


def _previous(job: Job, name: str | None) -> dict[str, Any]:
    """The run that is repeated; empty when there is none. Raises EntityNotFoundException."""
    if not name:
        return {}
    if name not in job.runs:
        raise errors.not_found(f"Job run {name} not found.")
    return job.runs[name]


def described(job: Job, request: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, Any]:
    """A new run as GetJobRun shows it. Raises InvalidInputException."""
    given, kind = job.given, job.given["Command"]["Name"]
    arguments = dict(request.get("Arguments") or previous.get("Arguments") or {})
    validation.check_arguments(validation.merged(given, arguments), kind)
    sized = ("MaxCapacity", "AllocatedCapacity", "WorkerType", "NumberOfWorkers")
    own = {name: request[name] for name in sized if request.get(name)}
    capacity = validation.capacity(own, kind) if own else {name: given[name] for name in sized if name in given}
    timeout = request.get("Timeout") or given["Timeout"]
    if not 1 <= timeout <= 10080:
        raise errors.invalid(f"Timeout must be from 1 to 10080, not {timeout}.")
    now = datetime.now(UTC)
    run = {
        "Id": f"jr_{uuid.uuid4().hex}{uuid.uuid4().hex}", "Attempt": 0, "JobName": job.name, "JobMode": "SCRIPT",
        "StartedOn": now, "LastModifiedOn": now, "JobRunState": "STARTING", "Arguments": arguments,
        "PredecessorRuns": [], "ExecutionTime": 0, "Timeout": timeout, **capacity,
        "LogGroupName": "/aws-glue/python-jobs" if kind == SHELL else "/aws-glue/jobs",
    }  # fmt: skip
    if previous:
        run["PreviousRunId"] = previous["Id"]
    for name in ("GlueVersion", "ExecutionClass", "SecurityConfiguration", "NotificationProperty"):
        if value := request.get(name) or given.get(name):
            run[name] = value
    return run


def get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetJobRun."""
    with JOBS.lock:
        job = store_of(context).job(request["JobName"])
        run = job.runs.get(request["RunId"])
        if run is None:
            raise errors.not_found(f"Job run {request['RunId']} not found.")
        return {"JobRun": dict(run)}


def get_many(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetJobRuns, the newest first."""
    with JOBS.lock:
        runs = [dict(run) for run in reversed(store_of(context).job(request["JobName"]).runs.values())]
    found, more = page(runs, request, _PAGE)
    return {"JobRuns": found} | more


def batch_stop(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """BatchStopJobRun: those that run are STOPPING, then STOPPED; for each other one an error says why not."""
    if len(request["JobRunIds"]) > _BATCH:
        raise errors.invalid(f"JobRunIds has more than {_BATCH} ids.")
    stopping, failed = [], []
    with JOBS.lock:
        job = store_of(context).job(request["JobName"])
        for name in request["JobRunIds"]:
            where, run = {"JobName": job.name, "JobRunId": name}, job.runs.get(name)
            if run is not None and run["JobRunState"] in UNFINISHED:
                stopping.append((where, run))
                continue
            detail = {"ErrorCode": "EntityNotFoundException", "ErrorMessage": f"Job run {name} not found."}
            if run is not None:
                message = f"Job run {name} cannot be stopped: it is in the state {run['JobRunState']}"
                detail = {"ErrorCode": "JobRunInTerminalStateException", "ErrorMessage": message}
            failed.append(where | {"ErrorDetail": detail})
    for _, run in stopping:
        RUNNER.stop(run)
    return {"SuccessfulSubmissions": [where for where, _ in stopping], "Errors": failed}


OPERATIONS = {
    "StartJobRun": start,
    "GetJobRun": get,
    "GetJobRuns": get_many,
    "BatchStopJobRun": batch_stop,
}
