"""Every message that is not deleted is counted at every moment, as waiting or as in flight.

Who waits for an empty queue asks for both numbers. LocalStack takes the messages of a receive out of the queue, goes on
collecting, and puts all of them in flight at its end; until then they were in neither number. A message that returned
between the two numbers of one answer was in neither, too.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
"""

import functools
import threading
from typing import Any, Final
from weakref import WeakKeyDictionary

from localstack.services.sqs.models import FifoQueue, SqsQueue, StandardQueue
from localstack.services.sqs.queue import InterruptiblePriorityQueue

from sluice_ext.patching import replace

_VISIBLE, _IN_FLIGHT = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"


_taken: Final[WeakKeyDictionary[Any, int]] = WeakKeyDictionary()
"""What receives have taken and not yet put in flight, by line of waiting messages; changed with its lock held."""


class _Receive(threading.local):
    """How many messages this thread's receive has taken so far."""

    messages = 0


def install() -> None:
    """Count what a receive has taken, and read both numbers at one moment."""
    this = _Receive()

    def take(self: Any) -> Any:
        message = original_take(self)
        this.messages += 1
        _taken[self] = _taken.get(self, 0) + 1
        return message

    @functools.wraps(StandardQueue.receive)
    def receive(self: Any, *args: Any, **kwargs: Any) -> Any:
        this.messages = 0
        try:
            return original_receive(self, *args, **kwargs)
        finally:  # they are in flight, back, dead or deleted
            with self.visible.mutex:
                _taken[self.visible] = _taken.get(self.visible, 0) - this.messages

    def attributes(self: Any, attribute_names: Any = None) -> Any:
        with self.mutex:  # which is held while messages return
            waiting, in_flight = _numbers(self)
            answer = original_attributes(self, attribute_names)
        found = {_VISIBLE: waiting, _IN_FLIGHT: in_flight}
        return answer | {name: str(number) for name, number in found.items() if name in answer}

    original_take = replace(InterruptiblePriorityQueue, "_get", take, expect="(self)")
    signature = "(self, num_messages, wait_time_seconds, visibility_timeout, poll_empty_queue)"
    original_receive = replace(StandardQueue, "receive", receive, expect=signature)
    original_attributes = replace(SqsQueue, "get_queue_attributes", attributes, expect="(self, attribute_names)")


def _numbers(queue: Any) -> tuple[int, int]:
    """Waiting and in flight. A message may be counted in both for a moment, and never in neither."""
    if isinstance(queue, FifoQueue):
        return queue.approximate_number_of_messages, len(queue.inflight)
    with queue.visible.mutex:
        waiting, taken = len(queue.visible.queue), _taken.get(queue.visible, 0)
    return waiting, taken + len(queue.inflight)
