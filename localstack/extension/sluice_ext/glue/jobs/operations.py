"""All operations on jobs."""

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.glue import errors
from sluice_ext.glue.common import Operation
from sluice_ext.glue.jobs import bookmarks, definitions, runs
from sluice_ext.glue.jobs.validation import Invalid


def _checked(call: Operation) -> Operation:
    def answer(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
        try:
            return call(context, request)
        except Invalid as error:
            raise errors.invalid(str(error)) from None

    return answer


OPERATIONS: dict[str, Operation] = {
    name: _checked(call)
    for listed in (definitions.OPERATIONS, runs.OPERATIONS, bookmarks.OPERATIONS)
    for name, call in listed.items()
}
