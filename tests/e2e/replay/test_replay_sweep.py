"""Every call of the replay's steps is broken in four ways; a replay leaves silver as it was, in one new run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures import formats, shipping
from sluice.pipeline import replay as replaying
from sluice.pipeline.replay import Replays
from sluice_pipeline.replays.request import Request
from tests.support.changes import timeouts, wide_mapping
from tests.support.pipeline import Pipeline, Put, until
from tests.support.sweep import Outcome, RecordProperty, Scenario, assert_all_survive

pytestmark = pytest.mark.sweep

ROWS = 20
BODIES = [formats.jsonl(shipping.records("shipments", part, ROWS, days=1)) for part in range(2)]
OBJECTS = len(BODIES)


class Replaying(Scenario):
    """Two committed objects of a prefix are replayed; each copy has a prefix and a time of its own."""

    branch = "replay"
    functions = ("replay",)
    # The check reads and returns until the objects are committed; a copy may need fewer of them.
    polls = frozenset({("dynamodb", "BatchGetItem"), ("s3", "GetObject"), ("lambda", "Return")})

    def __init__(self, pipe: Pipeline) -> None:
        super().__init__(pipe)
        self.workflows = pipe.stack.client("stepfunctions")
        self.puts: dict[str, list[Put]] = {}
        self.requests: dict[str, Request] = {}
        self.before: dict[str, list[dict[str, bytes]]] = {}

    def prepare(self, names: Sequence[str]) -> None:
        began = datetime.now(UTC) - timedelta(seconds=5)
        for name in names:
            self.puts[name] = [
                self.pipe.put("shipments", body, f"{name}/{part}.jsonl") for part, body in enumerate(BODIES)
            ]
        self.pipe.wait(*(put for name in names for put in self.puts[name]), deadline=300)
        listed = {kind: self.pipe.keys(kind) for kind in ("silver", "quarantine")}
        for number, name in enumerate(names):
            self.before[name] = self._contents(name, listed)
            # The plan's query names no object, but it names this time, which is another for each copy.
            since = (began - timedelta(milliseconds=number)).isoformat()
            prefix = self.pipe.key("shipments", f"{name}/")
            self.requests[name] = replaying.request(prefix=prefix, since=since, id=self.pipe.run)

    def _contents(self, name: str, listed: dict[str, list[str]]) -> list[dict[str, bytes]]:
        return [
            self.pipe.files(put, "silver", listed["silver"]) | self.pipe.files(put, "quarantine", listed["quarantine"])
            for put in self.puts[name]
        ]

    def about(self, name: str) -> list[str]:
        wanted = self.requests[name]
        ids = [put.object_id for put in self.puts[name]]
        return [wanted.name, wanted.since, self.pipe.key("shipments", f"{name}/"), *ids]

    def start(self, name: str) -> None:
        wanted = self.requests[name]
        self.workflows.start_execution(
            stateMachineArn=self.pipe.stack["replay_state_machine_arn"], name=wanted.name, input=wanted.canonical
        )

    def wait(self, names: Collection[str]) -> None:
        replays = Replays(self.pipe.stack)
        for name in names:
            run = self.requests[name].name
            until(f"the end of {run}", lambda run=run: replays.get(run).status != "RUNNING", 300)
            until("the notice", lambda run=run: self.pipe.mail.notices(replay=run))
        self.pipe.wait(*(put for name in names for put in self.puts[name]), deadline=300)

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        listed = {kind: self.pipe.keys(kind) for kind in ("silver", "quarantine")}
        return [self._outcome(name, listed) for name in names]

    def _outcome(self, name: str, listed: dict[str, list[str]]) -> Outcome:
        run = self.requests[name].name
        done = Replays(self.pipe.stack).get(run)
        result = done.result or {}
        entries = [self.pipe.entry(put) for put in self.puts[name]]
        state: dict[str, Any] = {
            "status": done.status,
            "result": {part: result.get(part) for part in ("ok", "objects", "outcomes", "before", "after", "problems")},
            "runs": [entry.number("run") for entry in entries],
            "states": [entry.state for entry in entries],
            "byte-identical": self._contents(name, listed) == self.before[name],
        }
        return Outcome(state, Counter(str(notice["kind"]) for notice in self.pipe.mail.notices(replay=run)))


@pytest.fixture
def scenario(breakable: Pipeline) -> Iterator[Replaying]:
    # Other functions have their time: what is swept is the replay.
    with timeouts(breakable, replay=15), wide_mapping(breakable, "transform"):
        yield Replaying(breakable)
        breakable.clear_faults()


def test_no_call_that_dies_loses_or_doubles_a_replay(scenario: Replaying, record_property: RecordProperty) -> None:
    sweep = assert_all_survive(scenario, record_property)
    state = sweep.expected.state
    assert (state["status"], state["runs"], state["byte-identical"]) == ("SUCCEEDED", [2] * OBJECTS, True)
    assert (state["result"]["ok"], state["result"]["outcomes"]) == (True, {"committed": OBJECTS})
    assert sweep.expected.sent == {"replay.done": 1}
    scenario.pipe.verified(scenario.pipe.key("shipments", ""))
