"""When messages become visible, and that a message group waits for its messages in flight.

"When you receive a message with a message group ID, no more messages for the same message group ID are returned unless
you delete the message or it becomes visible."
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html

So a message in flight stops the later messages of its group and no earlier one: of a batch, the first message that
returns is there again, although the second is in flight.

LocalStack looks once a second what is due; lets a message of one group that is in flight stop the messages of every
other; and makes the rest of a group visible with the first of its messages that returns. Replaced:
`QueueUpdateWorker.start` and `stop`, and of `FifoQueue` `receive`, `requeue_inflight_messages`, `_put_message` and
`update_message_group_visibility`.
"""

import itertools
import math
import queue
import threading
import time
from typing import Any, Final

from localstack.services.sqs.models import FifoQueue, ReceiveMessageResult
from localstack.services.sqs.provider import QueueUpdateWorker

from sluice_ext.patching import replace

_SECONDS: Final = 0.1


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    replace(QueueUpdateWorker, "start", start, expect="(self)")
    replace(QueueUpdateWorker, "stop", stop, expect="(self)")
    replace(FifoQueue, "requeue_inflight_messages", return_messages, expect="(self)")
    replace(FifoQueue, "_put_message", put, expect="(self, message)")
    replace(FifoQueue, "update_message_group_visibility", offer, expect="(self, message_group)")
    received = "(self, num_messages, wait_time_seconds, visibility_timeout, poll_empty_queue)"
    replace(FifoQueue, "receive", receive, expect=received)


def start(self: Any) -> None:
    """Look ten times a second."""
    with self.mutex:
        if self.thread:
            return
        self.sluice_stop = threading.Event()
        self.thread = threading.Thread(target=_run, args=(self, self.sluice_stop), name="sqs-visibility", daemon=True)
        self.thread.start()


def stop(self: Any) -> None:
    """Look no more."""
    with self.mutex:
        if self.thread:
            self.sluice_stop.set()
        self.thread = None


def _run(worker: Any, stopped: threading.Event) -> None:
    for turn in itertools.count():
        if stopped.wait(_SECONDS):
            return
        # An engine without waiting messages does next to nothing here that a pause would have to wait for; retention
        # periods are whole minutes, so that their ends are looked for once a second.
        if not turn % 10 or any(one.inflight or one.delayed for one in list(worker.iter_queues())):
            worker.do_update_all_queues()


def return_messages(self: Any) -> None:
    """Messages whose visibility timeout has ended are no longer in flight."""
    if not self.inflight:
        return
    with self.mutex:
        for message in [message for message in self.inflight if message.is_visible]:
            del self.inflight[message]
            self._put_message(message)


def put(self: Any, message: Any) -> None:
    """A message is new or returns."""
    with self.mutex:
        group = self.get_message_group(message.message_group_id)
        was_empty = group.empty()
        group.push(message)
        if group in self.inflight_groups:
            self.update_message_group_visibility(group)
        elif was_empty:
            self.message_group_queue.put_nowait(group)


def offer(self: Any, message_group: Any) -> None:
    """A group that was received from waits in line again when its first message stands before those in flight."""
    with self.mutex:
        if message_group not in self.inflight_groups:
            return
        first = _first_in_flight(self, message_group)
        if not message_group.empty() and message_group.messages[0].priority < first:
            self.inflight_groups.remove(message_group)
            self.message_group_queue.put_nowait(message_group)
        elif first == math.inf:
            self.inflight_groups.remove(message_group)


def receive(
    self: Any,
    num_messages: int = 1,
    wait_time_seconds: int | None = None,
    visibility_timeout: int | None = None,
    *,
    poll_empty_queue: bool = False,
) -> Any:
    """At most so many messages of the groups in line; waits for the first one, or for all with ``poll_empty_queue``."""
    result, returned = ReceiveMessageResult(), []
    timeout = self.visibility_timeout if visibility_timeout is None else visibility_timeout
    deadline = time.monotonic() + (wait_time_seconds or 0)
    while len(result.successful) < num_messages:
        remaining = max(0.0, deadline - time.monotonic())
        wait = remaining > 0 and (poll_empty_queue or not result.successful)
        try:
            group = self.message_group_queue.get(block=wait, timeout=remaining)
        except queue.Empty:
            break
        with self.mutex:
            self.inflight_groups.add(group)
            for message in _take(self, group, num_messages - len(result.successful), timeout, result):
                if timeout:
                    self.add_inflight_message(message)
                else:
                    returned.append(message)
            if not returned:
                self.update_message_group_visibility(group)
    with self.mutex:
        for message in returned:
            self._put_message(message)
    return result


def _take(self: Any, group: Any, count: int, timeout: int, result: Any) -> list[Any]:
    """Up to ``count`` messages of a group that no earlier one in flight stops; what is dead goes into the result."""
    first, taken = _first_in_flight(self, group), list[Any]()
    while len(taken) < count and group.messages and group.messages[0].priority < first:
        message = group.pop()
        if message.deleted:  # with the receipt handle of an earlier time, after it had returned
            continue
        message.receive_count += 1
        message.update_visibility_timeout(timeout)
        message.set_last_received(time.time())
        if message.first_received is None:
            message.first_received = message.last_received
        if self.max_receive_count and message.receive_count > self.max_receive_count:
            result.dead_letter_messages.append(message)
            continue
        message.increment_approximate_receive_count()
        handle = self.create_receipt_handle(message)
        message.receipt_handles.add(handle)
        self.receipts[handle] = message
        result.successful.append(message)
        result.receipt_handles.append(handle)
        taken.append(message)
    return taken


def _first_in_flight(fifo: Any, group: Any) -> float:
    """The place of the group's first message in flight; infinite when there is none."""
    of_group = (m.priority for m in fifo.inflight if m.message_group_id == group.message_group_id)
    return min(of_group, default=math.inf)
