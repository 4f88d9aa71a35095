"""The crash sweep: every call of every function of a scenario is broken in four ways; nothing is lost or doubled.

One copy of a scenario's input runs undisturbed, and the calls of its functions are recorded: the baseline run. Then,
for every call and every way, another copy (the same input under another name) runs with that call broken. Copies run
side by side, because a fault is about the calls that name its copy. A call that names none (a login, the state of all
alerts) is broken for whichever copy makes it, one point at a time. In the end every copy must have had the effects of
the baseline run.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tests.support.call_record import RETURN, Calls, recorded
from tests.support.changes import cold
from tests.support.pipeline import Pipeline, until

WAYS: Final = ("kill-before", "kill-after", "throttle", "hang")
BASELINE: Final = "base"  # as long as the names of the other copies, so that their input is equally long
FULL: Final = os.environ.get("SWEEP") == "full"
"""Every way for every call; otherwise each is broken in one way, in rotation, and a share of the points is tried."""

TODAY: Final = int(os.environ.get("SWEEP_DAY") or datetime.now(UTC).toordinal())
"""Decides which share is tried, so that all have their turn; SWEEP_DAY tries the share of another day."""
SHARES: Final = 2
FEW: Final = 12
"""So many points are always tried: a share of them would have few ways."""

SDK_ATTEMPTS: Final = 5  # of the functions' clients; a throttle that ends sooner never reaches the code
DATASETS: Final = ("s3", "GetObject")
"""The only call of S3's that names no copy: it reads the deployed datasets."""
_THROTTLES: Final = {"dynamodb": "ProvisionedThroughputExceededException", "s3": "SlowDown"}

type RecordProperty = Callable[[str, object], None]


@dataclass(frozen=True, order=True)
class Call:
    """The nth call of an operation by a function, in one run of the scenario.

    ``named``: whether its parameters name the copy, so that a fault can be about this copy's call alone.
    """

    function: str
    service: str
    operation: str
    nth: int = 1
    named: bool = True

    @property
    def is_answer(self) -> bool:
        """Whether it is no AWS call, but the function's answer to Lambda."""
        return (self.service, self.operation) == RETURN

    def __str__(self) -> str:
        return f"{self.function}'s {self.operation} #{self.nth}"


@dataclass(frozen=True, order=True)
class Point:
    """A call and the way in which it is broken."""

    call: Call
    way: str

    def fault(self, hang_seconds: int) -> dict[str, Any]:
        """For the engine's fault control, without ``function`` and ``about``."""
        action = {
            "throttle": f"error:{_THROTTLES.get(self.call.service, 'ThrottlingException')}",
            "hang": f"delay:{hang_seconds * 1000}",
        }.get(self.way, self.way)
        times = SDK_ATTEMPTS if self.way == "throttle" else 1
        fault = {"service": self.call.service, "operation": self.call.operation, "nth": self.call.nth, "times": times}
        return fault | {"action": action}

    def __str__(self) -> str:
        return f"{self.way} at {self.call}"


@dataclass(frozen=True)
class Plan:
    """The points of a scenario; when they are a share, of how many."""

    points: tuple[Point, ...]
    share_of: int = 0

    def without(self, points: Collection[Point]) -> Plan:
        return Plan(tuple(point for point in self.points if point not in points), self.share_of)

    def share(self, day: int, shares: int = SHARES) -> Plan:
        """Every second point, the others on the next day, of more than a few; each share has all ways."""
        if len(self.points) <= FEW:
            return self
        chosen = [point for at, point in enumerate(self.points) if (at + at // len(WAYS) + day) % shares == 0]
        return Plan(tuple(chosen), len(self.points))

    def describe(self) -> str:
        """``9 calls x 4 ways + 1 answer killed = 37 points``; calls that were not broken in every way, apart.

        A share ends with ``= 6 of 12 points today (`make everything` tries all)``.
        """
        answers = [point for point in self.points if point.call.is_answer]
        ways = Counter(point.call for point in self.points if not point.call.is_answer)
        parts = []
        for number, calls in sorted(Counter(ways.values()).items(), reverse=True):
            parts.append(
                f"{calls} call{'s' * (calls > 1)} x "
                + (f"{number} ways" if number > 2 else f"{number} of {len(WAYS)} ways in turn")
            )
        if answers:
            parts.append(f"{len(answers)} answer{'s' * (len(answers) > 1)} killed")
        rest = f"of {self.share_of} points today (`make everything` tries all)" if self.share_of else "points"
        return f"{' + '.join(parts)} = {len(self.points)} {rest}"


def plan(calls: Calls, *, ways: int = len(WAYS), operations: frozenset[tuple[str, str]] | None = None) -> Plan:
    """All points: each call in so many ways, 1, 2 or all, in rotation.

    operations: those (service, operation) alone are broken, and no answers.

    A function's first read of the datasets is always broken in all ways.

    A function's answer is killed only: it is no call, so it cannot be throttled, and the service waits for it anyway.
    """
    turn = 0

    def points(counts: Counter[tuple[str, str, str]], named: bool) -> Iterable[Point]:
        nonlocal turn
        for operation, count in sorted(counts.items()):
            if operations is not None and operation[1:] not in operations:
                continue
            for nth in range(1, count + 1):
                number = ways if named or nth > 1 or operation[1:] != DATASETS else len(WAYS)
                chosen = [way for at, way in enumerate(WAYS) if (at - turn) % (len(WAYS) // number) == 0]
                turn += 1
                yield from (Point(Call(*operation, nth, named), way) for way in chosen)

    answers = [
        Point(Call(function, *RETURN, nth), "kill-after")
        for function, count in sorted(calls.answers.items() if operations is None else [])
        for nth in range(1, count + 1)
    ]
    return Plan((*points(calls.named, True), *answers, *points(calls.unnamed, False)))


@dataclass(frozen=True)
class Outcome:
    """What a copy's run left behind.

    ``state`` must equal that of the baseline run: files, rows, ledger, log. ``sent`` counts notices and events; of
    those, one more of a kind may come where the scenario says that a point repeats them.
    """

    state: Mapping[str, Any]
    sent: Counter[str] = field(default_factory=Counter)

    def difference(self, expected: Outcome, more: float = 0) -> str:
        """What is not as expected, '' when nothing is. So many ``more`` of a notice or event may have come."""
        parts = [
            f"{name}: {_short(self.state.get(name))} instead of {_short(value)}"
            for name, value in expected.state.items()
            if self.state.get(name) != value
        ]
        parts += [f"{name} is new" for name in self.state.keys() - expected.state.keys()]
        for name in sorted(self.sent.keys() | expected.sent.keys()):
            count, wanted = self.sent[name], expected.sent[name]
            if count != wanted and not (wanted and wanted < count <= wanted + more):
                parts.append(f"{name}: sent {count} times instead of {wanted}")
        return "; ".join(parts)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def sent_before_it_is_recorded(service: str, operation: str) -> frozenset[tuple[str, str, str]]:
    """`Scenario.repeats` of a call whose success the UpdateItem after it records: the sender died between the two."""
    return frozenset(
        {(service, operation, way) for way in ("kill-after", "hang")}
        | {("dynamodb", "UpdateItem", way) for way in ("kill-before", "throttle", "hang")}
    )


class Scenario(ABC):
    """One input of a branch: how a copy of it is made, started, awaited and judged. Copies are known by their names."""

    branch: str
    functions: tuple[str, ...]
    """Those whose calls are broken, as in the stack's outputs (``ingest``)."""

    repeats: frozenset[tuple[str, str, str]] = frozenset()
    """(service, operation, way) after which a notice or event may come once more: its sender died after sending it."""

    operations: frozenset[tuple[str, str]] | None = None
    """(service, operation) of the calls that are broken; None for all."""

    polls: frozenset[tuple[str, str]] = frozenset()
    """(service, operation) of calls that are repeated until something is done. A copy may need fewer of them than the
    baseline run: a point that it did not come to is no point."""

    once: frozenset[str] = frozenset()
    """Functions that read the datasets once in each environment, however many there are: one read is broken."""

    ways = 1
    """In how many ways each call is broken, unless SWEEP=full."""

    side_by_side = True
    """Whether copies run at once; where they share what the calls are about, each runs alone."""

    starts_cold = True
    """Whether the baseline run begins with new environments, so that what a function calls once is in it."""

    def __init__(self, pipe: Pipeline) -> None:
        self.pipe = pipe

    def prepare(self, names: Sequence[str]) -> None:
        """What a copy needs before it starts; nothing is broken meanwhile."""
        del names

    @abstractmethod
    def about(self, name: str) -> list[str]:
        """Texts that occur in the parameters of the calls about a copy; known once it is prepared."""

    @abstractmethod
    def start(self, name: str) -> None:
        """Starts a prepared copy and does not wait."""

    @abstractmethod
    def wait(self, names: Collection[str]) -> None:
        """Waits until these copies have ended, and nothing of them is under way."""

    @abstractmethod
    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        """What became of each, without anything that only its name explains."""

    @property
    def number_of_ways(self) -> int:
        """In how many ways each call is broken."""
        return len(WAYS) if FULL else self.ways


@dataclass(frozen=True)
class Result:
    """What became of a scenario's points. ``lost``: those whose copy had another outcome, and how it differs."""

    branch: str
    tried: Plan
    lost: list[str]

    @property
    def summary(self) -> str:
        """``load: 9 calls x 4 ways + 1 answer killed = 37 points, 37 survived``."""
        return f"{self.branch}: {self.tried.describe()}, {len(self.tried.points) - len(self.lost)} survived"


@dataclass
class Sweep:
    """A scenario's baseline run, and the copies whose calls are broken."""

    scenario: Scenario
    calls: Calls = field(default_factory=Calls)
    _expected: Outcome | None = None
    _timeouts: dict[str, int] = field(default_factory=dict)
    _faults: dict[int, Point] = field(default_factory=dict)

    @property
    def pipe(self) -> Pipeline:
        return self.scenario.pipe

    @property
    def expected(self) -> Outcome:
        """The outcome of the baseline run."""
        assert self._expected is not None, "the baseline run comes first"
        return self._expected

    def baseline(self) -> Outcome:
        """Runs a copy undisturbed and records its calls. Its outcome is what all others are compared with."""
        scenario = self.scenario
        scenario.prepare([BASELINE])
        if scenario.starts_cold:
            cold(self.pipe, *scenario.functions)
        with recorded(self.pipe, scenario.about(BASELINE), *scenario.functions) as self.calls:
            scenario.start(BASELINE)
            scenario.wait([BASELINE])
        for function in scenario.once:
            self.calls.unnamed[function, *DATASETS] = 1
        [self._expected] = scenario.outcomes([BASELINE])
        return self._expected

    def plan(self) -> Plan:
        """The points that are tried in this session; the baseline run comes first."""
        scenario = self.scenario
        points = plan(self.calls, ways=scenario.number_of_ways, operations=scenario.operations)
        return points if FULL else points.share(TODAY)

    def run(self, points: Plan) -> Result:
        """Breaks every point on a copy of its own."""
        scenario = self.scenario
        copies = {f"{number:04d}": point for number, point in enumerate(points.points)}
        scenario.prepare(list(copies))
        together = {name: point for name, point in copies.items() if point.call.named and scenario.side_by_side}
        try:
            for name, point in together.items():
                self.break_copy(name, point)
            scenario.wait(list(together))
            unmet = {self._faults[fault["id"]] for fault in self.pipe.unmet_faults()}
            missed = [str(point) for point in unmet if not self._is_a_further_poll(point.call)]
            assert missed == [], "a fault met no call, so its point was not tried"
            self.pipe.clear_faults()
            for name, point in copies.items():
                if name not in together:
                    self._break_alone(name, point)
        finally:
            self.pipe.clear_faults()
        outcomes = dict(zip(copies, scenario.outcomes(list(copies)), strict=True))
        for name in together:
            if self._only_repeated(outcomes[name], copies[name]):
                outcomes[name] = self._alone_again(name, copies[name])
        compared = {copies[name]: self._difference(outcome, copies[name]) for name, outcome in outcomes.items()}
        lost = [f"{point}: {difference}" for point, difference in compared.items() if difference]
        return Result(scenario.branch, points.without(unmet), lost)

    def _difference(self, outcome: Outcome, point: Point) -> str:
        return outcome.difference(self.expected, more=self._may_repeat(point))

    def _only_repeated(self, outcome: Outcome, point: Point) -> bool:
        """All is right but an event that came too often."""
        return bool(self._difference(outcome, point)) and not outcome.difference(self.expected, more=math.inf)

    def _alone_again(self, name: str, point: Point) -> Outcome:
        """A copy of the point while nothing else runs.

        Messages come back two seconds after the function's timeout in a sweep. On a busy machine a batch can wait that
        long for its function; then two workers have the message at once, and both may send the event, which is right.
        So is a third time: a client that was throttled often retries less, and the next worker meets the rest.
        """
        again = f"{name}-again"
        self.scenario.prepare([again])
        try:
            self._break_alone(again, point)
        finally:
            self.pipe.clear_faults()
        [outcome] = self.scenario.outcomes([again])
        return outcome

    def break_copy(self, name: str, point: Point) -> None:
        """Starts a prepared copy whose calls meet the point's fault."""
        about = self.scenario.about(name) if point.call.named else self._shared(point.call)
        self._set_fault(point, about)
        self.scenario.start(name)

    def _shared(self, call: Call) -> list[str]:
        """What a call that names no copy is about; nothing where it is any call of the operation."""
        return [self.pipe.stack["datasets_key"]] if (call.service, call.operation) == DATASETS else []

    def _break_alone(self, name: str, point: Point) -> None:
        """No other copy runs: a fault of a call that names none is met by this copy, or by its retry."""
        if not point.call.named and self.scenario.starts_cold:
            cold(self.pipe, point.call.function)
        self.break_copy(name, point)
        times = SDK_ATTEMPTS if point.way == "throttle" else 1
        until(f"the fault: {point}", lambda: self.pipe.fault_hits() >= times)
        self.pipe.clear_faults()
        self.scenario.wait([name])

    def _set_fault(self, point: Point, about: list[str]) -> None:
        function = point.call.function
        if function not in self._timeouts:
            self._timeouts[function] = self.pipe.timeout_of(function)
        fault = point.fault(self._timeouts[function] + 1)
        fault |= {"function": self.pipe.stack[f"{function}_function"], "about": about}
        self._faults[self.pipe.set_fault(fault)] = point

    def _is_a_further_poll(self, call: Call) -> bool:
        """The first call of every poll is made by each copy."""
        return (call.service, call.operation) in self.scenario.polls and call.nth > 1

    def _may_repeat(self, point: Point) -> bool:
        return (point.call.service, point.call.operation, point.way) in self.scenario.repeats


def assert_all_survive(scenario: Scenario, record_property: RecordProperty) -> Sweep:
    """The whole sweep of a scenario, with its line in the summary."""
    sweep = Sweep(scenario)
    sweep.baseline()
    result = sweep.run(sweep.plan())
    record_property("figure", result.summary)
    assert not result.lost, "\n".join(result.lost)
    return sweep
