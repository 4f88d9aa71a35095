"""Every call of the start and of the look for a month is broken in four ways: one attempt, one next try, one notice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest

from sluice.engine.instance import Instance
from sluice.pipeline.stack import Stack
from taxi.month import Month
from tests.support.changes import timeouts
from tests.support.pipeline import Pipeline, until
from tests.support.sweep import Outcome, RecordProperty, Scenario, assert_all_survive
from tests.support.taxi import SECONDS, Taxi, any_month, served

pytestmark = [pytest.mark.sweep, pytest.mark.usefixtures("taxi_deployed", "embedded_only")]


class Unpublished(Scenario):
    """A month that is not published, started as a schedule does: asynchronously, so that Lambda tries again."""

    branch = "taxi"
    functions = ("taxi", "taxi_steps")

    def __init__(self, pipe: Pipeline, taxi: Taxi) -> None:
        super().__init__(pipe)
        self.taxi = taxi
        self.months: dict[str, Month] = {}

    def prepare(self, names: Sequence[str]) -> None:
        for name in names:
            while (month := any_month()) in self.months.values() or self.taxi.attempts(month):
                pass
            self.months[name] = month

    def about(self, name: str) -> list[str]:
        return [str(self.months[name])]

    def start(self, name: str) -> None:
        event = {"month": str(self.months[name]), "source_url": self.taxi.server.url}
        self.pipe.stack.client("lambda").invoke(
            FunctionName=self.pipe.stack["taxi_function"], InvocationType="Event", Payload=json.dumps(event).encode()
        )

    def wait(self, names: Collection[str]) -> None:
        for name in names:
            month = self.months[name]
            until(f"the attempt of {name}", lambda month=month: self.taxi.attempts(month), SECONDS)
            self.taxi.ended(f"{month}-1")
            until("the notice", lambda month=month: self.taxi.notices(f"{month}-1"))

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        waiting = {one["name"] for one in self.taxi.months.waiting()}
        return [self._outcome(self.months[name], waiting) for name in names]

    def _outcome(self, month: Month, waiting: set[str]) -> Outcome:
        attempts = [self.taxi.months.get(batch) for batch in self.taxi.attempts(month)]
        state = {
            "attempts": [(one.batch.removeprefix(f"{month}-"), one.status, one.outcome) for one in attempts],
            "next tries": sum(name.startswith(f"{month}-") for name in waiting),
        }
        return Outcome(state, Counter(str(one["kind"]) for one in self.taxi.notices(f"{month}-1")))


@pytest.fixture
def scenario(breakable: Pipeline, instance: Instance, tmp_path: Path) -> Iterator[Unpublished]:
    with timeouts(breakable, taxi=8, taxi_steps=8), served(breakable, instance, tmp_path) as taxi:
        yield Unpublished(breakable, taxi)
        breakable.clear_faults()
        clear_schedules(breakable.stack)


def clear_schedules(stack: Stack) -> None:
    """They would start months of other suites tomorrow."""
    scheduler, group = stack.client("scheduler"), stack["taxi_schedule_group"]
    for page in scheduler.get_paginator("list_schedules").paginate(GroupName=group):
        for one in page["Schedules"]:
            scheduler.delete_schedule(GroupName=group, Name=one["Name"])


def test_no_call_that_dies_loses_or_doubles_an_attempt(scenario: Unpublished, record_property: RecordProperty) -> None:
    sweep = assert_all_survive(scenario, record_property)
    assert sweep.expected.state == {"attempts": [("1", "SUCCEEDED", "unpublished")], "next tries": 1}
    assert sweep.expected.sent == {"taxi.unpublished": 1}
    assert {function for function, _, _ in sweep.calls.named} == {"taxi", "taxi_steps"}
