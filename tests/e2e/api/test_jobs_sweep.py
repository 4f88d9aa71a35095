"""Every call for a job is broken in four ways: it is started once, answered once, and its end is sent once."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from api.jobs.store import FAILED, SUCCEEDED, Jobs, new_id, result_key
from sluice.branches.api.client import Client
from tests.support.changes import timeouts
from tests.support.pipeline import Pipeline, until
from tests.support.sweep import DATASETS, Outcome, RecordProperty, Scenario, assert_all_survive

pytestmark = [pytest.mark.sweep, pytest.mark.usefixtures("api_deployed")]

CALLERS = 16
# The answer is known whatever is in the warehouse, and the worker reads the datasets for it.
QUESTION = {"operation": "count_analysis", "parameters": {"dataset": "shipments", "until": "1800-01-01"}}


class AnalyticsJobs(Scenario):
    """A job that a client posts, with a key of its own, until it is accepted; then the worker of its workflow."""

    branch = "analytics jobs"
    functions = ("api", "analytics_worker")

    def __init__(self, pipe: Pipeline, callers: ThreadPoolExecutor) -> None:
        super().__init__(pipe)
        self.callers = callers
        self.jobs = Jobs(pipe.dynamodb, pipe.stack["analytics_table"], 0)
        self.accepted: dict[str, Future[int]] = {}

    def _key(self, name: str) -> str:
        return f"{self.pipe.run}-{name}"

    def _job(self, name: str) -> str:
        owner = min(dict(self.pipe.stack.outputs["api_key_ids"]).items())[1]
        return new_id(owner, self._key(name))

    def about(self, name: str) -> list[str]:
        return [self._key(name), self._job(name)]

    def start(self, name: str) -> None:
        self.accepted[name] = self.callers.submit(self._post, self._key(name))

    def _post(self, key: str) -> int:
        client = Client.of(self.pipe.stack)

        def look() -> int | None:
            try:
                answer = client.post("/analytics/jobs", QUESTION, {"Idempotency-Key": key})
            except (OSError, http.client.HTTPException):
                return None
            return answer.status if answer.status == 202 else None

        return until(f"the job of {key}", look, 300)

    def wait(self, names: Collection[str]) -> None:
        for name in names:
            self.accepted[name].result()
            until(f"the end of {name}", lambda name=name: self._state(name) in (SUCCEEDED, FAILED), 300)
            until("the notice", lambda name=name: self._notices(name))
            until("the execution's end", lambda name=name: self._execution(name)["status"] != "RUNNING", 300)

    def _state(self, name: str) -> str:
        return str((self.jobs.get(self._job(name)) or {}).get("state"))

    def _notices(self, name: str) -> list[dict[str, Any]]:
        return self.pipe.mail.notices(job=self._job(name))

    def _execution(self, name: str) -> dict[str, Any]:
        arn = self.pipe.stack["analytics_state_machine_arn"].replace(":stateMachine:", ":execution:")
        client = self.pipe.stack.client("stepfunctions")
        found: dict[str, Any] = client.describe_execution(executionArn=f"{arn}:{self._job(name)}")
        return found

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        return [self._outcome(name) for name in names]

    def _outcome(self, name: str) -> Outcome:
        item = self.jobs.get(self._job(name)) or {}
        key = result_key(self._job(name))
        body = self.pipe.s3.get_object(Bucket=self.pipe.stack["artifacts_bucket"], Key=key)["Body"].read()
        names = ("state", "request", "result_rows", "result_bytes", "result_truncated", "error_type")
        state = {
            "job": {name: item.get(name) for name in names},
            "result": json.loads(body),
            "execution": self._execution(name)["status"],
        }
        return Outcome(state, Counter(str(notice["kind"]) for notice in self._notices(name)))


@pytest.fixture
def scenario(breakable: Pipeline) -> Iterator[AnalyticsJobs]:
    with timeouts(breakable, api=6, analytics_worker=8), ThreadPoolExecutor(CALLERS) as callers:
        yield AnalyticsJobs(breakable, callers)
        breakable.clear_faults()


def test_no_call_that_dies_loses_or_doubles_a_job(scenario: AnalyticsJobs, record_property: RecordProperty) -> None:
    sweep = assert_all_survive(scenario, record_property)
    expected = sweep.expected
    assert expected.state["result"] == [{"value": 0}]
    reads = {function: count for (function, *call), count in sweep.calls.unnamed.items() if tuple(call) == DATASETS}
    assert reads == {"api": 1, "analytics_worker": 1}, "each checks the question by the datasets"
    assert (expected.state["job"]["state"], expected.state["execution"]) == ("succeeded", "SUCCEEDED")
    assert expected.sent == {"analytics.done": 1}
    assert {function for function, _, _ in sweep.calls.named} == {"api", "analytics_worker"}
