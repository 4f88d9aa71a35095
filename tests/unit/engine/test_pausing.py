"""The gate that pauses the engine's work."""

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.pausing import Busy, Gate


def test_a_pause_waits_for_the_end_of_the_one_before() -> None:
    gate = Gate()
    gate.pause(0, 0)
    found: list[dict[str, object]] = []
    second = threading.Thread(target=lambda: found.append(gate.pause(20, 0)))
    second.start()
    second.join(0.2)
    assert found == []
    gate.resume()
    second.join(10)
    assert [report["interrupted"] for report in found] == [[]]
    assert gate.paused


def test_a_pause_that_does_not_end_is_an_error() -> None:
    gate = Gate()
    gate.pause(0, 0)
    with pytest.raises(Busy, match="paused already"):
        gate.pause(0, 0.1)


def test_work_that_does_not_end_is_named_and_the_engine_goes_on() -> None:
    gate = Gate()
    began, end = threading.Event(), threading.Event()

    def run() -> None:
        with gate.work("a long call"):
            began.set()
            end.wait(20)

    worker = threading.Thread(target=run)
    worker.start()
    began.wait(10)
    with pytest.raises(Busy, match="a long call"):
        gate.pause(0, 0.1)
    assert not gate.paused
    end.set()
    worker.join(10)
    assert gate.pause(1, 1)["interrupted"] == []


def test_work_that_is_begun_aside_ends_alone() -> None:
    """A COPY waits for PostgreSQL aside, and calls S3 meanwhile."""
    gate = Gate()
    with gate.work("a statement"):
        with gate.aside("a statement"), gate.work("a call to S3"):
            pass
        with pytest.raises(Busy, match="still running after .*: a statement$"):
            gate.pause(0, 0)
    assert gate.pause(0, 0)["interrupted"] == []


NESTED = st.recursive(
    st.just([]), lambda inner: st.lists(st.tuples(st.sampled_from(["work", "aside"]), inner), max_size=4)
)


@given(NESTED)
def test_nothing_runs_when_all_has_ended_however_it_was_nested(parts: list[Any]) -> None:
    gate = Gate()

    def run(inner: list[Any]) -> None:
        for kind, more in inner:
            with gate.work("work") if kind == "work" else gate.aside("aside"):
                run(more)

    run(parts)
    assert gate.pause(0, 0)["interrupted"] == []
