"""The stack's output `branches`: what the verbs learn from it, without a list of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from sluice.console import SluiceError
from sluice.pipeline import queues
from sluice.pipeline.branches import Branches, Queue
from sluice.pipeline.dead_letters import DeadLetters
from sluice.pipeline.logs import FileLog, FunctionLog
from sluice.pipeline.message_formats import Kind, read_message
from tests.support.fakes import OUTPUTS, FakeStack

LAKE = {
    "functions": {"lake": {"name": "s-lake", "log_group": "/aws/lambda/s-lake", "alarms": True}},
    "queues": {
        "lakes": {"name": "s-lakes", "url": "http://sqs/lakes", "dlq_name": "s-lakes-dlq",
                  "dlq_url": "http://sqs/lakes-dlq", "label": "lake"},
    },
    "workflows": {"lake": {"arn": "arn:lake", "name": "s-lake", "alarms": False}},
    "tables": {"lake": "s-lake"}, "notices": ["lake.done"], "outputs": {"lake_database": "x"},
}  # fmt: skip


@pytest.fixture
def stack() -> FakeStack:
    """A stack with a branch that the host tool does not know; it sorts before the core."""
    found = FakeStack()
    found.outputs["branches"] = {"a_lake": LAKE, **OUTPUTS["branches"]}
    return found


def test_a_branch_is_known_from_the_output_alone_and_the_core_comes_first(stack: FakeStack) -> None:
    found = Branches.of(stack)  # type: ignore[arg-type]
    assert list(found.queues) == ["chunks", "ingest", "lakes"]
    assert found.sources == {name: f"http://sqs/{name}" for name in found.queues}
    assert found.functions["lake"].log_group == "/aws/lambda/s-lake"
    assert found.functions["lake"].branch == "a_lake"
    assert found.workflows["lake"].alarms is False
    assert found.tables == {"ledger": "ledger", "lake": "s-lake"}
    assert found.notices == {"core": ["dead.letter"], "a_lake": ["lake.done"]}


def test_notices_that_wait_for_their_mail_are_no_work_on_objects(stack: FakeStack) -> None:
    digest = LAKE["queues"]["lakes"] | {"url": "http://sqs/digest"}
    stack.outputs["branches"]["a_lake"] = LAKE | {"queues": LAKE["queues"] | {"digest": digest}}
    found = Branches.of(stack)  # type: ignore[arg-type]
    assert "digest" in found.queues
    assert list(found.sources) == ["chunks", "ingest", "lakes"]


def test_a_stack_without_the_output_says_what_to_do(stack: FakeStack) -> None:
    del stack.outputs["branches"]
    with pytest.raises(SluiceError, match="no output 'branches': deploy it") as error:
        Branches.of(stack)  # type: ignore[arg-type]
    assert error.value.code == 1


def test_an_output_with_other_fields_is_an_error_and_not_half_read(stack: FakeStack) -> None:
    stack.outputs["branches"]["core"] = LAKE | {"functions": {"x": {"name": "x"}}}
    with pytest.raises(TypeError, match="log_group"):
        Branches.of(stack)  # type: ignore[arg-type]


def test_the_depths_have_every_queue_and_its_dead_letters(stack: FakeStack) -> None:
    stack.sqs.queues["http://sqs/lakes-dlq"] = ["a", "b"]
    found = queues.depths(stack)  # type: ignore[arg-type]
    assert {name: depth.total for name, depth in found.items()} == {
        "chunks": 0, "chunk dead-letter queue": 0, "ingest": 0, "ingest dead-letter queue": 0,
        "lakes": 0, "lake dead-letter queue": 2,
    }  # fmt: skip


def test_the_dead_letters_of_a_new_branch_are_read_as_committed_events(stack: FakeStack) -> None:
    name = stack.ingested("bronze/shipments/a.jsonl", 1)
    origin = stack.object_item(name)["origin"]
    stack.object_item(name)["lake_error"] = "the lake is full"
    body = '{"detail-type": "object.committed", "detail": {"origin": {"bucket": "%s", "key": "%s", "etag": "%s"}}}'
    stack.sqs.queues["http://sqs/lakes-dlq"] = [body % (origin["bucket"], origin["key"], origin["etag"]), "rubbish"]
    dead = DeadLetters(stack)  # type: ignore[arg-type]
    assert dead.names == ["chunks", "ingest", "lakes"]
    found = dead.with_reasons(dead.look("lakes"))
    assert [(one.kind, one.reason) for one in found] == [
        (Kind.COMMITTED, "the lake is full"), (Kind.UNKNOWN, "no object.committed event"),
    ]  # fmt: skip


def test_what_is_in_a_queue_without_a_source_can_go_nowhere() -> None:
    queue = Queue("core", "events", None, None, "d", "http://d", "event")
    found = read_message(queue, {"MessageId": "m", "ReceiptHandle": "h", "Body": '{"requestPayload": {}}'})
    assert (found.kind, found.repairable) == (Kind.UNKNOWN, False)


# -- logs --------------------------------------------------------------------------------------------------------------


@dataclass
class Logs:
    """One log group with these events."""

    events: list[dict[str, Any]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def get_paginator(self, _: str) -> Logs:
        return self

    def paginate(self, logGroupName: str, startTime: int) -> list[dict[str, Any]]:  # noqa: N803
        self.groups.append(logGroupName)
        return [{"events": [event for event in self.events if event["timestamp"] >= startTime]}]


def event(number: int) -> dict[str, Any]:
    return {"eventId": str(number), "timestamp": number * 1000, "message": f"line {number}\n"}


@pytest.mark.parametrize("name", ["lake", "s-lake"])
def test_a_functions_log_is_found_by_its_key_or_its_name(stack: FakeStack, name: str) -> None:
    stack.logs = Logs([event(2), event(1), event(3)])  # type: ignore[attr-defined]
    found = FunctionLog.of(stack, name)  # type: ignore[arg-type]
    assert list(found.read(2, follow=False)) == ["00:00:02.000 line 2", "00:00:03.000 line 3"]
    assert found.to_dict(1) == {"log_group": "/aws/lambda/s-lake", "events": [event(3)]}
    assert list(found.read(0, follow=False)) == []
    assert set(stack.logs.groups) == {"/aws/lambda/s-lake"}  # type: ignore[attr-defined]


def test_an_unknown_log_lists_the_known_ones(stack: FakeStack) -> None:
    with pytest.raises(SluiceError, match="there is no log 'x'; there are: engine, ingest, lake, postgres"):
        FunctionLog.of(stack, "x")  # type: ignore[arg-type]
    stack.outputs.clear()
    with pytest.raises(SluiceError, match="no function: nothing is deployed"):
        FunctionLog.of(stack, "x")  # type: ignore[arg-type]


def test_following_shows_each_event_once(stack: FakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.polling.time.sleep", lambda _: stack.logs.events.append(event(9)))  # type: ignore[attr-defined]
    stack.logs = Logs([event(1), event(2)])  # type: ignore[attr-defined]
    lines = FunctionLog.of(stack, "lake").read(1, follow=True)  # type: ignore[arg-type]
    assert [next(lines), next(lines)] == ["00:00:02.000 line 2", "00:00:09.000 line 9"]


def test_following_a_file_waits_for_whole_lines(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "engine.log"
    file.write_text("one\ntwo\n")
    more = iter(["thr", "ee\nfour\n"])
    monkeypatch.setattr("sluice.polling.time.sleep", lambda _: file.open("a").write(next(more)))
    lines = FileLog(file).read(1, follow=True)
    assert [next(lines), next(lines), next(lines)] == ["two", "three", "four"]
