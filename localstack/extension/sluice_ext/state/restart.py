"""What a service has beside its store: made again from the store after that has been filled."""

from collections.abc import Callable
from typing import Any

from localstack.services.plugins import SERVICE_PLUGINS


def services(names: list[str]) -> None:
    """Start again what the services run. Functions come before what calls them, executions come last."""
    for name in _ORDER:
        if name in names:
            _ORDER[name](SERVICE_PLUGINS.require(name)._provider)


def overdue(names: list[str], since: float) -> None:
    """Run once what was due between ``since`` (Unix time) and now, and has no clock of its own."""
    if "events" in names:
        from sluice_ext.state import rules

        rules.run_overdue(SERVICE_PLUGINS.require("events")._provider, since)


def _s3(provider: Any) -> None:
    provider.on_after_state_load()  # drops its copy of the buckets' CORS rules


def _sqs(provider: Any) -> None:
    """Message moves that had begun go on, with what is left in the queue."""
    from localstack.services.sqs.models import MessageMoveTaskStatus, sqs_stores

    manager = provider._message_move_task_manager
    for _account, _region, store in sqs_stores.iter_stores():
        for task in store.move_tasks.values():
            manager.move_tasks[task.task_id] = task
            if task.status == MessageMoveTaskStatus.RUNNING:
                moved, count = task.approximate_number_of_messages_moved, task.approximate_number_of_messages_to_move
                manager.submit(task)
                task.approximate_number_of_messages_moved = moved
                task.approximate_number_of_messages_to_move = count


def _lambda(provider: Any) -> None:
    from sluice_ext.state import functions

    functions.restart(provider)


def _events(provider: Any) -> None:
    from sluice_ext.state import rules

    rules.restart(provider)


def _stepfunctions(_provider: Any) -> None:
    from sluice_ext.stepfunctions import checkpoints

    checkpoints.restart()


# Imports are in the functions: a state of few services must not load all of them.
_ORDER: dict[str, Callable[[Any], None]] = {
    "s3": _s3,
    "lambda": _lambda,
    "events": _events,
    "sqs": _sqs,
    "stepfunctions": _stepfunctions,
}
