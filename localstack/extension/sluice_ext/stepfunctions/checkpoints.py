"""Executions that survive a restart of the engine: a checkpoint at every state, from which an execution goes on.

LocalStack evaluates an execution in threads, which cannot be saved. What is saved is the state that the execution is
in, that state's input, the variables, and the history. After a restart

- a Wait state waits for what is left of its time;
- any other state that was interrupted begins again (a Map or Parallel as a whole, a Task with its attempts counted
  from 0); ``ExecutionRedriven`` in the history shows it, as on AWS after RedriveExecution:
  https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
- an EXPRESS execution that ran is ABORTED: its caller is gone.
"""

import threading
import time
from datetime import UTC, datetime
from typing import Any

from localstack.aws.api.stepfunctions import ExecutionStatus, HistoryEventType, StateMachineType
from localstack.services.stepfunctions.asl.component.eval_component import EvalComponent
from localstack.services.stepfunctions.asl.component.state.state import CommonStateField
from localstack.services.stepfunctions.asl.component.state.state_execution.state_map.state_map import StateMap
from localstack.services.stepfunctions.asl.component.state.state_execution.state_parallel.state_parallel import (
    StateParallel,
)
from localstack.services.stepfunctions.asl.component.state.state_wait.state_wait import StateWait
from localstack.services.stepfunctions.asl.component.state.state_wait.wait_function.wait_function import WaitFunction
from localstack.services.stepfunctions.asl.eval.environment import Environment
from localstack.services.stepfunctions.asl.eval.event.logging import CloudWatchLoggingSession
from localstack.services.stepfunctions.asl.eval.program_state import ProgramEnded
from localstack.services.stepfunctions.backend.execution import Execution
from localstack.services.stepfunctions.backend.store import sfn_stores

from sluice_ext.patching import UnexpectedEngine, plain_signature, replace
from sluice_ext.pausing import GATE

# They hold other states, which are looked at themselves, or only wait.
_NOT_WAITED_FOR = (StateMap, StateParallel, StateWait)


def install() -> None:
    """Replace what is needed; raises UnexpectedEngine when LocalStack is not the version we know."""
    if (found := plain_signature(CommonStateField.eval)) != "(self, env)" or "eval" in vars(CommonStateField):
        raise UnexpectedEngine(f"CommonStateField.eval takes {found}; this extension needs localstack-core 4.14.0")
    CommonStateField.eval = _eval_state
    replace(WaitFunction, "_eval_body", _wait, expect="(self, env)")
    Execution.__getstate__ = _saved


def _eval_state(self: Any, env: Environment) -> None:
    """Evaluate a state of a program: remember where the execution is, and do not begin during a pause."""
    if not env.is_frame():
        env.sluice_checkpoint = {
            "state": self.name,
            # LocalStack replaces an input, and never changes it.
            "input": env.states._states_data["input"],
            "variables": dict(env.variable_store._inner_scope),
            "events": len(env.event_manager._history_event_list),
            "source_event": env.event_history_context.source_event_id,
            "wait_until": None,
        }
    with GATE.work(f"state {self.name}", source=True):
        pass
    # A Task that waits for a callback or another service's job would be waited for in vain.
    waits = isinstance(self, _NOT_WAITED_FOR) or getattr(getattr(self, "resource", None), "condition", None)
    with GATE.aside("" if waits else f"state {self.name}"):
        EvalComponent.eval(self, env)


def _wait(self: Any, env: Environment) -> None:
    seconds = self._get_wait_seconds(env=env)
    checkpoint = getattr(env, "sluice_checkpoint", None)
    until = time.time() + seconds
    if checkpoint is not None:
        until = getattr(env, "sluice_wait_until", None) or until
        env.sluice_wait_until = None
        checkpoint["wait_until"] = until
    # LocalStack's own loop counts whole seconds, and never ends with a part of one.
    while env.is_running() and (left := until - time.time()) > 0:
        env.program_state_event.wait(left)


def _saved(self: Any) -> dict[str, Any]:
    """What is saved of an execution (see `object.__getstate__`)."""
    state = {name: value for name, value in vars(self).items() if name not in ("exec_worker", "sluice_saved")}
    session = state["_cloud_watch_logging_session"]
    state["_cloud_watch_logging_session"] = session and session.configuration
    env = self.exec_worker.env if self.exec_worker else None
    if env is None:
        return state | {"sluice_saved": None}
    manager, context = env.event_manager, env.event_history_context
    with manager._mutex:
        events = list(manager._history_event_list)
        ids = (context.source_event_id, context.last_published_event_id)
    return state | {
        "sluice_saved": {
            "events": events,
            "ids": ids,
            "checkpoint": getattr(env, "sluice_checkpoint", None),
            "map_runs": env.map_run_record_pool_manager,
        }
    }


def restart() -> None:
    """Give every restored execution its history, and let those go on that ran."""
    for _account, _region, store in sfn_stores.iter_stores():
        for execution in store.executions.values():
            saved = vars(execution).pop("sluice_saved", None)
            if configuration := execution._cloud_watch_logging_session:
                execution._cloud_watch_logging_session = CloudWatchLoggingSession(execution.exec_arn, configuration)
            worker = execution.exec_worker = execution._get_start_execution_worker()
            env = worker.env = worker._get_evaluation_environment()
            if saved:
                _restore_history(env, saved["events"], saved["ids"])
                env.map_run_record_pool_manager = saved["map_runs"]
                env.sluice_checkpoint = saved["checkpoint"]  # where a redrive begins
            if execution.exec_status != ExecutionStatus.RUNNING:
                env._program_state = ProgramEnded()  # a status is shown as it was saved
            elif execution.sm_type == StateMachineType.EXPRESS:
                env._program_state = ProgramEnded()
                execution.exec_status, execution.stop_date = ExecutionStatus.ABORTED, datetime.now(UTC)
                execution.cause = "The engine was stopped while the execution ran"
            elif saved is None or saved["checkpoint"] is None:
                # It had not come to its first state.
                worker.start()
            else:
                _go_on(execution, saved)


def _restore_history(env: Environment, events: list[Any], ids: tuple[int, int]) -> None:
    env.event_manager._history_event_list[:] = events
    env.event_manager._event_id_gen._next_id = len(events) + 1
    env.event_history_context.source_event_id, env.event_history_context.last_published_event_id = ids


def _go_on(execution: Execution, saved: dict[str, Any]) -> None:
    env, checkpoint = execution.exec_worker.env, saved["checkpoint"]
    env.states.reset(checkpoint["input"])
    for name, value in checkpoint["variables"].items():
        env.variable_store.set(name, value)
    env.variable_store.reset_tracing()
    until = checkpoint["wait_until"]
    if until is not None:
        _enter_again(env, saved["events"], checkpoint)
        env.sluice_wait_until = until
    elif len(saved["events"]) > checkpoint["events"]:
        env.event_manager.add_event(
            context=env.event_history_context,
            event_type=HistoryEventType.ExecutionRedriven,
            event_details={"executionRedrivenEventDetails": {"redriveCount": 1}},
        )
    threading.Thread(target=_run, args=(execution, checkpoint["state"]), name="execution", daemon=True).start()


def _enter_again(env: Environment, events: list[Any], checkpoint: dict[str, Any]) -> None:
    """The Wait state is entered once more, and this event takes the place of the first one."""
    kept = events[: checkpoint["events"]]
    _restore_history(env, kept, (checkpoint["source_event"], len(kept)))
    manager, entered = env.event_manager, events[checkpoint["events"]]["timestamp"]
    add_event = manager.add_event

    def first(**event: Any) -> Any:
        del manager.add_event
        return add_event(**event | {"timestamp": entered})

    manager.add_event = first


def go_on(execution: Execution, checkpoint: dict[str, Any] | None, since: datetime) -> None:
    """An execution with a new worker begins the state of the checkpoint, or its first one, as at ``since``."""
    env = execution.exec_worker.env
    state = checkpoint["state"] if checkpoint else None
    if checkpoint is not None:
        env.states.reset(checkpoint["input"])
        for name, value in checkpoint["variables"].items():
            env.variable_store.set(name, value)
        env.variable_store.reset_tracing()
    threading.Thread(target=_run, args=(execution, state, since), name="execution", daemon=True).start()


def _run(execution: Execution, state: str | None, since: datetime | None = None) -> None:
    worker, env = execution.exec_worker, execution.exec_worker.env
    program = worker._get_evaluation_entrypoint()
    env.next_state_name = state or program.start_at.start_at_name
    left = None
    if program.timeout_seconds:
        age = (datetime.now(UTC) - (since or execution.start_date)).total_seconds()
        left = max(0.0, program.timeout_seconds.timeout_seconds - age)
    thread = threading.Thread(target=EvalComponent.eval, args=(program, env), name="execution-states", daemon=True)
    thread.start()
    thread.join(timeout=left)
    if thread.is_alive():
        env.set_timed_out()
    worker._execution_communication.terminated()
