"""A queue of many messages: sent in batches, then received and deleted by the mapping's poller of a small function.

The mapping is off while the messages are sent, so all of them wait at once.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import batched
from typing import Any

from sluice.bench import functions, stage
from sluice.bench.stage import Stage
from sluice.console import fail
from sluice.pipeline import queues
from sluice.polling import poll

CODE = "def handler(event, context):\n    return None\n"
BATCH, WINDOW = 1_000, 1  # messages and seconds of the mapping: an event is far below 6 MB
SENT, AT_ONCE = 10, 4  # messages of a call, and calls at a time
PARTS = 10  # of which the first and the last one are compared


@dataclass(frozen=True)
class Mark:
    """A moment (s), what the engine had spent by then, and the messages that were left."""

    at: float
    usage: stage.Usage
    left: int


@dataclass(frozen=True)
class Queue:
    """Messages a second, processor milliseconds of the engine for one message (sent; received and deleted in the first
    and in the last tenth), and the engine's highest memory in bytes for all of them."""

    sent_per_s: float
    drained_per_s: float
    send_ms: float
    first_ms: float
    last_ms: float
    grown: int


def measure(own: Stage, messages: int, deadline: float = 3600.0) -> Queue:
    """Raises SluiceError when the queue is not empty after ``deadline`` seconds."""
    with functions.Drain(own.stack, "many", CODE, batch_size=BATCH, window=WINDOW) as drain:
        sqs = own.stack.client("sqs")
        before_memory, _ = stage.memory(own.root())
        before, began = own.usage(), time.monotonic()
        with stage.Memory(own.root()) as memory:
            _send(sqs, drain.url, messages)
            sent_s, after = time.monotonic() - began, own.usage()
            drain.enable()
            marks = list(_marks(own, sqs, drain.url, messages, deadline))
        spent = costs(marks)
        return Queue(
            messages / sent_s,
            messages / (marks[-1].at - marks[0].at),
            after.per(before, messages).engine,
            spent[0],
            spent[-1],
            max(0, memory.engine - before_memory),
        )


def costs(marks: Sequence[Mark]) -> list[float]:
    """Milliseconds of the engine for a message, between marks that have half a part of all messages between them."""
    found, last = [], marks[0]
    for mark in marks[1:]:
        gone = last.left - mark.left
        if gone * 2 * PARTS >= marks[0].left:
            found.append(mark.usage.per(last.usage, gone).engine)
            last = mark
    return found


def _send(sqs: Any, url: str, messages: int) -> None:
    body = f'{{"run":"{uuid.uuid4().hex}","text":"{"x" * 150}"}}'

    def send(numbers: tuple[int, ...]) -> None:
        entries = [{"Id": str(number), "MessageBody": body} for number in numbers]
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        if answer.get("Failed"):
            fail(f"SQS refused {len(answer['Failed'])} messages: {answer['Failed'][0].get('Message')}", 1)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for some in batched(range(messages), 10_000, strict=False):  # so that not all batches wait in memory
            list(pool.map(send, batched(some, SENT, strict=False)))


def _marks(own: Stage, sqs: Any, url: str, messages: int, deadline: float) -> Iterator[Mark]:
    """One at the begin, and one as each part has gone."""
    end = time.monotonic() + deadline
    yield Mark(time.monotonic(), own.usage(), messages)
    for part in range(PARTS - 1, -1, -1):
        limit = messages * part // PARTS
        found = poll(lambda: queues.depth(sqs, url).total, limit.__ge__, seconds=end - time.monotonic(), interval=0.2)
        if not found.done:
            fail(f"{found.value:,} of {messages:,} messages are in the queue after {deadline:.0f} s", 1)
        yield Mark(time.monotonic(), own.usage(), int(found.value))
