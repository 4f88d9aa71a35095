"""A gradual shift: the newest version gets a growing share of the invocations, as long as no alarm fires.

Every step is one UpdateAlias for each function, by the revision that the step before has left. So a shift that was
killed leaves two versions with weights, which the next shift or `sluice rollback` brings to one; and of two shifts at a
time, one ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sluice.console import FAILED, SluiceError, fail
from sluice.polling import SYSTEM, Clock, poll
from sluice.release import alarms, aliases
from sluice.release.aliases import ChangedMeanwhile, Live, Move, Record

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

LOOK_SECONDS = 5.0
Report = Callable[[str], None]


@dataclass(frozen=True)
class Moved:
    """A function, and its version before and after."""

    function: str
    before: str
    after: str


def steps_of(text: str) -> list[int]:
    """The steps of `10,50,100`, in per cent. Raises SluiceError (code 2) unless they rise and end with 100."""
    try:
        steps = [int(part) for part in text.split(",")]
    except ValueError:
        steps = []
    if not steps or steps[-1] != 100 or steps[0] < 1 or any(a >= b for a, b in itertools.pairwise(steps)):
        fail(f"--steps {text!r}: expected rising per cents that end with 100, such as 10,50,100")
    return steps


def shift(
    stack: Stack,
    keys: Sequence[str],
    steps: Sequence[int],
    minutes: float,
    *,
    unwatched: bool = False,
    report: Report,
    clock: Clock = SYSTEM,
) -> list[Moved]:
    """Shifts functions to their newest versions, and watches for some minutes after each step.

    keys: the functions; all whose newest version is not in service, when empty. unwatched: go on without an alarm.
    Raises SluiceError (code 1) when an alarm fires (all functions are back at their former versions then), when one
    does before the shift, or when an alias is changed by another.
    """
    functions = [one for one in aliases.read(stack, keys) if not one.settled]
    for one in () if keys else functions:
        if one.refused:
            again = f"--function {one.key} tries it again"
            report(f"shift   {one.key} stays at {one.version}: {one.newest} was put back ({again})")
    functions = [one for one in functions if keys or not one.refused]
    if not functions:
        return []
    wanted = alarms.names(stack, functions)
    now = alarms.states(stack, wanted)
    if not now and not unwatched:
        fail("no alarm watches these functions: turn observability on, or shift with --unwatched")
    if firing := _firing(now):
        fail(f"{firing} is in ALARM before the shift: nothing was changed", FAILED)
    running = _Running(stack, functions, _release(functions), report)
    try:
        for step in steps:
            running.step(step)
            watched = poll(
                lambda: _firing(alarms.states(stack, wanted)), seconds=minutes * 60, interval=LOOK_SECONDS, clock=clock
            )
            if watched.done:
                running.back(f"{watched.value} is in ALARM at {step} %")
    except ChangedMeanwhile as changed:
        raise SluiceError(
            f"the alias of {changed} was changed by another: the shift ends where it is", FAILED
        ) from changed
    except SluiceError:
        raise
    except BaseException as error:  # noqa: BLE001 - Ctrl-C too: no shift goes on without its watch
        running.back(f"the shift was broken off ({type(error).__name__})", error)
    return [Moved(one.key, one.version, one.newest) for one in functions]


@dataclass
class _Running:
    """A shift on its way. `now`: the aliases as the last step has left them."""

    stack: Stack
    functions: Sequence[Live]
    release: str
    report: Report
    now: dict[str, Live] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = {one.key: one for one in self.functions}

    def step(self, percent: int) -> None:
        """Gives the newest versions this share of the invocations."""
        for was in self.functions:
            if was.version == was.newest:  # only weights are left, of an older version
                self._point(was, was.newest, {}, Move.AFTER, max(was.weights, key=int))
            elif percent < 100:
                self._point(was, was.version, {was.newest: percent / 100}, Move.TO, was.newest)
            else:
                self._point(was, was.newest, {}, Move.AFTER, was.version)
        moved = ", ".join(f"{one.key} {one.version} to {one.newest}" for one in self.functions)
        self.report(f"shift   {percent} %: {moved}")

    def back(self, why: str, cause: BaseException | None = None) -> None:
        """Puts every function back, and ends the shift: raises SluiceError (code 1)."""
        left = []
        for was in self.functions:
            try:
                self._point(was, was.version, {}, Move.BACK, was.newest)
            except Exception as error:  # noqa: BLE001 - the others are put back all the same
                left.append(f"{was.key} ({type(error).__name__})")
        if left:
            message = f"{why}; not back: {', '.join(left)}: run `sluice rollback`"
        else:
            message = f"{why}: back at {', '.join(f'{one.key} {one.version}' for one in self.functions)}"
        raise SluiceError(message, FAILED) from cause

    def _point(self, was: Live, version: str, weights: dict[str, float], move: Move, other: str) -> None:
        record = Record(version, move, other, self.release)
        client = self.stack.client("lambda")
        self.now[was.key] = aliases.point(client, self.now[was.key], version, weights, record)


def _firing(states: dict[str, str]) -> str:
    return next((name for name, state in sorted(states.items()) if state == "ALARM"), "")


def _release(functions: Sequence[Live]) -> str:
    """The release that a killed shift had begun, which this one ends; else one of its own."""
    begun = [one.record.release for one in functions if one.record is not None and one.record.move is Move.TO]
    return max(begun, default=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
