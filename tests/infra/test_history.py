"""No workflow can reach the 25,000 events of a history, even when every task uses all its tries.

https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-history-limit
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest

from core.replay.steps import MAX_BATCHES
from sluice.paths import ROOT
from sluice_pipeline.waits import MAX_LOOKS
from tests.infra.test_workflow import WORKFLOWS, Resources, definition

Machine = dict[str, Any]
MAX_EVENTS = 25_000
# A file that is replaced while it is tested or loaded sends its run back; redrives are done by people.
REPEATS = 20
GATE_OBJECTS = int(re.search(r"batch_size\s+= (\d+)", (ROOT / "infra/stack/branch_quality.tf").read_text())[1])  # type: ignore[index]

# Items of each Map, and how often each state of a loop is entered.
ITEMS = {"Requeue": MAX_BATCHES, "Objects": GATE_OBJECTS, "Verdicts": GATE_OBJECTS}
LOOPS: dict[str, dict[str, int]] = {
    "replay": dict.fromkeys(("Check", "Ended", "Wait"), MAX_LOOKS + 1),
    "checkins": dict.fromkeys(("Transform", "TransformEnded", "Wait"), MAX_LOOKS + REPEATS)
    | dict.fromkeys(("Test", "TestEnded", "Load", "LoadEnded"), REPEATS),
}


def successors(state: Machine) -> Iterable[str]:
    for part in (state, *state.get("Choices", ()), *state.get("Catch", ())):
        if "Next" in part:
            yield part["Next"]
    if "Default" in state:
        yield state["Default"]


def reachable(machine: Machine, start: str) -> set[str]:
    """The states that may come after this one."""
    found: set[str] = set()
    waiting = list(successors(machine["States"][start]))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(successors(machine["States"][name]))
    return found


def loop(machine: Machine) -> set[str]:
    """The states that may come again."""
    return {name for name in machine["States"] if name in reachable(machine, name)}


def events(name: str, state: Machine) -> int:
    """The most events of one visit."""
    if state["Type"] == "Task":
        tries = 1 + sum(retrier.get("MaxAttempts", 3) for retrier in state.get("Retry", ()))
        # Entered and exited; scheduled, started, submitted and ended for each try.
        return 2 + tries * (4 if ".sync" in state["Resource"] else 3)
    if state["Type"] == "Map":
        inside = state["ItemProcessor"]
        assert not loop(inside)
        return 4 + ITEMS[name] * (2 + sum(events(n, s) for n, s in inside["States"].items()))
    return 1 if state["Type"] == "Fail" else 2


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_no_history_can_be_full(mocked_resources: Resources, workflow: str) -> None:
    machine, name = definition(mocked_resources, workflow), re.findall(r"module\.(\w+)\[", workflow)[0]
    again = loop(machine)
    visits = LOOPS.get(name, {})
    if name == "taxi":  # a redriven execution goes on at the state that failed, and has the same history
        visits = dict.fromkeys(again, REPEATS)
    assert set(visits) == again, "the table above names the states of every loop"
    maximum = 2 + sum(visits.get(n, 1) * events(n, state) for n, state in machine["States"].items())
    assert maximum < MAX_EVENTS, json.dumps({n: visits.get(n, 1) * events(n, s) for n, s in machine["States"].items()})


def test_a_loop_waits_for_what_its_function_says(mocked_resources: Resources) -> None:
    """The number of looks is that of `next_wait`."""
    for workflow in WORKFLOWS:
        machine = definition(mocked_resources, workflow)
        for name in loop(machine):
            state = machine["States"][name]
            if state["Type"] == "Wait":
                assert state["SecondsPath"].endswith(".wait_seconds"), name
