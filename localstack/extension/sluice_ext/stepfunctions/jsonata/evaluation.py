"""Asks the workers: an expression and its variables go in, a value or the reason of a failure comes out."""

import threading
from collections.abc import Mapping
from typing import Any, Final

from sluice_ext.athena.workers import WorkerLost, Workers

_MODULE: Final = "sluice_ext.stepfunctions.jsonata.worker"
# The worker refuses after 5 s. One that does not answer is in a call that checks nothing, such as a regular expression.
_MAX_SECONDS: Final = 7.0
_STOPPED: Final = "Expression evaluation timeout: 5 seconds. Check for infinite loop"

WORKERS: Final = Workers(_MODULE)
# A Map may evaluate forty expressions at once; they take turns in as many processes as this.
_TURNS: Final = threading.BoundedSemaphore(4)


class QueryFailed(Exception):
    """An expression failed; the text says why, in the words that follow "The JSONata expression '...' "."""


def evaluate(expression: str, bindings: Mapping[str, Any], field: str) -> Any:
    """The value of a JSONata expression. ``field``: where it stands in its state. Raises QueryFailed."""
    subject = f"The JSONata expression '{expression}' specified for the field '{field}'"
    with _TURNS:
        answer = _ask({"expression": expression, "bindings": dict(bindings)})
    if "value" in answer:
        return answer["value"]
    if "undefined" in answer:
        raise QueryFailed(f"{subject} returned nothing (undefined).")
    if "unsupported" in answer:
        raise QueryFailed(f"{subject} returned an unsupported result type.")
    raise QueryFailed(f"{subject} threw an error during evaluation. {answer['failed']}")


def _ask(message: dict[str, Any]) -> dict[str, Any]:
    worker = WORKERS.take()
    late = threading.Timer(_MAX_SECONDS, worker.kill)
    late.start()
    try:
        answer = worker.ask(message)
    except WorkerLost:
        WORKERS.give_back(worker, lost=True)
        return {"failed": _STOPPED}
    finally:
        late.cancel()
    WORKERS.give_back(worker)
    return answer
