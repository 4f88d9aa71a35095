"""`arn:aws:states:::aws-sdk:redshiftdata:*`: services whose name in a state differs from that of their client.

LocalStack looks for a client of the name that a state has. Added to: its names of services, and those of their errors.
It leaves the names inside of lists of lists (the records of a result) as the service writes them; on AWS each begins
with a capital. Replaced: `StateTaskService._from_boto_response`.
https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
"""

from typing import Any, Final

from botocore.model import ListShape
from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.service import (
    state_task_service as plain,
)
from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.service import (
    state_task_service_aws_sdk as sdk,
)

from sluice_ext.patching import replace

# Name in a state -> name of the client, name in errors.
_NAMES: Final = {
    "redshiftdata": ("redshift-data", "RedshiftData"),
    "redshiftserverless": ("redshift-serverless", "RedshiftServerless"),
}


def install() -> None:
    """Add and replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def named(self: Any, response: Any, structure_shape: Any) -> None:
        if isinstance(response, list) and isinstance(structure_shape, ListShape):
            for one in response:
                named(self, one, structure_shape.member)
        else:
            original(self, response, structure_shape)

    expect = "(self, response, structure_shape)"
    original = replace(plain.StateTaskService, "_from_boto_response", named, expect=expect)
    for name, (client, in_errors) in _NAMES.items():
        plain.StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES[name] = client
        sdk._SERVICE_ERROR_NAMES[name] = in_errors
