"""An execution has 25,000 events: the last one says that the execution failed of it.

LocalStack's history has no end. Replaced: the adding of events, and the error that an execution ends with.
https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-history-limit
"""

from typing import Any, Final

from localstack.aws.api.stepfunctions import ExecutionFailedEventDetails, HistoryEventType
from localstack.services.stepfunctions.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name import StatesErrorName
from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from localstack.services.stepfunctions.asl.eval.environment import Environment
from localstack.services.stepfunctions.asl.eval.event.event_detail import EventDetails
from localstack.services.stepfunctions.asl.eval.event.event_manager import EventManager

from sluice_ext.patching import replace

MAX_EVENTS: Final = 25_000
_ENDS: Final = (
    HistoryEventType.ExecutionSucceeded,
    HistoryEventType.ExecutionFailed,
    HistoryEventType.ExecutionAborted,
    HistoryEventType.ExecutionTimedOut,
)
_ERROR: Final = StatesErrorNameType.StatesRuntime
_DETAILS: Final = ExecutionFailedEventDetails(
    error="States.Runtime", cause=f"The execution reached the maximum number of history events ({MAX_EVENTS})."
)


class HistoryFull(FailureEventException):  # type: ignore[misc]
    """There is no place for another event than the one that ends the execution."""

    def __init__(self) -> None:
        event = FailureEvent.__new__(FailureEvent)
        vars(event).update(
            state_name=None,
            source_event_id=0,
            error_name=StatesErrorName(typ=_ERROR),
            event_type=HistoryEventType.ExecutionFailed,
            event_details=EventDetails(executionFailedEventDetails=_DETAILS),
        )
        super().__init__(event)

    def get_execution_failed_event_details(self) -> ExecutionFailedEventDetails:
        """As on AWS, the cause names no state."""
        return _DETAILS


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def add_event(
        self: Any,
        context: Any,
        event_type: HistoryEventType,
        event_details: EventDetails | None = None,
        timestamp: Any = None,
        update_source_event_id: bool = True,
    ) -> int:
        if self._event_id_gen._next_id >= MAX_EVENTS and event_type not in _ENDS and not _is_express(self):
            _end(self)
            raise HistoryFull
        with self._mutex:
            if self._event_id_gen._next_id >= MAX_EVENTS and event_type not in _ENDS and not _is_express(self):
                raise HistoryFull  # another thread was quicker, and the next event is the end
            event_id: int = self._event_id_gen.get()
            event = {
                "event_id": event_id,
                "source_event_id": context.source_event_id,
                "event_type": event_type,
                "timestamp": timestamp or self._get_current_timestamp(),
                "event_details": event_details,
            }
            context.last_published_event_id = event_id
            if update_source_event_id:
                context.source_event_id = event_id
            self._publish_history_event(**event)
            self._publish_history_log(**event)
            return event_id

    def build(self: Any, aws_execution_details: Any, execution_type: Any, *rest: Any, **options: Any) -> None:
        original_build(self, aws_execution_details, execution_type, *rest, **options)
        self.event_manager.sluice_env, self.event_manager.sluice_type = self, execution_type

    def set_error(self: Any, error: ExecutionFailedEventDetails) -> None:
        # A Map or Parallel gives an error of its own for one of its branches.
        original_error(self, error=_DETAILS if self.event_manager.sluice_full else error)

    expect = "(self, context, event_type, event_details, timestamp, update_source_event_id)"
    EventManager.sluice_full, EventManager.sluice_env, EventManager.sluice_type = False, None, None
    replace(EventManager, "add_event", add_event, expect=expect)
    original_error = replace(Environment, "set_error", set_error, expect="(self, error)")
    original_build = replace(Environment, "__init__", build)


def _is_express(manager: Any) -> bool:
    """An express execution has five minutes, and no history that could be full."""
    return bool(manager.sluice_type == "EXPRESS")


def _end(manager: Any) -> None:
    """Every branch ends, also one that waits; the execution writes its last event."""
    manager.sluice_full = True
    # A child of a distributed Map has none: its own loop ends with the error.
    if manager.sluice_env is not None:
        manager.sluice_env.set_error(error=_DETAILS)
