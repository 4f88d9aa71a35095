"""The dead-letter queues of a stack: looking at their messages, redriving them, removing them.

A message is deleted only after its redelivery has been accepted. A crash in between delivers it twice, and the pipeline
is made for that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import batched
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail
from sluice.pipeline import queues
from sluice.pipeline.branches import Branches
from sluice.pipeline.ledger import Item, LedgerView
from sluice.pipeline.message_formats import SEE_LEDGER, DeadLetterMessage, Kind, read_message
from sluice.polling import poll
from sluice_pipeline.ledger.items import State

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

LOOK_SECONDS = 20  # for which a message that is only looked at is hidden from other consumers
WORK_SECONDS = 300  # for which one that is being redelivered is hidden
_EVERY = 10_000
_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Redriven:
    """What a redrive did to one queue. ``left`` are the messages that stay, with the reason of each."""

    queue: str
    before: int
    moved: int
    after: int
    left: list[tuple[DeadLetterMessage, str]] = field(default_factory=list)


class DeadLetters:
    """The dead-letter queues of a stack, by the key of their queue."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._sqs = stack.client("sqs")
        self._queues = Branches.of(stack).queues
        self._ledger = LedgerView.of(stack)

    @property
    def names(self) -> list[str]:
        """The keys of the queues, the core's first."""
        return list(self._queues)

    def url(self, queue: str) -> str:
        return self._queues[queue].dlq_url

    def count(self, queue: str) -> int:
        """Messages in a dead-letter queue, hidden ones included. SQS calls the number approximate."""
        return queues.depth(self._sqs, self.url(queue)).total

    # -- looking -----------------------------------------------------------------------------------------------------

    def look(self, queue: str, limit: int = 100) -> list[DeadLetterMessage]:
        """Up to ``limit`` messages, oldest first; other consumers see them again at once."""
        messages = self._receive(queue, limit, LOOK_SECONDS)
        self._release(queue, messages)
        return sorted(messages, key=lambda message: message.age() or 0.0, reverse=True)

    def find(self, queue_names: Iterable[str], word: str) -> list[DeadLetterMessage]:
        """All messages that ``word`` names (see DeadLetterMessage.named_by)."""
        return [message for queue in queue_names for message in self.look(queue, _EVERY) if message.named_by(word)]

    def with_reasons(self, messages: Sequence[DeadLetterMessage]) -> list[DeadLetterMessage]:
        """The messages with the reasons that the ledger has: most bodies do not say why they failed."""
        items = self._ledger.objects({message.object_id for message in messages if message.object_id})
        return [self._with_reason(message, items.get(message.object_id or "")) for message in messages]

    def _with_reason(self, message: DeadLetterMessage, item: Item | None) -> DeadLetterMessage:
        if message.reason != SEE_LEDGER:
            return message
        if message.kind in (Kind.COMMITTED, Kind.STAGED) and item is not None:
            # A branch that knows why stores it in the ledger, as load stores load_error.
            stored = item.get(f"{self._queues[message.queue].label}_error")
            return replace(message, reason=str(stored or "its function failed each time; see its log"))
        if message.kind not in (Kind.CHUNK, Kind.EVENT):
            return message
        if item is None:
            return replace(message, reason="the ledger does not know the object")
        if item["state"] in (State.FAILED, State.MISSING):
            return replace(message, reason=f"{item['failed_reason']}: {item.get('error', '')}".rstrip(": "))
        if item["state"] == State.COMMITTED:
            return replace(message, reason="the object is committed since")
        return replace(message, reason=f"the object is {item['state']}: its function died each time, or was throttled")

    # -- redriving ---------------------------------------------------------------------------------------------------

    def redrive_all(self, queue: str, rate: int | None = None, deadline: float = 600) -> Redriven:
        """Redelivers every message, at most ``rate`` a second; by SQS's move task where the queue has a source."""
        if self._queues[queue].url is not None:
            return self._move(queue, rate, deadline)
        return self.redrive(queue, lambda _: True, rate)

    def redrive(self, queue: str, wanted: Callable[[DeadLetterMessage], bool], rate: int | None = None) -> Redriven:
        """Redelivers the wanted messages, one by one."""
        before = self.count(queue)
        chosen = self._choose(queue, wanted)
        left: list[tuple[DeadLetterMessage, str]] = []
        for message in chosen:
            began = time.monotonic()
            if why := self._deliver(message):
                left.append((message, why))
            else:
                self._sqs.delete_message(QueueUrl=self.url(queue), ReceiptHandle=message.handle)
            if rate and message is not chosen[-1]:
                time.sleep(max(0.0, 1 / rate - (time.monotonic() - began)))
        self._release(queue, [message for message, _ in left])
        return Redriven(queue, before, len(chosen) - len(left), self.count(queue), left)

    def _deliver(self, message: DeadLetterMessage) -> str | None:
        """Why it was not accepted, None when it was."""
        if not message.repairable:
            return f"{message.reason}; no function can process it: `sluice dlq show`, then `sluice dlq purge` it"
        self._sqs.send_message(QueueUrl=self._queues[message.queue].url, MessageBody=message.body)
        return None

    def _move(self, queue: str, rate: int | None, deadline: float) -> Redriven:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html"""
        from botocore.exceptions import ClientError

        before = self.count(queue)
        if not before:
            return Redriven(queue, 0, 0, 0)
        source = self._arn(self.url(queue))
        limit = {"MaxNumberOfMessagesPerSecond": rate} if rate else {}
        try:
            # The destination is named: left out, messages that were put here by hand could not be moved.
            handle = self._sqs.start_message_move_task(
                SourceArn=source, DestinationArn=self._arn(str(self._queues[queue].url)), **limit
            )["TaskHandle"]
        except ClientError as error:
            fail(f"SQS did not start to move the messages: {error.response['Error'].get('Message')}", FAILED)

        def look() -> dict[str, Any]:
            task: dict[str, Any] = self._sqs.list_message_move_tasks(SourceArn=source, MaxResults=1)["Results"][0]
            if task["Status"] == "FAILED":
                fail(f"SQS stopped moving: {task.get('FailureReason')}", FAILED)
            if _moved(task) > before and task["Status"] == "RUNNING":
                # A task ends when it finds the queue empty, which it never does while messages fail and come back.
                self._cancel(handle)
            return task

        running = ("RUNNING", "CREATED", "CANCELLING")
        task, done = poll(look, lambda t: t["Status"] not in running, seconds=deadline, interval=_POLL_SECONDS)
        if not done:
            fail(f"after {deadline:.0f} s {_moved(task)} of {before} messages are moved; SQS continues", FAILED)
        return Redriven(queue, before, _moved(task), self.count(queue))

    def _cancel(self, handle: str) -> None:
        from botocore.exceptions import ClientError

        try:
            self._sqs.cancel_message_move_task(TaskHandle=handle)
        except ClientError as error:  # it has ended by itself
            if error.response["Error"].get("Code", "").rpartition(".")[2] != "ResourceNotFoundException":
                raise

    def _arn(self, url: str) -> str:
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    # -- removing ----------------------------------------------------------------------------------------------------

    def purge_all(self, queue: str) -> int:
        """Removes every message of a queue; how many there were."""
        from botocore.exceptions import ClientError

        before = self.count(queue)
        try:
            self._sqs.purge_queue(QueueUrl=self.url(queue))
        except ClientError as error:
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html
            if "PurgeQueueInProgress" in str(error.response["Error"].get("Code")):
                fail("SQS purges a queue once a minute at most: try again then", FAILED)
            raise
        return before

    def purge(self, queue: str, wanted: Callable[[DeadLetterMessage], bool]) -> int:
        """Removes the wanted messages of a queue; how many."""
        chosen = self._choose(queue, wanted)
        for batch in batched(chosen, queues.BATCH, strict=False):
            entries = [{"Id": str(n), "ReceiptHandle": message.handle} for n, message in enumerate(batch)]
            answer = self._sqs.delete_message_batch(QueueUrl=self.url(queue), Entries=entries)
            if failed := answer.get("Failed"):
                fail(f"SQS did not delete {len(failed)} messages: {failed[0].get('Message')}", FAILED)
        return len(chosen)

    # -- SQS ---------------------------------------------------------------------------------------------------------

    def _choose(self, queue: str, wanted: Callable[[DeadLetterMessage], bool]) -> list[DeadLetterMessage]:
        """The wanted messages, hidden while they are worked on; the others are visible again."""
        messages = self._receive(queue, _EVERY, WORK_SECONDS)
        chosen = [message for message in messages if wanted(message)]
        self._release(queue, [message for message in messages if not wanted(message)])
        return chosen

    def _receive(self, queue: str, limit: int, hide: int) -> list[DeadLetterMessage]:
        found = queues.receive_messages(self._sqs, self.url(queue), limit, hide)
        return [read_message(self._queues[queue], message) for message in found]

    def _release(self, queue: str, messages: Collection[DeadLetterMessage]) -> None:
        queues.release(self._sqs, self.url(queue), [message.handle for message in messages])


def _moved(task: dict[str, Any]) -> int:
    return int(task.get("ApproximateNumberOfMessagesMoved", 0))


def describe(message: DeadLetterMessage) -> dict[str, Any]:
    """A message as JSON; age in seconds."""
    age = message.age()
    return {
        "queue": message.queue,
        "message_id": message.message_id,
        "kind": message.kind,
        "object_id": message.object_id,
        "key": message.key,
        "chunk": message.chunk,
        "reason": message.reason,
        "receives": message.receives,
        "age_seconds": None if age is None else round(age, 1),
        "repairable": message.repairable,
    }
