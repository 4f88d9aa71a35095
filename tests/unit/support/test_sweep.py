"""The crash sweep's planning and judging, without an engine."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, cast

import pytest

from tests.support import sweep
from tests.support.call_record import Calls
from tests.support.pipeline import Pipeline
from tests.support.sweep import WAYS, Call, Outcome, Plan, Point, Result, Scenario, Sweep, plan

READ, WRITE, LOGIN = ("load", "s3", "GetObject"), ("load", "dynamodb", "UpdateItem"), ("load", "sts", "Login")


def calls() -> Calls:
    return Calls(Counter({READ: 2, WRITE: 1}), Counter({LOGIN: 1}), Counter({"load": 1}))


def test_every_call_is_broken_in_all_four_ways_and_every_answer_is_killed() -> None:
    points = plan(calls())
    assert set(points.points) == {
        *(Point(Call(*WRITE), way) for way in WAYS),
        *(Point(Call(*READ, nth), way) for nth in (1, 2) for way in WAYS),
        *(Point(Call(*LOGIN, named=False), way) for way in WAYS),
        Point(Call("load", "lambda", "Return"), "kill-after"),
    }
    assert len(set(points.points)) == len(points.points) == 4 * 4 + 1


def test_in_rotation_every_call_is_broken_once_and_each_way_comes_in_turn() -> None:
    points = plan(calls(), ways=1)
    broken = [point for point in points.points if not point.call.is_answer]
    assert [point.call for point in broken] == [Call(*WRITE), Call(*READ, 1), Call(*READ, 2), Call(*LOGIN, named=False)]
    assert {point.way for point in broken} == set(WAYS)


def test_in_two_ways_every_call_is_killed_and_meets_an_error_or_a_wait() -> None:
    ways: dict[Call, set[str]] = {}
    for point in plan(calls(), ways=2).points:
        ways.setdefault(point.call, set()).add(point.way)
    broken = [found for call, found in ways.items() if not call.is_answer]
    assert broken == [{"kill-before", "throttle"}, {"kill-after", "hang"}] * 2


def test_the_first_read_of_the_datasets_is_broken_in_all_ways_in_rotation_too() -> None:
    points = plan(Calls(Counter({READ: 1}), Counter({READ: 2, LOGIN: 1})), ways=1).points
    assert [point.way for point in points if point.call == Call(*READ, named=False)] == list(WAYS)
    assert len(points) == 1 + len(WAYS) + 1 + 1


def test_a_scenario_may_choose_operations() -> None:
    points = plan(calls(), operations=frozenset({WRITE[1:]}))
    assert points == Plan(tuple(Point(Call(*WRITE), way) for way in WAYS))


def test_the_summary_says_what_was_tried() -> None:
    assert Result("load", plan(calls()), []).summary == (
        "load: 4 calls x 4 ways + 1 answer killed = 17 points, 17 survived"
    )
    assert Result("load", plan(calls(), ways=1), ["one"]).summary == (
        "load: 4 calls x 1 of 4 ways in turn + 1 answer killed = 5 points, 4 survived"
    )
    plain = plan(Calls(Counter({READ: 18})))
    assert Result("core", plain, []).summary == "core: 18 calls x 4 ways = 72 points, 72 survived"
    less = plain.without({Point(Call(*READ, 18), "hang")})
    assert Result("core", less, []).summary == "core: 17 calls x 4 ways + 1 call x 3 ways = 71 points, 71 survived"


@pytest.mark.parametrize("ways", [1, 2, 4])
@pytest.mark.parametrize("count", [11, 13, 31, 40])
def test_on_two_days_each_point_is_tried_once_and_a_share_has_all_ways(ways: int, count: int) -> None:
    whole = plan(Calls(Counter({READ: count}), Counter({LOGIN: 1}), Counter({"load": 2})), ways=ways)
    days = [whole.share(day) for day in (739_000, 739_001)]
    assert sorted([*days[0].points, *days[1].points]) == sorted(whole.points)
    for day in days:
        assert {point.way for point in day.points} == set(WAYS)
        assert abs(len(day.points) - len(whole.points) / 2) <= 1
        said = day.describe()
        assert said.endswith(f" = {len(day.points)} of {len(whole.points)} points today (`make everything` tries all)")
    assert days[0] == whole.share(739_002)


def test_few_points_are_all_tried() -> None:
    few = plan(calls(), ways=1)
    assert few.share(1) is few


def test_a_session_tries_the_share_of_its_day_and_all_when_it_is_asked_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Sweep(FakeScenario(), Calls(Counter({READ: 20})))
    monkeypatch.setattr(sweep, "FULL", False)
    monkeypatch.setattr(sweep, "TODAY", 5)
    assert begun.plan() == plan(begun.calls, ways=1).share(5)
    monkeypatch.setattr(sweep, "FULL", True)
    assert begun.plan() == plan(begun.calls)


@pytest.mark.parametrize(
    ("way", "action", "times"),
    [
        ("kill-before", "kill-before", 1),
        ("kill-after", "kill-after", 1),
        ("throttle", "error:SlowDown", sweep.SDK_ATTEMPTS),
        ("hang", "delay:7000", 1),
    ],
)
def test_a_point_is_a_fault_of_the_nth_call(way: str, action: str, times: int) -> None:
    assert Point(Call(*READ, 2), way).fault(7) == {
        "service": "s3", "operation": "GetObject", "nth": 2, "times": times, "action": action,
    }  # fmt: skip


def test_a_throttle_outlasts_the_attempts_of_the_functions_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    from sluice_pipeline.runtime.clients import client

    monkeypatch.setenv("AWS_REGION", "us-east-1")
    client.cache_clear()
    assert client("s3").meta.config.retries["total_max_attempts"] == sweep.SDK_ATTEMPTS


def test_an_outcome_differs_in_state_or_in_what_was_sent() -> None:
    expected = Outcome({"rows": [1, 2]}, Counter({"event": 1}))
    twice, nothing = Counter({"event": 2}), Counter[str]()
    assert expected.difference(expected) == ""
    assert Outcome({"rows": [1]}, expected.sent).difference(expected) == "rows: [1] instead of [1, 2]"
    assert Outcome({}, expected.sent).difference(expected) == "rows: None instead of [1, 2]"
    assert Outcome({"rows": [1, 2], "more": 1}, expected.sent).difference(expected) == "more is new"
    assert Outcome(expected.state, nothing).difference(expected, more=1) == "event: sent 0 times instead of 1"
    assert Outcome(expected.state, twice).difference(expected) == "event: sent 2 times instead of 1"
    assert Outcome(expected.state, twice).difference(expected, more=1) == ""
    assert Outcome(expected.state, twice + twice).difference(expected, more=1) == "event: sent 4 times instead of 1"
    assert Outcome(expected.state, twice + twice).difference(expected, more=math.inf) == ""
    other = Outcome(expected.state, Counter({"event": 1, "other": 1}))
    assert other.difference(expected, more=1) == "other: sent 1 times instead of 0"


class FakePipeline:
    """Fault control in memory; every fault is met as soon as a copy starts."""

    def __init__(self) -> None:
        self.stack = {"load_function": "sluice-load", "datasets_key": "datasets"}
        self.set: list[dict[str, Any]] = []
        self.seen: list[dict[str, Any]] = []

    def timeout_of(self, function: str) -> int:
        assert function == "load"
        return 6

    def set_fault(self, fault: dict[str, Any]) -> int:
        self.seen.append(fault)
        never = fault["nth"] > 2  # each call is made twice
        self.set.append(fault | {"hits": 0 if never else fault["times"], "id": len(self.seen)})
        return len(self.seen)

    def unmet_faults(self) -> list[dict[str, Any]]:
        return [fault for fault in self.set if not fault["hits"]]

    def fault_hits(self) -> int:
        return sum(int(fault["hits"]) for fault in self.set)

    def clear_faults(self) -> None:
        self.set.clear()


class FakeScenario(Scenario):
    """Copies that end at once; those of ``lost`` points leave one row too few."""

    branch = "load"
    functions = ("load",)
    starts_cold = False

    def __init__(self, lost: Collection[str] = (), repeated: Collection[str] = ()) -> None:
        super().__init__(cast(Pipeline, FakePipeline()))
        self.lost, self.repeated = lost, repeated
        self.log: list[str] = []

    def prepare(self, names: Sequence[str]) -> None:
        self.log.append(f"prepare {len(names)}")

    def about(self, name: str) -> list[str]:
        return [f"copy {name}"]

    def start(self, name: str) -> None:
        self.log.append(f"start {name}")

    def wait(self, names: Collection[str]) -> None:
        self.log.append(f"wait {' '.join(names)}")

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        return [
            Outcome({"rows": int(name not in self.lost)}, Counter(event=1 + (name in self.repeated))) for name in names
        ]


def ran(scenario: FakeScenario, points: Plan) -> Result:
    return Sweep(scenario, calls(), _expected=Outcome({"rows": 1}, Counter(event=1))).run(points)


def test_copies_of_named_calls_run_side_by_side_and_those_of_unnamed_ones_alone() -> None:
    scenario = FakeScenario()
    unnamed = [Point(Call(*call, named=False), "hang") for call in (READ, LOGIN)]
    few = Plan((Point(Call(*READ), "hang"), Point(Call(*WRITE), "hang"), *unnamed))
    assert ran(scenario, few).lost == []
    assert scenario.log == [
        "prepare 4", "start 0000", "start 0001", "wait 0000 0001",
        "start 0002", "wait 0002", "start 0003", "wait 0003",
    ]  # fmt: skip
    seen = cast(FakePipeline, scenario.pipe).seen
    assert [fault["about"] for fault in seen] == [["copy 0000"], ["copy 0001"], ["datasets"], []]
    assert {fault["function"] for fault in seen} == {"sluice-load"}


def test_copies_that_share_what_they_work_on_run_alone() -> None:
    scenario = FakeScenario()
    scenario.side_by_side = False
    assert ran(scenario, Plan((Point(Call(*READ), "hang"), Point(Call(*WRITE), "hang")))).lost == []
    assert scenario.log[-4:] == ["start 0000", "wait 0000", "start 0001", "wait 0001"]


def test_a_copy_with_another_outcome_is_named_with_its_point() -> None:
    points = Plan((Point(Call(*READ), "hang"), Point(Call(*READ, 2), "kill-after")))
    assert ran(FakeScenario(lost=["0001"]), points).lost == ["kill-after at load's GetObject #2: rows: 0 instead of 1"]


def test_a_copy_that_only_sent_an_event_again_is_tried_alone() -> None:
    points = Plan((Point(Call(*READ), "throttle"), Point(Call(*READ, 2), "throttle")))
    scenario = FakeScenario(repeated=["0001"])
    assert ran(scenario, points).lost == []
    assert scenario.log[-3:] == ["prepare 1", "start 0001-again", "wait 0001-again"]
    scenario = FakeScenario(repeated=["0001", "0001-again"])
    assert ran(scenario, points).lost == ["throttle at load's GetObject #2: event: sent 2 times instead of 1"]
    both = FakeScenario(repeated=["0001"], lost=["0001"])
    assert len(ran(both, points).lost) == 1
    assert both.log.count("prepare 1") == 0


def test_a_fault_that_meets_no_call_fails_the_sweep_but_for_polls() -> None:
    once, third = Point(Call(*WRITE), "hang"), Point(Call(*READ, 3), "hang")
    with pytest.raises(AssertionError, match="met no call"):
        ran(FakeScenario(), Plan((once, third)))
    scenario = FakeScenario()
    scenario.polls = frozenset({READ[1:]})
    assert ran(scenario, Plan((once, third))) == Result("load", Plan((once,)), [])
