"""Every call of the executor and of the steps is broken in four ways; a check-in is neither lost nor doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest

from fixtures import checkins
from sluice.branches.checkins.reader import failed_rows, submit
from sluice.console import SluiceError
from tests.support.changes import timeouts
from tests.support.checkins import CheckinRuns, request
from tests.support.pipeline import Pipeline, Put, until
from tests.support.sweep import (
    BASELINE,
    Outcome,
    RecordProperty,
    Scenario,
    assert_all_survive,
    sent_before_it_is_recorded,
)

pytestmark = [pytest.mark.sweep, pytest.mark.usefixtures("checkins_deployed")]

ROWS = 110  # two transactions
CALLERS = 24  # at once; one whose call hangs waits for the function's timeout
_FIRST = date(1800, 1, 1)


class Checkins(Scenario):
    """Two days of each copy's own are submitted until the executor succeeds: one has a file, one has none."""

    branch = "check-ins"
    functions = ("checkin_executor", "checkins")
    # Published, and not recorded that the day has no file.
    repeats = sent_before_it_is_recorded("sns", "Publish")

    def __init__(self, pipe: Pipeline, callers: ThreadPoolExecutor) -> None:
        super().__init__(pipe)
        self.runs = CheckinRuns(pipe)
        self.callers = callers
        self.puts: dict[str, Put] = {}
        self.submitted: dict[str, list[Future[dict[str, Any]]]] = {}

    def days(self, name: str) -> tuple[str, str]:
        """The day with a file and the day without one."""
        copy, _, again = name.partition("-")
        number = 0 if name == BASELINE else int(copy) + (250 if again else 1)
        first = _FIRST + timedelta(days=2 * number + 1000 * (int(self.pipe.run, 16) % 30))
        return first.isoformat(), (first + timedelta(days=1)).isoformat()

    def prepare(self, names: Sequence[str]) -> None:
        for name in names:
            day, _ = self.days(name)
            rows = checkins.records(self._prefix(name), 10, ROWS, day)
            rows[7]["venue"] = None
            self.puts[name] = self.runs.put(day, checkins.as_csv(rows), f"{name}.csv")
        self.pipe.wait(*(self.puts[name] for name in names), deadline=300)

    def _prefix(self, name: str) -> str:
        return f"{self.pipe.run}-{name}-"

    def about(self, name: str) -> list[str]:
        return [self._prefix(name), self.puts[name].object_id, *self.days(name)]

    def start(self, name: str) -> None:
        self.submitted[name] = [self.callers.submit(self._submit, day) for day in self.days(name)]

    def _submit(self, day: str) -> dict[str, Any]:
        """As a caller who repeats the command until it succeeds."""

        def look() -> dict[str, Any] | None:
            try:
                return submit(self.pipe.stack, {"day": day})
            except SluiceError:
                return None

        return until(f"the submission of {day}", look, 300)

    def wait(self, names: Collection[str]) -> None:
        for name in names:
            for submitted in self.submitted[name]:
                submitted.result()
            run = self._run(name)
            self.runs.ended(run, 300)
            until("the notices", lambda name=name, run=run: self.runs.notices(run) and self._missing(name))

    def _run(self, name: str) -> str:
        return request(self.puts[name], self.days(name)[0]).name

    def _missing(self, name: str) -> list[dict[str, Any]]:
        return self.pipe.mail.notices(kind="checkin.missing", day=self.days(name)[1])

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        items = self.runs.everything()
        return [self._outcome(name, items) for name in names]

    def _outcome(self, name: str, items: list[dict[str, Any]]) -> Outcome:
        run, prefix, (day, empty) = self._run(name), self._prefix(name), self.days(name)
        log = self.runs.states(run)
        state = {
            "status": self.runs.ended(run),
            "rows": sorted(item["sk"].removeprefix(prefix) for item in items if item["sk"].startswith(prefix)),
            "log": {state: item["status"] for state, item in log.items()},
            "days": [self.runs.log.day_status("checkins", one) for one in (day, empty)],
            "test": log["test"]["counts"],
            "loaded": {part: log["load"]["counts"][part] for part in ("rows_good", "rows_failed", "removed")},
            "failed": [row["tests"] for row in failed_rows(self.pipe.stack, run)],
        }
        sent = Counter(str(notice["kind"]) for notice in [*self.runs.notices(run), *self._missing(name)])
        return Outcome(state, sent)


@pytest.fixture
def scenario(breakable: Pipeline) -> Iterator[Checkins]:
    with timeouts(breakable, checkins=10, checkin_executor=5), ThreadPoolExecutor(CALLERS) as callers:
        yield Checkins(breakable, callers)
        breakable.clear_faults()


def test_no_call_that_dies_loses_or_doubles_a_check_in(scenario: Checkins, record_property: RecordProperty) -> None:
    sweep = assert_all_survive(scenario, record_property)
    state = sweep.expected.state
    assert (state["status"], len(state["rows"]), state["failed"]) == ("SUCCEEDED", ROWS - 1, [["has_a_venue"]])
    assert sweep.expected.sent == {"checkin.done": 1, "checkin.missing": 1}
    assert {function for function, _, _ in sweep.calls.named} == {"checkin_executor", "checkins"}
