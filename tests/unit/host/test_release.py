"""Shifts and their end, whatever ends them: one version is in service, and it is the right one."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.commands.rollback import rollback as rollback_verb
from sluice.commands.shift import shift as shift_verb
from sluice.console import SluiceError
from sluice.pipeline import stack as stacks
from sluice.polling import Clock
from sluice.release import aliases
from sluice.release.rollback import rollback
from sluice.release.shift import Moved, shift, steps_of
from tests.support.releases import PREFIX, Account

ERRORS = f"{PREFIX}-ingest-errors"
STEPS = [10, 50, 100]


class Time:
    """A clock that runs when it is slept on. `alarms`: the second from which on an alarm fires."""

    def __init__(self, account: Account, **alarms: float) -> None:
        self.seconds, self._account, self._alarms = 0.0, account, alarms

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for key, at in self._alarms.items():
            if self.seconds >= at:
                self._account.alarms[f"{PREFIX}-{key}"] = "ALARM"


def account() -> Account:
    """Two functions at version 1, whose version 2 was deployed and is held."""
    made = Account({"ingest": [1], "load": [1]})
    for key in made.versions:
        made.deploy(key, 2, held=True)
    return made


def run(
    on: Account, *keys: str, time: Time | None = None, said: list[str] | None = None, **options: Any
) -> list[Moved]:
    stack: Any = on
    report = (said if said is not None else []).append
    return shift(stack, keys, STEPS, 1, report=report, clock=(time or Time(on)).clock, **options)


def back(on: Account, *keys: str) -> list[Moved]:
    stack: Any = on
    return rollback(stack, keys)


def refused(code: int = 1) -> Any:
    return pytest.raises(SluiceError, check=lambda error: error.code == code and "\n" not in str(error))


def test_a_shift_goes_through_its_steps_and_watches_after_each() -> None:
    on, said = account(), []
    time = Time(on)
    assert run(on, time=time, said=said) == [Moved("ingest", "1", "2"), Moved("load", "1", "2")]
    seen = [
        (call["key"], call["FunctionVersion"], call["RoutingConfig"]["AdditionalVersionWeights"]) for call in on.calls
    ]
    assert seen == [
        ("ingest", "1", {"2": 0.1}), ("load", "1", {"2": 0.1}), ("ingest", "1", {"2": 0.5}), ("load", "1", {"2": 0.5}),
        ("ingest", "2", {}), ("load", "2", {}),
    ]  # fmt: skip
    assert time.seconds > 3 * 60
    assert said[0] == "shift   10 %: ingest 1 to 2, load 1 to 2"
    assert run(on) == []


@pytest.mark.parametrize(("alarm", "second"), [("ingest-errors", 20), ("load-errors", 80), ("chunk-dead-letters", 170)])
def test_an_alarm_in_any_step_puts_every_function_back(alarm: str, second: float) -> None:
    on = account()
    with refused() as raised:
        run(on, time=Time(on, **{alarm: second}))
    percent = {20: 10, 80: 50, 170: 100}[int(second)]
    assert str(raised.value) == f"{PREFIX}-{alarm} is in ALARM at {percent} %: back at ingest 1, load 1"
    assert {key: on.in_service(key) for key in on.versions} == {"ingest": ("1", {}), "load": ("1", {})}
    assert back(on) == []  # it is back already


def test_an_alarm_before_the_shift_refuses_it() -> None:
    on = account()
    on.alarms[ERRORS] = "ALARM"
    with refused() as raised:
        run(on)
    assert str(raised.value) == f"{ERRORS} is in ALARM before the shift: nothing was changed"
    assert on.calls == []


def test_an_alarm_of_another_function_is_not_asked() -> None:
    on = account()
    on.alarms[f"{PREFIX}-load-errors"] = "ALARM"
    assert run(on, "ingest") == [Moved("ingest", "1", "2")]
    assert on.in_service("load") == ("1", {})


def test_without_alarms_a_shift_is_refused_unless_that_is_wanted() -> None:
    on = account()
    on.alarms.clear()
    with refused(2):
        run(on)
    assert run(on, unwatched=True) != []


def test_a_version_that_was_put_back_is_shifted_to_again_only_by_name() -> None:
    on, said = account(), []
    with refused():
        run(on, time=Time(on, **{"ingest-errors": 5}))
    on.alarms[ERRORS] = "OK"
    assert run(on, said=said) == []
    assert said[0] == "shift   ingest stays at 1: 2 was put back (--function ingest tries it again)"
    assert run(on, "ingest") == [Moved("ingest", "1", "2")]
    on.deploy("load", 3, held=True)
    assert run(on) == [Moved("load", "1", "3")]
    assert back(on) == [Moved("load", "3", "1")]  # what was in service before, and not the version between


def test_a_rollback_undoes_the_last_release_once() -> None:
    on = account()
    on.deploy("load", 3, held=True)
    run(on)
    assert back(on) == [Moved("ingest", "2", "1"), Moved("load", "3", "1")]
    assert back(on) == back(on, "ingest") == []
    assert {key: on.in_service(key) for key in on.versions} == {"ingest": ("1", {}), "load": ("1", {})}


def test_a_rollback_leaves_what_the_release_did_not_move() -> None:
    on = Account({"ingest": [1, 2, 3], "load": [1]})
    on.deploy("load", 2, held=True)
    run(on)
    assert back(on) == [Moved("load", "2", "1")]
    assert on.in_service("ingest") == ("3", {})


def test_without_a_recorded_shift_functions_are_named() -> None:
    on = Account({"ingest": [1, 2, 4], "load": [1]})
    with refused() as raised:
        back(on)
    assert str(raised.value) == (
        "no shift is recorded: name the functions with --function (with a version before: ingest)"
    )
    assert back(on, "ingest") == [Moved("ingest", "4", "2")]
    assert back(on, "ingest") == []
    with refused():
        back(on, "load")


def test_a_deployment_that_moves_the_alias_makes_the_record_void() -> None:
    on = account()
    run(on)
    on.deploy("ingest", 3)
    assert back(on, "ingest") == [Moved("ingest", "3", "2")]


@given(at=st.integers(0, 5), error=st.sampled_from([KeyboardInterrupt(), RuntimeError("expired")]))
def test_a_shift_that_breaks_off_puts_everything_back(at: int, error: BaseException) -> None:
    on = account()
    on.fail_at, on.error = at, error
    with refused():
        run(on)
    assert {key: on.in_service(key) for key in on.versions} == {"ingest": ("1", {}), "load": ("1", {})}


@given(at=st.integers(0, 5))
def test_an_answer_that_was_lost_is_no_change_by_another(at: int) -> None:
    on = account()
    on.fail_at, on.lost = at, True
    assert len(run(on)) == 2
    assert {key: on.in_service(key) for key in on.versions} == {"ingest": ("2", {}), "load": ("2", {})}


def test_what_another_has_changed_is_left_alone() -> None:
    on = account()
    time = Time(on)
    sleep = time._sleep

    def other(seconds: float) -> None:
        sleep(seconds)
        if time.seconds == 5:
            on.deploy("ingest", 3)

    time._sleep = other  # type: ignore[method-assign]
    with refused() as raised:
        run(on, time=time)
    assert str(raised.value).startswith("the alias of ingest was changed by another")
    assert on.in_service("ingest") == ("3", {"2": 0.1})


class Killed(BaseException):
    """SIGKILL: nothing runs after it."""


@given(at=st.integers(0, 5), then=st.sampled_from(["shift", "rollback"]))
def test_after_a_kill_the_next_command_brings_one_version(at: int, then: str) -> None:
    on = account()
    calls, update = 0, on.update_alias

    def dies(**request: Any) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls > at:
            raise Killed
        return update(**request)

    on.update_alias = dies  # type: ignore[method-assign]
    with contextlib.suppress(SluiceError, Killed):
        run(on)
    on.update_alias = update  # type: ignore[method-assign]
    if then == "shift":
        run(on)
        expected = "2"
    else:
        if at:
            back(on)
            assert back(on) == []
        expected = "1"
    assert {key: on.in_service(key) for key in on.versions} == {"ingest": (expected, {}), "load": (expected, {})}
    if then == "shift":  # of one release, in spite of the kill
        assert len(back(on)) == 2


Steps = st.lists(
    st.tuples(
        st.sampled_from(["deploy", "hold", "shift", "alarm", "rollback"]), st.sampled_from(["ingest", "load", ""])
    ),
    max_size=12,
)


@given(operations=Steps)
def test_whatever_came_before_one_version_is_in_service(operations: list[tuple[str, str]]) -> None:
    on = Account({"ingest": [1], "load": [1]})
    for operation, key in operations:
        before = {one: on.in_service(one) for one in on.versions}
        keys = [key] if key else []
        if operation in ("deploy", "hold"):
            for one in keys or list(on.versions):
                on.deploy(one, on.versions[one][-1] + 1, held=operation == "hold")
            continue
        try:
            if operation == "rollback":
                back(on, *keys)
                assert back(on, *keys) == []
            else:
                run(on, *keys, time=Time(on, **({"chunk-dead-letters": 70} if operation == "alarm" else {})))
        except SluiceError:
            assert operation != "shift"
            assert {one: on.in_service(one) for one in on.versions} == before
        on.alarms = dict.fromkeys(on.alarms, "OK")
        for one, versions in on.versions.items():
            version, weights = on.in_service(one)
            assert weights == {}
            assert int(version) in versions


@pytest.mark.parametrize(
    "text", ["", "10", "10,50", "100,50", "0,100", "50,50,100", "a,100", "10;100", "101", "-5,100"]
)
def test_steps_that_do_not_rise_to_100_are_refused(text: str) -> None:
    with refused(2):
        steps_of(text)


def test_steps_are_read() -> None:
    assert (steps_of("10,50,100"), steps_of("100"), steps_of(" 1, 100")) == ([10, 50, 100], [100], [1, 100])


def test_functions_without_versions_are_named_so() -> None:
    on: Any = account()
    on.alias = None
    assert aliases.held(on) == {}
    with refused():
        run(on)
    on.alias = "live"
    assert aliases.held(on) == {f"{PREFIX}-ingest": "1", f"{PREFIX}-load": "1"}
    with refused(2):
        run(on, "inges")


def test_the_verbs_print_what_was_moved(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    on: Any = account()
    monkeypatch.setattr(stacks, "choose", lambda *_: on)
    common: dict[str, Any] = {"target": "aws", "env": "prod"}
    shift_verb(function=["ingest"], steps="100", minutes=0.0, unwatched=False, json=True, **common)
    moved = {"function": "ingest", "before": "1", "after": "2"}
    assert json.loads(capsys.readouterr().out) == {"moved": [moved]}
    rollback_verb(function=None, json=False, **common)
    rollback_verb(function=None, json=False, **common)
    assert capsys.readouterr().err.splitlines() == [
        "rollback ingest: back at version 1, not 2",
        "rollback nothing to do: the last release is back already",
    ]
