"""Operations on the definitions of jobs. https://docs.aws.amazon.com/glue/latest/webapi/API_CreateJob.html"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.glue import errors, roles
from sluice_ext.glue.common import role_arn
from sluice_ext.glue.jobs import validation
from sluice_ext.glue.jobs.store import JOBS, UNFINISHED, Job, Jobs
from sluice_ext.glue.store import page

_PAGE: Final = 100
_BATCH: Final = 25


def store_of(context: RequestContext) -> Jobs:
    """The jobs of the caller's account in its region."""
    return JOBS.of(context.account_id, context.region)


def tags_of(context: RequestContext, name: str) -> dict[str, str]:
    """The tags of a job, to be changed. Raises EntityNotFoundException."""
    with JOBS.lock:
        store_of(context).job(name)
        return store_of(context).tags.setdefault(name, {})


def create(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """CreateJob. The same request again makes nothing and is no error, as on AWS."""
    given = validation.completed({key: value for key, value in request.items() if key != "Tags"})
    check_role(given, context.account_id)
    with JOBS.lock:
        store = store_of(context)
        if before := store.jobs.get(given["Name"]):
            if before.given != given:
                message = f"Job with name: {given['Name']} already submitted with different configuration."
                raise errors.named("IdempotentParameterMismatchException", message)
            return {"Name": given["Name"]}
        store.jobs[given["Name"]] = Job(given)
        if request.get("Tags"):
            store.tags[given["Name"]] = dict(request["Tags"])
    return {"Name": given["Name"]}


def check_role(given: Mapping[str, Any], account: str) -> None:
    """Raises InvalidInputException when Glue may not assume the job's role."""
    if not roles.assumable(given["Role"], account):
        arn = role_arn(given["Role"], account)
        raise errors.invalid(f"Role {arn} should be given assume role permissions for Glue Service.")


def update(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UpdateJob: replaces the definition; what JobUpdate does not name has its default again."""
    with JOBS.lock:
        job = store_of(context).job(request["JobName"])
        before = {"Role": job.given["Role"], "Command": job.given["Command"]}
        given = validation.completed(before | dict(request["JobUpdate"]) | {"Name": job.name})
        check_role(given, context.account_id)
        job.given = given
        job.modified = datetime.now(UTC)
    return {"JobName": request["JobName"]}


def shown(job: Job) -> dict[str, Any]:
    """A job as GetJob returns it."""
    return job.given | {"CreatedOn": job.created, "LastModifiedOn": job.modified}


def get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetJob."""
    with JOBS.lock:
        return {"Job": shown(store_of(context).job(request["JobName"]))}


def get_many(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetJobs, by name."""
    with JOBS.lock:
        listed = [job for _, job in sorted(store_of(context).jobs.items())]
        found, more = page(listed, request, _PAGE)
        return {"Jobs": [shown(job) for job in found]} | more


def batch_get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """BatchGetJobs."""
    names = request["JobNames"]
    if len(names) > _BATCH:
        raise errors.invalid(f"JobNames has more than {_BATCH} names.")
    with JOBS.lock:
        jobs = store_of(context).jobs
        return {
            "Jobs": [shown(jobs[name]) for name in names if name in jobs],
            "JobsNotFound": [name for name in names if name not in jobs],
        }


def list_names(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ListJobs: names, all or those with all of the tags."""
    wanted = dict(request.get("Tags") or {}).items()
    with JOBS.lock:
        store = store_of(context)
        names = [n for n in sorted(store.jobs) if wanted <= store.tags.get(n, {}).items()]
    found, more = page(names, request, _PAGE)
    return {"JobNames": found} | more


def delete(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeleteJob: no error when there is none. Its runs end."""
    from sluice_ext.glue.jobs.runner import RUNNER

    with JOBS.lock:
        store = store_of(context)
        job = store.jobs.pop(request["JobName"], None)
        store.tags.pop(request["JobName"], None)
    for run in list(job.runs.values()) if job else ():
        if run["JobRunState"] in UNFINISHED:
            RUNNER.stop(run)
    return {"JobName": request["JobName"]}


OPERATIONS = {
    "CreateJob": create,
    "UpdateJob": update,
    "GetJob": get,
    "GetJobs": get_many,
    "BatchGetJobs": batch_get,
    "ListJobs": list_names,
    "DeleteJob": delete,
}
