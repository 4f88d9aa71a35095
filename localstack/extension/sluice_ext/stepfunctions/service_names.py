"""`arn:aws:states:::aws-sdk:redshiftdata:*`: services whose name in a state differs from that of their client.

LocalStack looks for a client of the name that a state has. Added to: its names of services, and those of their errors.
It leaves the names inside of lists of lists (the records of a result) as the service writes them; on AWS each begins
with a capital. Replaced: `StateTaskService._from_boto_response`; the service's name in errors, which is in Pascal case
(`Sqs.QueueDoesNotExistException`, and not `SQS`).
https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
"""

import re
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
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")


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
    kind = sdk.StateTaskServiceAwsSdk
    in_error = replace(kind, "_normalise_service_error_name", None, expect="(service_name)")
    kind._normalise_service_error_name = staticmethod(lambda service_name: pascal(in_error(service_name)))
    for name, (client, in_errors) in _NAMES.items():
        plain.StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES[name] = client
        sdk._SERVICE_ERROR_NAMES[name] = in_errors


def pascal(name: str) -> str:
    """`SQS` is `Sqs`, `DynamoDB` is `DynamoDb`, `EC2` is `Ec2`."""
    return "".join(word.capitalize() for word in _WORD.findall(name))
