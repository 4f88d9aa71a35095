"""The log of the check-in workflow: a request that is carried out late undoes nothing."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from checkins import run_log
from checkins.request import Request
from checkins.run_log import FAILED, MISSING, SUCCEEDED, Log
from tests.support.memory_dynamo import MemoryDynamo

REQUEST = Request("2026-03-01", "checkins", "bronze/checkins/dt=2026-03-01/a.csv", "0f" * 16)
STATUSES = (SUCCEEDED, FAILED, MISSING)


def at(second: int, call: Callable[[], object]) -> None:
    with mock.patch.object(run_log, "now", return_value=f"2026-03-01T12:00:{second:02d}.000Z"):
        call()


def status(log: Log) -> tuple[list[str], str]:
    return [item["status"] for item in log.states("run")], log.day_status("checkins", "2026-03-01")


def test_a_state_that_is_tried_again_is_open_until_it_ends_again() -> None:
    log = Log(MemoryDynamo(), "log")
    at(0, lambda: log.start("run", "test", REQUEST, "t"))
    at(1, lambda: log.end("run", "test", {}))
    assert status(log) == (["succeeded"], "")
    at(2, lambda: log.start("run", "test", REQUEST, "t"))
    assert status(log) == (["started"], "")
    at(3, lambda: log.end("run", "test", {}, "broken"))
    assert status(log) == (["failed"], "")
    [item] = log.states("run")
    assert (item["attempts"], item["startedAt"]) == (2, "2026-03-01T12:00:00.000Z")


@given(tries=st.integers(1, 4), late=st.data())
def test_what_hung_and_is_carried_out_after_the_last_try_changes_no_status(tries: int, late: st.DataObject) -> None:
    """A function that timed out is tried again while the request it sent is still on its way."""
    log = Log(MemoryDynamo(), "log")
    for number in range(tries):
        at(10 * number + 1, lambda: log.start("run", "test", REQUEST, "t"))
        at(10 * number + 2, lambda: log.end("run", "test", {"rows": 3}))
        found = late.draw(st.sampled_from(STATUSES))
        at(10 * number + 3, lambda found=found: log.record_day("checkins", "2026-03-01", found, {}))
    before = status(log)
    began = late.draw(st.integers(0, 10 * tries - 9))
    at(began, lambda: log.start("run", "test", REQUEST, "t"))
    at(began, lambda: log.record_day("checkins", "2026-03-01", late.draw(st.sampled_from(STATUSES)), {}))
    assert status(log) == before
