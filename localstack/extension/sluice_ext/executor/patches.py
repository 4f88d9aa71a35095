"""The parts of LocalStack that the executor replaces.

Replaced: `AssignmentService` and `LambdaVersionManager` as the Lambda service uses them (see `pool` and `versions` for
why), and `LogHandler` as version managers use it (`sluice_ext.logs`: LocalStack calls CloudWatch Logs for every
invocation, the writer collects many).
"""

from localstack.services.lambda_.invocation import lambda_service, version_manager

from sluice_ext.executor.pool import Pool
from sluice_ext.executor.versions import VersionManager
from sluice_ext.logs.handler import BatchingLogHandler
from sluice_ext.patching import replace


def install() -> None:
    """Replace the classes; raises UnexpectedEngine when LocalStack is not the version we know."""
    manager = "(self, function_arn, function_version, function, counting_service, assignment_service)"
    replace(lambda_service, "AssignmentService", Pool, expect="(self)")
    replace(lambda_service, "LambdaVersionManager", VersionManager, expect=manager)
    replace(version_manager, "LogHandler", BatchingLogHandler, expect="(self, role_arn, region)")
