"""`arn:aws:states:::athena:startQueryExecution.sync`: the state ends with the query, which is its output or its cause.

LocalStack forwards calls to Athena and does not wait for what they start.
Replaced: `StateTaskServiceUnsupported._build_sync_resolver`; its patterns have Sync, too.
https://docs.aws.amazon.com/step-functions/latest/dg/connect-athena.html
"""

from collections.abc import Callable
from typing import Any

from localstack.aws.api.stepfunctions import HistoryEventType, TaskFailedEventDetails
from localstack.services.stepfunctions.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name import StatesErrorName
from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.service import (
    state_task_service_unsupported as forwarding,
)
from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.service.resource import (
    ResourceCondition,
)
from localstack.services.stepfunctions.asl.eval.event.event_detail import EventDetails
from localstack.services.stepfunctions.asl.utils.encoding import to_json_str

from sluice_ext.patching import replace

_UNFINISHED = ("QUEUED", "RUNNING")


def install() -> None:
    """Replace it; raises UnexpectedEngine when LocalStack is not the version we know."""

    def build(
        self: Any, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> Callable[[], Any]:
        if self._get_boto_service_action() != "start_query_execution":
            made: Callable[[], Any] = original(
                self, env, resource_runtime_part, normalised_parameters, state_credentials
            )
            return made
        query = env.stack.pop()["QueryExecutionId"]
        athena = forwarding.boto_client_for(
            service="athena", region=resource_runtime_part.region, state_credentials=state_credentials
        )

        def look() -> Any:
            found = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
            state = found["Status"]["State"]
            if state in _UNFINISHED:
                return None
            if state == "SUCCEEDED":
                return {"QueryExecution": found}
            raise FailureEventException(_failed(self, env, found))

        return look

    expect = "(self, env, resource_runtime_part, normalised_parameters, state_credentials)"
    forwarding._SUPPORTED_INTEGRATION_PATTERNS.add(ResourceCondition.Sync)
    original = replace(forwarding.StateTaskServiceUnsupported, "_build_sync_resolver", build, expect=expect)


def _failed(task: Any, env: Any, query: dict[str, Any]) -> Any:
    details = TaskFailedEventDetails(
        resource=task._get_sfn_resource(),
        resourceType=task._get_sfn_resource_type(),
        error=StatesErrorNameType.StatesTaskFailed.to_name(),
        cause=to_json_str({"QueryExecution": query}),
    )
    return FailureEvent(
        env=env,
        error_name=StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed),
        event_type=HistoryEventType.TaskFailed,
        event_details=EventDetails(taskFailedEventDetails=details),
    )
