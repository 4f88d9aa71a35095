"""A queue of many messages: sent in batches, then received and deleted by the mapping's poller of a small function.

The mapping is off while the messages are sent, so all of them wait at once.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import batched
from typing import Any

from sluice.bench import functions, stage
from sluice.bench.stage import Stage
from sluice.console import fail
from sluice.polling import poll

CODE = "def handler(event, context):\n    return None\n"
BATCH, WINDOW = 5_000, 1  # messages and seconds of the mapping: an event of at most 6 MB
SENT, AT_ONCE = 10, 4  # messages of a call, and calls at a time
PARTS = 10  # of which the first and the last one are compared


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
        (start, _, _), (_, early, left), *_ = marks
        (_, late, remaining), (end, last, _) = marks[-2:]
        return Queue(
            messages / sent_s,
            messages / (end - start),
            after.per(before, messages).engine,
            early.per(marks[0][1], max(1, messages - left)).engine,
            last.per(late, max(1, remaining)).engine,
            max(0, memory.engine - before_memory),
        )


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


def _marks(own: Stage, sqs: Any, url: str, messages: int, deadline: float) -> Iterator[tuple[float, stage.Usage, int]]:
    """When, the usage then, and how many messages are left: at the begin, and as each part has gone."""
    end = time.monotonic() + deadline
    yield time.monotonic(), own.usage(), messages
    for part in range(PARTS - 1, -1, -1):
        limit = messages * part // PARTS
        found = poll(partial(_left, sqs, url), limit.__ge__, seconds=end - time.monotonic(), interval=0.2)
        if not found.done:
            fail(f"{found.value:,} of {messages:,} messages are in the queue after {deadline:.0f} s", 1)
        yield time.monotonic(), own.usage(), int(found.value)


def _left(sqs: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)
