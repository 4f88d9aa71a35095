"""Executions that are stopped: ABORTED at once, as on AWS, whatever the task that runs makes of it.

LocalStack lets the task end first, which may take minutes, and takes its failure for the execution's. Replaced:
`Execution.stop` and `BaseExecutionWorkerCommunication.terminated`.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
"""

from datetime import datetime
from typing import Any

from localstack.aws.api.stepfunctions import ExecutionStatus
from localstack.services.stepfunctions.backend.execution import BaseExecutionWorkerCommunication, Execution

from sluice_ext.patching import replace


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def stop(self: Any, stop_date: datetime, error: str | None, cause: str | None) -> None:
        original_stop(self, stop_date=stop_date, error=error, cause=cause)
        if self.exec_status != ExecutionStatus.RUNNING:
            return  # it has ended meanwhile
        self.exec_status, self.stop_date = ExecutionStatus.ABORTED, stop_date
        self.error, self.cause = error, cause
        self.publish_execution_status_change_event()

    def terminated(self: Any) -> None:
        if self.execution.exec_status == ExecutionStatus.RUNNING:
            original_terminated(self)

    original_stop = replace(Execution, "stop", stop, expect="(self, stop_date, error, cause)")
    original_terminated = replace(BaseExecutionWorkerCommunication, "terminated", terminated, expect="(self)")
