"""The calls that functions make about one thing, from the engine's own record."""

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.e2e.support import Pipeline

_MARK: Final = "delay:0"


@contextmanager
def calls_about(pipe: Pipeline, about: list[str], *functions: str) -> Iterator[Counter[tuple[str, str, str]]]:
    """(function, service, operation) and how often it was called while the block ran; filled at the block's end.

    Functions by their names in the stack's outputs ("ingest"). A fault that waits for no time marks the calls that hold
    one of the texts, so what a function still does for an earlier test is not counted; it clears all faults.
    """
    names = {pipe.stack[f"{function}_function"]: function for function in functions}
    before = _record(pipe, 0)["next"]
    counted: Counter[tuple[str, str, str]] = Counter()
    for name in names:
        pipe.set_fault({"function": name, "about": about, "times": 0, "action": _MARK})
    try:
        yield counted
    finally:
        pipe.clear_faults()
    marked = [call for call in _record(pipe, before)["calls"] if call["fault"] == _MARK]
    counted.update((names[call["function"]], call["service"], call["operation"]) for call in marked)


def _record(pipe: Pipeline, since: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"{pipe.stack.endpoint_url}/_sluice/calls?since={since}", timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found
