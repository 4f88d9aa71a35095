"""When invocations may exceed the limit on environments: those a function waits for, and when nothing gets on.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""

import threading

import pytest

from sluice_ext.executor import nesting


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(nesting, "time", made)
    return made


def test_only_the_thread_that_invokes_for_a_function_is_inside() -> None:
    seen = []
    with nesting.invoked_by_function():
        other = threading.Thread(target=lambda: seen.append(nesting.inside()))
        other.start()
        other.join()
        with nesting.invoked_by_function():
            seen.append(nesting.inside())
        seen.append(nesting.inside())
    seen.append(nesting.inside())
    assert seen == [False, True, True, False]


@pytest.mark.parametrize(
    ("used", "ended", "expected"),
    [([1.0, 2.0], False, True), ([1.5, 2.0], False, False), ([1.0, 2.0], True, False)],
)
def test_environments_that_neither_work_nor_end_are_stuck(
    clock: Clock, used: list[float], ended: bool, expected: bool
) -> None:
    progress = nesting.Progress()
    clock.now += 5
    assert not progress.stuck([1.0, 2.0])
    clock.now += nesting.STUCK_SECONDS / 2
    assert not progress.stuck([1.0, 2.0])
    clock.now += nesting.STUCK_SECONDS
    if ended:
        progress.made()
    assert progress.stuck(used) is expected
