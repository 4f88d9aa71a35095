"""Map states: failures beyond the tolerated ones fail a Map Run, and any number of items is worked through.

LocalStack's distributed Map succeeds whatever its children do, its workers call themselves for every item (a thousand
items overflow the stack, and the state hangs), it starts a thread for every item, and it refuses a percentage without
a decimal point. Replaced: the loops of the workers, the run of a distributed Map, the reading of the percentage.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-map-process-modes.html
https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html#maprun-fail-threshold
"""

from typing import Any, Final

from localstack.aws.api.stepfunctions import ExecutionFailedEventDetails, HistoryEventType
from localstack.services.stepfunctions.asl.antlr.runtime.ASLParser import ASLParser
from localstack.services.stepfunctions.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name import StatesErrorName
from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from localstack.services.stepfunctions.asl.component.state.state_execution.state_map.iteration import (
    distributed_iteration_component,
    inline_iteration_component,
    iteration_worker,
)
from localstack.services.stepfunctions.asl.component.state.state_execution.state_map.iteration.itemprocessor import (
    distributed_item_processor_worker,
    map_run_record,
)
from localstack.services.stepfunctions.asl.component.state.state_execution.state_map.iteration.job import JobPool
from localstack.services.stepfunctions.asl.component.state.state_execution.state_map.state_map import StateMap
from localstack.services.stepfunctions.asl.component.state.state_execution.state_map.tolerated_failure import (
    ToleratedFailureCountDecl,
    ToleratedFailureCountInt,
    ToleratedFailurePercentage,
    ToleratedFailurePercentageDecl,
)
from localstack.services.stepfunctions.asl.eval.event.event_detail import EventDetails
from localstack.services.stepfunctions.asl.parse.preprocessor import Preprocessor

from sluice_ext.patching import replace

MAX_INLINE: Final = 40
# AWS runs up to 10,000 children at once; here each is a thread.
MAX_DISTRIBUTED: Final = 100
_EXCEEDED: Final = StatesErrorNameType.StatesExceedToleratedFailureThreshold


class _UnsetCount(int):
    """The count of a state that names none."""


class _UnsetPercentage(float):
    """The percentage of a state that names none."""


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def from_props(self: Any, state_props: Any) -> None:
        original_props(self, state_props)
        if state_props.get(ToleratedFailureCountDecl) is None:
            self.tolerated_failure_count_decl = ToleratedFailureCountInt(_UnsetCount(0))
        if state_props.get(ToleratedFailurePercentageDecl) is None:
            self.tolerated_failure_percentage_decl = ToleratedFailurePercentage(_UnsetPercentage(0))

    def inline(self: Any, env: Any) -> None:
        if not isinstance(self, distributed_iteration_component.DistributedIterationComponent):
            found = env.stack[-1]
            found.max_concurrency = _workers(found.max_concurrency, len(found.input_items), MAX_INLINE)
        original_inline(self, env)

    def percentage(self: Any) -> Any:
        number = self._input.LT(3)
        if self._input.LA(1) == ASLParser.TOLERATEDFAILUREPERCENTAGE and number.type == ASLParser.INT:
            number.type = ASLParser.NUMBER
        return original_percentage(self)

    def checked(self: Any, ctx: Any) -> Any:
        found = original_number(self, ctx)
        if not 0 <= found.tolerated_failure_percentage <= 100:
            raise ValueError("ToleratedFailurePercentage must be between 0 and 100.")
        return found

    def describe(self: Any) -> Any:
        found = original_describe(self)
        # LocalStack takes only those that succeeded out of the running executions; each has one item.
        found["executionCounts"]["running"] = found["itemCounts"]["running"]
        return found

    original_describe = replace(map_run_record.MapRunRecord, "describe", describe, expect="(self)")
    original_props = replace(StateMap, "from_state_props", from_props, expect="(self, state_props)")
    component = inline_iteration_component.InlineIterationComponent
    original_inline = replace(component, "_eval_body", inline, expect="(self, env)")
    original_percentage = replace(ASLParser, "tolerated_failure_percentage_decl", percentage, expect="(self)")
    original_number = replace(Preprocessor, "visitTolerated_failure_percentage_number", checked, expect="(self, ctx)")
    distributed = distributed_iteration_component.DistributedIterationComponent
    replace(distributed, "_map_run", _map_run, expect="(self, env, eval_input)")
    expect = "(self, job, worker_frame)"
    replace(iteration_worker.IterationWorker, "_eval_pool", _inline_pool, expect=expect)
    worker = distributed_item_processor_worker.DistributedItemProcessorWorker
    replace(worker, "_eval_pool", _distributed_pool, expect=expect)


def _workers(wanted: int, items: int, maximum: int) -> int:
    """How many work at once: as many as wanted (0: as many as can), and no more than there are items."""
    return max(1, min(wanted or maximum, maximum, items))


def _inline_pool(self: Any, job: Any, worker_frame: Any) -> None:
    while job is not None:
        frame = worker_frame.open_inner_frame()
        self._eval_job(env=frame, job=job)
        worker_frame.close_frame(frame)
        following = None
        if not isinstance(job.job_output, Exception) and not self.stopped():
            following = self._job_pool.next_job()
            if following is None:
                # The last event of the last iteration is the source of the state that follows.
                context = worker_frame.event_history_context
                context.source_event_id = frame.event_history_context.last_published_event_id
        if following is None:
            # The state goes on when its last job is closed, so the frame is closed before.
            self._env.close_frame(worker_frame)
        self._job_pool.close_job(job)
        if following is None:
            return
        job = following
    self._env.close_frame(worker_frame)


def _distributed_pool(self: Any, job: Any, worker_frame: Any) -> None:
    while job is not None:
        frame = worker_frame.open_inner_frame()
        self._eval_job(env=frame, job=job)
        worker_frame.delete_frame(frame)
        if exceeds(self._map_run_record, self._job_pool._jobs_number):
            job.job_output = _failure(self._env)
        ends = isinstance(job.job_output, Exception) or self.stopped()
        following = None if ends else self._job_pool.next_job()
        if following is None:
            self._env.delete_frame(worker_frame)
        self._job_pool.close_job(job)
        if following is None:
            return
        job = following
    self._env.delete_frame(worker_frame)


def exceeds(record: Any, total: int) -> bool:
    """Whether more children failed or timed out than a Map Run tolerates. A limit that is not set does not count,
    and without any the first failure is one too many."""
    failed = record.item_counter.failed.get() + record.item_counter.timed_out.get()
    count, percentage = record.tolerated_failure_count, record.tolerated_failure_percentage
    by_count = failed > count
    by_percentage = total > 0 and failed * 100 / total > percentage
    if isinstance(count, _UnsetCount) and isinstance(percentage, _UnsetPercentage):
        return bool(failed > 0)
    if isinstance(count, _UnsetCount):
        return bool(by_percentage)
    return bool(by_count) or (bool(by_percentage) and not isinstance(percentage, _UnsetPercentage))


def _failure(env: Any) -> FailureEventException:
    details = ExecutionFailedEventDetails(
        error=_EXCEEDED.to_name(), cause="The specified tolerated failure threshold was exceeded"
    )
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=StatesErrorName(typ=_EXCEEDED),
            event_type=HistoryEventType.TaskFailed,
            event_details=EventDetails(executionFailedEventDetails=details),
        )
    )


def _map_run(self: Any, env: Any, eval_input: Any) -> None:
    items, record = env.stack.pop(), eval_input.map_run_record
    pool = JobPool(job_program=self._get_iteration_program(), job_inputs=items)
    for _ in range(_workers(record.max_concurrency, len(items), MAX_DISTRIBUTED)):
        self._launch_worker(env=env, eval_input=eval_input, job_pool=pool)
    pool.await_jobs()
    if (error := pool.get_worker_exception()) is not None:
        raise error
    env.stack.append([job.job_output for job in pool.get_closed_jobs()])
