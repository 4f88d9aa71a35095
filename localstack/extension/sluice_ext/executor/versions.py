"""One invocation through lease, environment, log and metric. Replaces LambdaVersionManager.invoke."""

from concurrent.futures import CancelledError

from localstack.aws.api.lambda_ import ServiceException, TooManyRequestsException
from localstack.services.lambda_.invocation.lambda_models import Invocation, InvocationResult
from localstack.services.lambda_.invocation.version_manager import LambdaVersionManager

from sluice_ext.metrics import functions as metrics


class VersionManager(LambdaVersionManager):  # type: ignore[misc]
    """Same states and leases as LocalStack's; without its three extra threads for each invocation."""

    def invoke(self, *, invocation: Invocation) -> InvocationResult:
        """Synchronous. Raises TooManyRequestsException when the concurrency limit is reached."""
        if self.shutdown_event.is_set():
            raise ServiceException(f"Version {self.function_arn} is shutting down")
        identity = self.function_version.id
        try:
            lease = self.counting_service.get_invocation_lease(
                self.function, self.function_version, self.provisioned_state
            )
            with lease as kind, self.assignment_service.get_environment(self.id, self.function_version, kind) as env:
                result = env.invoke(invocation)
                result.executed_version = identity.qualifier
                self.store_logs(invocation_result=result, execution_env=env)
        except TooManyRequestsException:
            metrics.count_throttle(identity.account, identity.region, identity.function_name)
            raise
        except CancelledError as error:
            raise ServiceException(f"Version {self.function_arn} was stopped") from error
        metrics.count_invocation(
            identity.account, identity.region, identity.function_name, result.is_error, result.logs or ""
        )
        return result
