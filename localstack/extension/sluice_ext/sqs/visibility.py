"""When messages become visible, and that a message group waits for its messages in flight.

"When you receive a message with a message group ID, no more messages for the same message group ID are returned unless
you delete the message or it becomes visible."
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html

LocalStack looks once a second what is due; lets a message of one group that is in flight stop the messages of every
other; and makes a group visible with the first of its messages that returns. Replaced: `QueueUpdateWorker.start`, and
`requeue_inflight_messages` and `_put_message` of `FifoQueue`.
"""

import itertools
import threading
from collections import defaultdict
from typing import Any, Final

from localstack.services.sqs.models import FifoQueue
from localstack.services.sqs.provider import QueueUpdateWorker

from sluice_ext.patching import replace

_SECONDS: Final = 0.1


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    replace(QueueUpdateWorker, "start", start, expect="(self)")
    replace(QueueUpdateWorker, "stop", stop, expect="(self)")
    replace(FifoQueue, "requeue_inflight_messages", return_messages, expect="(self)")
    replace(FifoQueue, "_put_message", put, expect="(self, message)")


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
        if not turn % 10 or any(queue.inflight or queue.delayed for queue in list(worker.iter_queues())):
            worker.do_update_all_queues()


def return_messages(self: Any) -> None:
    """Messages whose visibility timeout has ended return, unless an earlier one of their group is still in flight."""
    if not self.inflight:
        return
    with self.mutex:
        groups = defaultdict(list)
        for message in self.inflight:
            groups[message.message_group_id].append(message)
        for messages in groups.values():
            if all(message.is_visible for message in messages):
                for message in messages:
                    del self.inflight[message]
                for message in messages:
                    self._put_message(message)


def put(self: Any, message: Any) -> None:
    """A message is visible; its group is too when no message of it is in flight."""
    with self.mutex:
        group = self.get_message_group(message.message_group_id)
        was_empty = group.empty()
        group.push(message)
        if group in self.inflight_groups:
            # A new message waits; one that returns may have been the last in flight.
            if message.receive_count >= 1:
                self.update_message_group_visibility(group)
        elif was_empty:
            self.message_group_queue.put_nowait(group)
