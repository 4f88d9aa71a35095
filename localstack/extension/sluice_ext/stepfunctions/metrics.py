"""AWS/States metrics of every execution.

https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
"""

from typing import Any

from localstack.services.stepfunctions.backend.execution import BaseExecutionWorkerCommunication, Execution

from sluice_ext.metrics.store import STORE, Metric
from sluice_ext.patching import replace

_ENDS = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def install() -> None:
    """Count the starts and ends of executions."""

    def start(self: Execution) -> None:
        original_start(self)
        _add(self, "ExecutionsStarted", 1)

    def terminated(self: Any) -> None:
        original_terminated(self)
        execution = self.execution
        if name := _ENDS.get(str(execution.exec_status)):
            _add(execution, name, 1)
            seconds = (execution.stop_date - execution.start_date).total_seconds()
            _add(execution, "ExecutionTime", seconds * 1000, "Milliseconds")

    original_start = replace(Execution, "start", start, expect="(self)")
    original_terminated = replace(BaseExecutionWorkerCommunication, "terminated", terminated, expect="(self)")


def _add(execution: Execution, name: str, value: float, unit: str = "Count") -> None:
    dimensions = (("StateMachineArn", execution.state_machine.arn),)
    metric = Metric(execution.account_id, execution.region_name, "AWS/States", name, dimensions)
    STORE.add(metric, value, unit)
