"""JSONata in states: expressions are evaluated by a library in processes of their own, within the bounds of AWS.

LocalStack writes the variables into the text of an expression (a quote in a string breaks it) and gives it to a Java
machine that it downloads. Replaced: the evaluation of expressions, and of the Output of states that can catch errors:
an Output that fails is retried and caught like the task. Errors are States.QueryEvaluationError, with their place, and
have the same words in both of their events (LocalStack's own errors, too).
https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
"""

from typing import Any

from localstack.aws.api.stepfunctions import EvaluationFailedEventDetails, HistoryEventType
from localstack.services.stepfunctions.asl.component.common.catch.catch_outcome import CatchOutcome
from localstack.services.stepfunctions.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name import StatesErrorName
from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from localstack.services.stepfunctions.asl.component.common.string.string_expression import StringJSONata
from localstack.services.stepfunctions.asl.component.state.state import CommonStateField
from localstack.services.stepfunctions.asl.component.state.state_choice.comparison.comparison import (
    ConditionStringJSONata,
)
from localstack.services.stepfunctions.asl.component.state.state_execution.execute_state import ExecutionState
from localstack.services.stepfunctions.asl.component.state.state_execution.state_map.state_map import StateMap
from localstack.services.stepfunctions.asl.component.state.state_execution.state_parallel.state_parallel import (
    StateParallel,
)
from localstack.services.stepfunctions.asl.eval.environment import Environment
from localstack.services.stepfunctions.asl.eval.event.event_detail import EventDetails
from localstack.services.stepfunctions.asl.utils.encoding import to_json_str

from sluice_ext.patching import replace
from sluice_ext.stepfunctions.jsonata import evaluation, places

_TYPES = {str: "string", int: "number", float: "number", bool: "boolean", list: "array", dict: "object"}


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    # The outermost part of a condition is its place, so the check is below it.
    replace(ConditionStringJSONata, "_eval_body", _condition, expect="(self, env)")
    places.install()
    replace(StringJSONata, "_eval_body", _evaluate, expect="(self, env)")

    def with_output(self: Any, env: Environment) -> None:
        try:
            original_execution(self, env)
            if self.output:
                self.output.eval(env)
                env.stack.append(env.states.get_input())
        except FailureEventException as error:
            if isinstance(self, StateParallel):  # does not write what its Catch handles
                _record(env, error)
            raise

    def state_output(self: Any, env: Environment) -> None:
        if self.output and not isinstance(env.stack[-1], CatchOutcome):
            env.stack.pop()  # evaluated with the state
        else:
            original_output(self, env)

    def recorded(self: Any, env: Environment) -> None:
        try:
            original_state(self, env)
        except FailureEventException as error:
            _record(env, error)
            raise

    def made(self: Any, env: Environment, error_name: Any, event_type: Any, event_details: Any = None) -> None:
        original_made(self, env, error_name, event_type, event_details)
        if (details := (event_details or {}).get("evaluationFailedEventDetails")) is not None:
            _name_state(env, details)

    def in_evaluation(self: Any) -> Any:
        return self.failure_event.event_details["evaluationFailedEventDetails"]

    def in_execution(self: Any) -> Any:
        details = (self.failure_event.event_details or {}).get("evaluationFailedEventDetails")
        if details is None:
            return original_details(self)
        return {name: details[name] for name in ("error", "cause")}

    def of_map(self: Any, env: Environment) -> None:
        # Without Items, a Map in JSONata has the state's input.
        if not (self.items or self.items_path or self.item_reader) and not isinstance(env.stack[-1], list):
            value = to_json_str(env.stack[-1], separators=(",", ":"))
            raise failure(env, f"Map state input must be an array but was: {value}")
        original_map(self, env)

    original_execution = replace(ExecutionState, "_evaluate_with_timeout", with_output, expect="(self, env)")
    original_output = replace(ExecutionState, "_eval_state_output", state_output, expect="(self, env)")
    original_state = replace(CommonStateField, "_eval_body", recorded, expect="(self, env)")
    original_details = replace(
        FailureEventException, "get_execution_failed_event_details", in_execution, expect="(self)"
    )
    replace(FailureEventException, "get_evaluation_failed_event_details", in_evaluation, expect="(self)")
    expect = "(self, env, error_name, event_type, event_details)"
    original_made = replace(FailureEvent, "__init__", made, expect=expect)
    original_map = replace(StateMap, "_eval_execution", of_map, expect="(self, env)")


def _evaluate(self: Any, env: Environment) -> None:
    place = places.field(env.next_field_name)
    try:
        env.stack.append(evaluation.evaluate(self.expression, _bindings(env), place))
    except evaluation.QueryFailed as error:
        raise failure(env, str(error), place) from error


def _bindings(env: Environment) -> dict[str, Any]:
    """The variables of an expression: ``states``, and those that the workflow assigned."""
    store = env.variable_store
    # A state that did not get a result yet has none, and no error.
    states = {name: value for name, value in env.states._states_data.items() if name != "errorOutput" or value}
    return {**store._outer_scope, **store._inner_scope, "states": states}


def _condition(self: Any, env: Environment) -> None:
    self.string_jsonata.eval(env=env)
    found = env.stack[-1]
    if not isinstance(found, bool):
        place = places.field("Condition")
        kind = _TYPES.get(type(found), "null")
        raise failure(
            env,
            f"The JSONata expression '{self.string_jsonata.expression}' specified for the field '{place}' returned an "
            f"unexpected result type. Expected 'boolean', but was '{kind}'.",
            place,
        )


def failure(env: Environment, cause: str, place: str = "") -> FailureEventException:
    """The error of an expression, or of what it gives."""
    error = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    details = EvaluationFailedEventDetails(error=error.error_name, cause=cause)
    if place:
        details["location"] = place
    event_details = EventDetails(evaluationFailedEventDetails=details)
    return FailureEventException(
        FailureEvent(
            env=env, error_name=error, event_type=HistoryEventType.EvaluationFailed, event_details=event_details
        )
    )


def _name_state(env: Environment, details: EvaluationFailedEventDetails) -> None:
    """The state, and a cause that names it and the event of its begin."""
    state = env.next_state_name
    begin = f"An error occurred while executing the state '{state}' (entered at the event id #{_entered(env, state)})."
    details.update(state=state, cause=f"{begin} {details['cause']}")


def _entered(env: Environment, state: str | None) -> int:
    for event in reversed(env.event_manager._history_event_list):
        if event.get("stateEnteredEventDetails", {}).get("name") == state:
            return int(event["id"])
    return int(env.event_history_context.source_event_id)


def _record(env: Environment, error: FailureEventException) -> None:
    """EvaluationFailed is in the history once: states that can retry have written it, others have not."""
    details = (error.failure_event.event_details or {}).get("evaluationFailedEventDetails")
    if details is None:
        return
    events = env.event_manager._history_event_list
    if not any(event.get("evaluationFailedEventDetails") is details for event in reversed(events)):
        env.event_manager.add_event(
            context=env.event_history_context,
            event_type=HistoryEventType.EvaluationFailed,
            event_details=error.failure_event.event_details,
        )
