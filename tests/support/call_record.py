"""The calls that functions make while a scenario runs, from the engine's own record."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.pipeline import Pipeline

type Operation = tuple[str, str, str]
"""Function (as in the stack's outputs: ``ingest``), service, operation."""

RETURN: Final = ("lambda", "Return")
"""A function's answer to the Lambda service, as fault control names it."""

_MARK: Final = "delay:0"


@dataclass
class Calls:
    """How often each operation was called.

    ``named`` calls hold one of the texts that name the copy in their parameters, ``unnamed`` calls hold none.
    ``answers`` counts the answers of each function to events about the copy.
    """

    named: Counter[Operation] = field(default_factory=Counter)
    unnamed: Counter[Operation] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)


@contextmanager
def recorded(pipe: Pipeline, about: list[str], *functions: str) -> Iterator[Calls]:
    """The calls of these functions while the block runs; filled at the block's end.

    Faults that wait for no time mark the calls that hold one of the texts. All faults are cleared at the end. Unnamed
    calls are those of all copies, so nothing else may use the functions meanwhile.
    """
    names = {pipe.stack[f"{function}_function"]: function for function in functions}
    before = _record(pipe, 0)["next"]
    calls = Calls()
    for name in names:
        mark = {"function": name, "about": about, "times": 0, "action": _MARK}
        pipe.set_fault(mark)
        pipe.set_fault(mark | {"service": RETURN[0], "operation": RETURN[1]})
    try:
        yield calls
        for fault in pipe.faults():
            if fault["operation"] == RETURN[1]:
                calls.answers[names[fault["function"]]] += fault["hits"]
    finally:
        pipe.clear_faults()
    for call in _record(pipe, before)["calls"]:
        if call["function"] in names:
            part = calls.named if call["fault"] == _MARK else calls.unnamed
            part[names[call["function"]], call["service"], call["operation"]] += 1


def _record(pipe: Pipeline, since: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"{pipe.stack.endpoint_url}/_sluice/calls?since={since}", timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found
