"""One execution environment: a process of a function, with its credentials and variables.

Replaces LocalStack's ExecutionEnvironment.
"""

import time
from datetime import datetime

from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment, RuntimeStatus
from localstack.services.lambda_.invocation.lambda_models import Invocation, InvocationResult
from localstack.utils.strings import to_str
from localstack.utils.xray.trace_header import TraceHeader

from sluice_ext.caller import functions
from sluice_ext.executor import environment


class Environment(ExecutionEnvironment):  # type: ignore[misc]
    """One execution environment. The pool owns its status; LocalStack's timers are not used."""

    last_used = 0.0

    def start(self) -> None:
        """Launch the process."""
        credentials = self.get_credentials()
        version = self.function_version
        caller = functions.Caller(
            version.id.function_name, version.id.unqualified_arn(), version.config.role, self.runtime_executor
        )
        functions.remember(credentials["AccessKeyId"], caller)
        values = environment.variables(
            version,
            log_group=self.get_log_group_name(),
            log_stream=self.get_log_stream_name(),
            initialization=str(self.initialization_type),
            credentials=credentials,
        )
        self.runtime_executor.start(values)

    def stop(self) -> None:
        """Kill the process; an invocation that is running ends with an error."""
        self.status = RuntimeStatus.STOPPED
        functions.forget(self.runtime_executor)
        self.runtime_executor.stop()

    def release(self) -> None:
        """The invocation has ended: the environment is ready for the next one."""
        self.last_returned = datetime.now()
        self.last_used = time.monotonic()
        if self.status == RuntimeStatus.INVOKING:
            self.status = RuntimeStatus.READY

    def invoke(self, invocation: Invocation) -> InvocationResult:
        """Run one event in this environment."""
        trace = invocation.trace_context.get("aws_trace_header") or TraceHeader().ensure_root_exists()
        trace.ensure_sampled_exists()
        trace.ensure_parent_exists()
        payload = {
            "invoke-id": invocation.request_id,
            "invoked-function-arn": invocation.invoked_arn,
            "payload": to_str(invocation.payload),
            "trace-id": trace.to_header_str(),
            "client-context": invocation.client_context or "",
        }
        return self.runtime_executor.invoke(payload)
