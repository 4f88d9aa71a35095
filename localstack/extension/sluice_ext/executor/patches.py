"""Where the executor takes LocalStack's place.

Replaced: `AssignmentService` and `LambdaVersionManager` as the Lambda service uses them (see `pool` and `versions` for
why), and `LogHandler` as version managers use it (`delivery.logs`: LocalStack calls CloudWatch Logs for every
invocation, we gather).
"""

from localstack.services.lambda_.invocation import lambda_service, version_manager

from sluice_ext.delivery.logs import GatheringLogHandler
from sluice_ext.executor.pool import Pool
from sluice_ext.executor.versions import VersionManager
from sluice_ext.patching import replace


def install() -> None:
    """Replace the classes; raises UnexpectedEngine when LocalStack is not the version we know."""
    manager = "(self, function_arn, function_version, function, counting_service, assignment_service)"
    replace(lambda_service, "AssignmentService", Pool, expect="(self)")
    replace(lambda_service, "LambdaVersionManager", VersionManager, expect=manager)
    replace(version_manager, "LogHandler", GatheringLogHandler, expect="(self, role_arn, region)")
