"""Every call that settle makes is broken in four ways; each dead chunk fails with one notice and can be redriven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures import formats, shipping
from sluice.pipeline import queues
from tests.support.changes import changed_code, paused, timeouts, unscheduled
from tests.support.pipeline import Pipeline, Put, until
from tests.support.sweep import (
    Call,
    Outcome,
    Point,
    RecordProperty,
    Scenario,
    Sweep,
    assert_all_survive,
    sent_before_it_is_recorded,
)

pytestmark = pytest.mark.sweep

ROWS = 10
BODY = formats.jsonl(shipping.records("shipments", 31, ROWS))
ENDED = "it could not start (Runtime.ImportModuleError)"
UNREAD = "its log says nothing of it"  # where the log is what could not be read
LOG = """INIT_REPORT Init Duration: 120.00 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError
REPORT RequestId: 1\tStatus: error\tError Type: Runtime.ImportModuleError\t"""


class Settling(Scenario):
    """An object whose only chunk is in the dead-letter queue, and the ledger does not say why."""

    branch = "settle"
    functions = ("settle",)
    starts_cold = False  # its environments call nothing when they start
    # Sent, and not recorded as sent: that is the update after it.
    repeats = sent_before_it_is_recorded("sns", "Publish")

    def __init__(self, pipe: Pipeline) -> None:
        super().__init__(pipe)
        self.puts: dict[str, Put] = {}
        self.messages: dict[str, str] = {}

    def prepare(self, names: Sequence[str]) -> None:
        """Planned objects, whose messages are taken out of the queue."""
        new = {name: self.pipe.put("shipments", BODY, name) for name in names}
        self.puts |= new
        queue = self.pipe.stack["chunk_queue_url"]
        waiting = {put.ref.key: name for name, put in new.items()}

        def taken() -> bool:
            answer = self.pipe.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                for key in waiting.keys() & queues.keys_named(message["Body"]):
                    self.messages[waiting.pop(key)] = message["Body"]
                    self.pipe.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return not waiting

        until("the messages", taken, 300)

    def about(self, name: str) -> list[str]:
        return [self.puts[name].object_id]

    def start(self, name: str) -> None:
        """Its message is moved as SQS does it, some time after the object made its last progress."""
        self._went_by("planned", self.puts[name])
        self.pipe.sqs.send_message(QueueUrl=self.pipe.stack["chunk_dlq_url"], MessageBody=self.messages[name])
        self._log()
        self._settle()

    def _went_by(self, state: str, put: Put) -> None:
        """As if two minutes had passed since the object came into this state."""
        before = (datetime.now(UTC) - timedelta(minutes=2)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.pipe.dynamodb.update_item(
            TableName=self.pipe.stack["ledger_table"],
            Key={"pk": {"S": f"object#{put.object_id}"}, "sk": {"S": "object"}},
            UpdateExpression="SET updated_at = :before",
            ConditionExpression="#state = :state",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":before": {"S": before}, ":state": {"S": state}},
        )

    def _log(self) -> None:
        """What Lambda writes when the function does not start."""
        logs, group = self.pipe.stack.client("logs"), f"/aws/lambda/{self.pipe.stack['transform_function']}"
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(logGroupName=group, logStreamName=self.pipe.run)
        now = int(datetime.now(UTC).timestamp() * 1000)
        events = [{"timestamp": now, "message": f"{line}\n"} for line in LOG.splitlines()]
        logs.put_log_events(logGroupName=group, logStreamName=self.pipe.run, logEvents=events)

    def _settle(self) -> None:
        """Runs it now, instead of at the next full minute; the copy's fault may end it."""
        self.pipe.lambda_.invoke(FunctionName=self.pipe.stack["settle_function"])

    def wait(self, names: Collection[str]) -> None:
        """Runs it again and again, as its schedule does. A notice that a dead function left becomes due."""

        def settled() -> bool:
            items = {name: self.pipe.entry(self.puts[name]).item for name in names}
            unsettled = [name for name, item in items.items() if item["state"] == "planned" or "notice_due" in item]
            if unsettled:
                self.run_again(*unsettled)
            return not unsettled

        until("the failures", settled, 300)

    def run_again(self, *names: str) -> None:
        """A run some minutes later."""
        for name in names:
            self._went_by(self.pipe.entry(self.puts[name]).state, self.puts[name])
        self._settle()

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        # A function that dies before it releases them hides them for some seconds.
        until("the messages to be visible", lambda: not queues.depth(self.pipe.sqs, self._dead).in_flight)
        bodies = queues.peek(self.pipe.sqs, self._dead)
        return [self._outcome(self.puts[name], bodies) for name in names]

    @property
    def _dead(self) -> str:
        return self.pipe.stack["chunk_dlq_url"]

    def _outcome(self, put: Put, bodies: list[str]) -> Outcome:
        entry = self.pipe.entry(put)
        [chunk] = entry.chunks
        error = str(entry.item.get("error"))
        state: dict[str, Any] = {
            "state": (entry.state, entry.item.get("failed_reason"), "notice_due" in entry.item),
            "chunk": chunk["chunk_state"],
            "the same error": chunk.get("error") == f"retries_exhausted: {error}",
            "how it ended": any(f"the function did not survive the last: {how}" in error for how in (ENDED, UNREAD)),
            "messages to be redriven": sum(put.ref.key in body for body in bodies),
        }
        return Outcome(state, Counter(str(one["kind"]) for one in self.pipe.mail.notices(object_id=put.object_id)))

    def redrive(self) -> list[Put]:
        """Puts all messages back; the objects."""
        puts = list(self.puts.values())
        moved = self.pipe.receive_messages_about(*puts)
        assert len(moved) == len(puts)
        for message in self.messages.values():
            self.pipe.send(message)
        return puts


@pytest.fixture
def settling(breakable: Pipeline) -> Iterator[Settling]:
    """At the end all messages are redriven: every object is committed, with its rows."""
    pipe = breakable
    # Longer than the SDK retries a throttled call, and shorter than it waits for one that hangs.
    with timeouts(pipe, settle=16), unscheduled(pipe, "settle"):
        with paused(pipe, "transform"):
            scenario = Settling(pipe)
            yield scenario
            pipe.clear_faults()
            puts = scenario.redrive()
        items = pipe.wait(*puts, deadline=300)
    assert {(item["state"], item["rows_silver"], "notice_due" in item) for item in items} == {
        ("committed", ROWS, False)
    }
    pipe.verified(pipe.key("shipments", ""))


def test_no_call_that_dies_loses_or_doubles_a_failure(settling: Settling, record_property: RecordProperty) -> None:
    sweep = assert_all_survive(settling, record_property)
    assert sweep.expected.state == {
        "state": ("failed", "retries_exhausted", False),
        "chunk": "failed",
        "the same error": True,
        "how it ended": True,
        "messages to be redriven": 1,
    }
    assert sweep.expected.sent == {"object.failed": 1}
    assert sweep.calls.named.total() == 5


MUTATIONS = {
    "a notice that is not sent any more when its function died": (
        "for object_id in waiting.due_notices()]",
        "for object_id in ()]",
        Point(Call("settle", "sns", "Publish"), "kill-before"),
    ),
    "a chunk that has failed, and its object waits for ever": (
        "if not is_planned(message):",
        "if True:",
        Point(Call("settle", "dynamodb", "UpdateItem"), "kill-after"),
    ),
}


def test_the_sweep_fails_when_the_code_is_wrong(settling: Settling) -> None:
    sweep = Sweep(settling)
    expected = sweep.baseline()
    names = [f"mutant-{number}" for number in range(len(MUTATIONS))]
    settling.prepare(names)
    for name, (what, (right, wrong, point)) in zip(names, MUTATIONS.items(), strict=True):
        with changed_code(settling.pipe, "settle", "core/settle/handler.py", right, wrong):
            sweep.break_copy(name, point)
            assert settling.pipe.unmet_faults() == []
            settling.pipe.clear_faults()
            settling.run_again(name)
            [outcome] = settling.outcomes([name])
            assert outcome.difference(expected, more=1), f"the sweep does not see {what}"
    settling.wait(names)  # the right code settles what the wrong code left
    assert [outcome.difference(expected) for outcome in settling.outcomes(names)] == [""] * len(names)
