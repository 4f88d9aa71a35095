"""Message move tasks: a message that returns from a dead-letter queue is a new message.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
("Redriven messages are considered new messages with a new messageID and enqueueTime".)

Replaces the loop of LocalStack's MessageMoveTaskManager, which moves the same message: its receive count would go
on where it had ended, and a consumer that checks ApproximateReceiveCount would reject it at once.
"""

import logging
from typing import Any

from localstack.aws.api.sqs import MessageSystemAttributeName, ResourceNotFoundException
from localstack.services.sqs.models import MessageMoveTaskStatus
from localstack.services.sqs.provider import MessageMoveTaskManager
from localstack.utils.strings import long_uid
from localstack.utils.time import now

from sluice_ext.patching import replace
from sluice_ext.pausing import GATE

LOG = logging.getLogger(__name__)
_REMOVED_ATTRIBUTES = (
    MessageSystemAttributeName.ApproximateReceiveCount,
    MessageSystemAttributeName.ApproximateFirstReceiveTimestamp,
    MessageSystemAttributeName.DeadLetterQueueSourceArn,
    MessageSystemAttributeName.SequenceNumber,
)


def install() -> None:
    """Replace the loop; raises UnexpectedEngine when LocalStack is not the version we know."""
    replace(MessageMoveTaskManager, "_run", run, expect="(self, move_task)")
    replace(MessageMoveTaskManager, "cancel", cancel, expect="(self, move_task)")


def run(self: Any, move_task: Any) -> None:
    """Move the messages of the queue until it is empty or the task is cancelled."""
    try:
        # Only those that were there at the start: a message that fails again at once would be moved for ever.
        count = move_task.approximate_number_of_messages_to_move
        while not move_task.cancel_event.is_set() and move_task.approximate_number_of_messages_moved < count:
            with GATE.work("moving messages", source=True):
                if not _move_one(self, move_task):
                    break
            if rate := move_task.max_number_of_messages_per_second:
                move_task.cancel_event.wait(timeout=1 / rate)
    except Exception as error:  # noqa: BLE001 - it becomes the task's outcome
        LOG.warning("Messages of %s were not all moved: %s", move_task.source_arn, error)
        self._fail_task(move_task, error)
    else:
        cancelled = move_task.cancel_event.is_set()
        move_task.status = MessageMoveTaskStatus.CANCELLED if cancelled else MessageMoveTaskStatus.COMPLETED


def _move_one(self: Any, move_task: Any) -> bool:
    """Move a message; False when there is none."""
    # Looked up for every message, as the queue may be deleted meanwhile.
    source = self._get_queue_by_arn(move_task.source_arn)
    received = source.receive(num_messages=1, visibility_timeout=1)
    if received.dead_letter_messages:
        raise NotImplementedError("a dead-letter queue that has a dead-letter queue of its own cannot be redriven here")
    if not received.successful:
        return False
    dead, handle = received.successful[0], received.receipt_handles[0]
    target = self._get_queue_by_arn(move_task.destination_arn or dead.dead_letter_queue_source_arn)
    target.put(
        message=new_message(dead.message),
        message_group_id=dead.message_group_id,
        message_deduplication_id=dead.message_deduplication_id,
    )
    source.remove(handle)
    move_task.approximate_number_of_messages_moved += 1
    return True


def cancel(self: Any, move_task: Any) -> None:
    """End the loop; only a running task can be cancelled.

    LocalStack marks the task as CANCELLING. If the loop has just ended, the task would stay so for ever, and no other
    task could be started for the queue.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CancelMessageMoveTask.html
    """
    with self.mutex:
        if move_task.status != MessageMoveTaskStatus.RUNNING:
            raise ResourceNotFoundException("Only active tasks can be cancelled.", status_code=404)
        move_task.cancel_event.set()


def new_message(message: Any) -> Any:
    """A new message with the same body and attributes, never received."""
    attributes = {k: v for k, v in message.get("Attributes", {}).items() if k not in _REMOVED_ATTRIBUTES}
    attributes[MessageSystemAttributeName.SentTimestamp] = str(now(millis=True))
    fresh = {key: value for key, value in message.items() if key != "ReceiptHandle"}
    return fresh | {"MessageId": long_uid(), "Attributes": attributes}
