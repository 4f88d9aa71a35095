"""One invocation: lease, environment, log and metrics. Replaces LambdaVersionManager.invoke."""

from concurrent.futures import CancelledError
from typing import Any

from localstack.aws.api.lambda_ import ServiceException, TooManyRequestsException
from localstack.services.lambda_.invocation.lambda_models import Invocation, InvocationResult
from localstack.services.lambda_.invocation.version_manager import LambdaVersionManager
from localstack.services.plugins import SERVICE_PLUGINS

from sluice_ext.executor import code_in_use, metrics
from sluice_ext.executor.pool import VersionStopped
from sluice_ext.pausing import GATE


class VersionManager(LambdaVersionManager):  # type: ignore[misc]
    """LocalStack's states and leases, without its three extra threads for each invocation."""

    begun = False  # its start after the time of a change, see `changes`

    def invoke(self, *, invocation: Invocation) -> InvocationResult:
        """Synchronous. Raises TooManyRequestsException when the concurrency limit is reached."""
        try:
            with code_in_use.used(self.function_version.config.code):
                if self.shutdown_event.is_set():
                    raise VersionStopped
                return self._invoke(invocation)
        except VersionStopped:
            return self._successor().invoke(invocation=invocation)

    def _successor(self) -> Any:
        """The version that an update has put in the place of this one: it runs what had not begun."""
        found = SERVICE_PLUGINS.require("lambda")._provider.lambda_service.lambda_running_versions
        successor = found.get(self.function_arn)
        if successor is None or successor is self:
            raise ServiceException(f"Version {self.function_arn} is shutting down")
        return successor

    def _invoke(self, invocation: Invocation) -> InvocationResult:
        identity = self.function_version.id
        try:
            lease = self.counting_service.get_invocation_lease(
                self.function, self.function_version, self.provisioned_state
            )
            with (
                lease as kind,
                GATE.aside(f"function {identity.function_name}"),
                self.assignment_service.get_environment(self.id, self.function_version, kind) as env,
            ):
                result = env.invoke(invocation)
                result.executed_version = identity.qualifier
                self.store_logs(invocation_result=result, execution_env=env)
                result.logs = _without_init_start(result.logs or "")
        except TooManyRequestsException:
            metrics.count_throttle(identity.account, identity.region, identity.function_name)
            raise
        except CancelledError as error:
            raise ServiceException(f"Version {self.function_arn} was stopped") from error
        metrics.count_invocation(
            identity.account, identity.region, identity.function_name, result.is_error, result.logs or ""
        )
        return result


def _without_init_start(log: str) -> str:
    """LogResult has what the init phase printed and not its INIT_START line, which is in the log only.

    https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    """
    return log.partition("\n")[2] if log.startswith("INIT_START ") else log
