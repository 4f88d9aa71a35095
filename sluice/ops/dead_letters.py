"""Dead letters: looking at them, delivering them again, removing them.

A letter is deleted only after what delivers it again has been accepted; dying in between delivers it twice, which the
pipeline is made for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import batched
from typing import TYPE_CHECKING, Any

from pipeline.items import State
from sluice.console import FAILED, fail
from sluice.data import queues
from sluice.data.ledger import Item, LedgerView
from sluice.ops.letters import Kind, Letter, read_letter

if TYPE_CHECKING:
    from sluice.stack import Stack

QUEUES = {
    "chunks": "chunk_dlq_url",
    "ingest": "ingest_dlq_url",
    "loads": "load_dlq_url",
    "feedback": "feedback_dlq_url",
}
"""What the verbs call the dead-letter queues, and the Terraform outputs with their urls."""

SOURCES = {"chunks": "chunk_queue_url", "loads": "load_queue_url", "feedback": "feedback_queue_url"}
"""The queues that SQS put letters aside from: a letter is delivered again by being moved back."""

LOOK_SECONDS = 20  # for which a letter that is only looked at is hidden from others
WORK_SECONDS = 300  # for which one that is being delivered again is hidden
_BATCH = 10
_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Redriven:
    """What a redrive did to one queue. ``left`` are the letters that stay, with why."""

    queue: str
    before: int
    moved: int
    after: int
    left: list[tuple[Letter, str]] = field(default_factory=list)


class DeadLetters:
    """The dead-letter queues of a stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._sqs = stack.client("sqs")
        self._ledger = LedgerView(stack.client("dynamodb"), stack["ledger_table"])

    @property
    def names(self) -> list[str]:
        """The dead-letter queues that the stack has."""
        return list(queues.present(self._stack, QUEUES))

    def url(self, queue: str) -> str:
        return self._stack[QUEUES[queue]]

    def count(self, queue: str) -> int:
        """Messages in a queue, hidden ones included. SQS calls the number approximate."""
        return queues.depth(self._sqs, self.url(queue)).total

    # -- looking -----------------------------------------------------------------------------------------------------

    def look(self, queue: str, limit: int = 100) -> list[Letter]:
        """Up to ``limit`` letters of a queue, oldest first; others see them again at once.

        SQS counts the look as a receive. A dead-letter queue has no redrive of its own, so that changes nothing.
        """
        letters = self._receive(queue, limit, LOOK_SECONDS)
        self._release(queue, letters)
        return sorted(letters, key=lambda letter: letter.age() or 0.0, reverse=True)

    def find(self, queue_names: Iterable[str], word: str) -> list[Letter]:
        """All letters that ``word`` names (see Letter.named_by)."""
        return [letter for queue in queue_names for letter in self.look(queue, limit=10_000) if letter.named_by(word)]

    def with_reasons(self, letters: Sequence[Letter]) -> list[Letter]:
        """A chunk message does not say why it died; the ledger does."""
        items = self._ledger.objects({letter.object_id for letter in letters if letter.object_id})
        return [self._with_reason(letter, items.get(letter.object_id or "")) for letter in letters]

    def _with_reason(self, letter: Letter, item: Item | None) -> Letter:
        if letter.kind is Kind.COMMITTED and item is not None:
            told = item.get("load_error") if letter.queue == "loads" else None
            return replace(letter, reason=str(told or "its function failed each time; see its log"))
        if letter.kind is not Kind.CHUNK:
            return letter
        if item is None:
            return replace(letter, reason="the ledger does not know the object")
        if item["state"] in (State.FAILED, State.MISSING):
            return replace(letter, reason=f"{item['failed_reason']}: {item.get('error', '')}".rstrip(": "))
        if item["state"] == State.COMMITTED:
            return replace(letter, reason="the object is committed since")
        return replace(letter, reason=f"the object is {item['state']}: its function died each time, or was throttled")

    # -- delivering again --------------------------------------------------------------------------------------------

    def redrive_all(self, queue: str, rate: int | None = None, deadline: float = 600) -> Redriven:
        """Delivers every letter of a queue again, at most ``rate`` a second; by SQS's move task where it put them."""
        if queue in SOURCES:
            return self._move(queue, rate, deadline)
        return self.redrive(queue, lambda _: True, rate)

    def redrive(self, queue: str, wanted: Callable[[Letter], bool], rate: int | None = None) -> Redriven:
        """Delivers the wanted letters of a queue again, one by one."""
        before = self.count(queue)
        letters = self._receive(queue, 10_000, WORK_SECONDS)
        chosen = [letter for letter in letters if wanted(letter)]
        self._release(queue, [letter for letter in letters if not wanted(letter)])
        left: list[tuple[Letter, str]] = []
        for letter in chosen:
            began = time.monotonic()
            if why := self._deliver(letter):
                left.append((letter, why))
            else:
                self._sqs.delete_message(QueueUrl=self.url(queue), ReceiptHandle=letter.handle)
            if rate and letter is not chosen[-1]:
                time.sleep(max(0.0, 1 / rate - (time.monotonic() - began)))
        self._release(queue, [letter for letter, _ in left])
        return Redriven(queue, before, len(chosen) - len(left), self.count(queue), left)

    def _deliver(self, letter: Letter) -> str | None:
        """Why it was not accepted, None when it was."""
        if not letter.repairable:
            return f"{letter.reason}; nothing can work it: `sluice dlq show`, then `sluice dlq purge` it"
        if letter.event is None:
            self._sqs.send_message(QueueUrl=self._stack[SOURCES[letter.queue]], MessageBody=letter.body)
            return None
        answer = self._stack.client("lambda").invoke(
            FunctionName=self._stack["ingest_function"],
            InvocationType="Event",
            Payload=json.dumps(letter.event).encode(),
        )
        accepted = 202  # https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
        return None if answer["StatusCode"] == accepted else f"Lambda answered {answer['StatusCode']}"

    def _move(self, queue: str, rate: int | None, deadline: float) -> Redriven:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html"""
        from botocore.exceptions import ClientError

        before = self.count(queue)
        if not before:
            return Redriven(queue, 0, 0, 0)
        source = self._arn(self.url(queue))
        limit = {"MaxNumberOfMessagesPerSecond": rate} if rate else {}
        try:
            # The destination is named: left out, letters that were put here by hand could not be moved.
            handle = self._sqs.start_message_move_task(
                SourceArn=source, DestinationArn=self._arn(self._stack[SOURCES[queue]]), **limit
            )["TaskHandle"]
        except ClientError as error:
            fail(f"SQS does not start moving: {error.response['Error'].get('Message')}", FAILED)
        end = time.monotonic() + deadline
        while True:
            task = self._sqs.list_message_move_tasks(SourceArn=source, MaxResults=1)["Results"][0]
            if task["Status"] == "FAILED":
                fail(f"SQS stopped moving: {task.get('FailureReason')}", FAILED)
            moved = int(task.get("ApproximateNumberOfMessagesMoved", 0))
            if task["Status"] not in ("RUNNING", "CREATED", "CANCELLING"):
                return Redriven(queue, before, moved, self.count(queue))
            if moved > before and task["Status"] == "RUNNING":
                # A task ends when it finds the queue empty, which it never does while letters die again and come back.
                self._cancel(handle)
            if time.monotonic() > end:
                fail(f"after {deadline:.0f} s {moved} of {before} letters are moved; SQS goes on with it", FAILED)
            time.sleep(_POLL_SECONDS)

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

    def purge(self, queue: str, wanted: Callable[[Letter], bool]) -> int:
        """Removes the wanted letters of a queue; how many."""
        letters = self._receive(queue, 10_000, WORK_SECONDS)
        chosen = [letter for letter in letters if wanted(letter)]
        self._release(queue, [letter for letter in letters if not wanted(letter)])
        for batch in batched(chosen, _BATCH, strict=False):
            entries = [{"Id": str(n), "ReceiptHandle": letter.handle} for n, letter in enumerate(batch)]
            answer = self._sqs.delete_message_batch(QueueUrl=self.url(queue), Entries=entries)
            if failed := answer.get("Failed"):
                fail(f"SQS did not delete {len(failed)} messages: {failed[0].get('Message')}", FAILED)
        return len(chosen)

    # -- SQS ---------------------------------------------------------------------------------------------------------

    def _receive(self, queue: str, limit: int, hide: int) -> list[Letter]:
        """Up to ``limit`` waiting letters, hidden from others for ``hide`` seconds."""
        url = self.url(queue)
        limit = min(limit, queues.depth(self._sqs, url).waiting)
        found: dict[str, Letter] = {}
        while len(found) < limit:
            answer = self._sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(_BATCH, limit - len(found)),
                VisibilityTimeout=hide,
                WaitTimeSeconds=1,
                AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
            fresh = [m for m in answer.get("Messages", []) if m["MessageId"] not in found]
            if not fresh:
                break
            found |= {message["MessageId"]: read_letter(queue, message) for message in fresh}
        return list(found.values())

    def _release(self, queue: str, letters: Collection[Letter]) -> None:
        for batch in batched(letters, _BATCH, strict=False):
            entries = [
                {"Id": str(n), "ReceiptHandle": letter.handle, "VisibilityTimeout": 0} for n, letter in enumerate(batch)
            ]
            self._sqs.change_message_visibility_batch(QueueUrl=self.url(queue), Entries=entries)


def describe(letter: Letter) -> dict[str, Any]:
    """A letter as JSON; age in seconds."""
    age = letter.age()
    return {
        "queue": letter.queue,
        "message_id": letter.message_id,
        "kind": letter.kind,
        "object_id": letter.object_id,
        "key": letter.key,
        "chunk": letter.chunk,
        "reason": letter.reason,
        "receives": letter.receives,
        "age_seconds": None if age is None else round(age, 1),
        "repairable": letter.repairable,
    }
