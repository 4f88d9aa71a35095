"""Message move tasks: what comes back from a dead-letter queue is a new message.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
("Redriven messages are considered new messages with a new messageID and enqueueTime".)

Replaces the loop of LocalStack's MessageMoveTaskManager, which puts the very message back: its receive count went on
where it had ended, so whoever goes by ApproximateReceiveCount gave it up at once.
"""

import logging
from typing import Any

from localstack.aws.api.sqs import MessageSystemAttributeName, ResourceNotFoundException
from localstack.services.sqs.models import MessageMoveTaskStatus
from localstack.services.sqs.provider import MessageMoveTaskManager
from localstack.utils.strings import long_uid
from localstack.utils.time import now

from sluice_ext.patching import replace

LOG = logging.getLogger(__name__)
_OF_ITS_FORMER_LIFE = (
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
    """Move what is in the queue until it is empty or the task is cancelled."""
    try:
        # Only what was there at the start: what dies again at once would otherwise go round for ever.
        most = move_task.approximate_number_of_messages_to_move
        while not move_task.cancel_event.is_set() and move_task.approximate_number_of_messages_moved < most:
            # Looked up for every message: it may be deleted meanwhile.
            source = self._get_queue_by_arn(move_task.source_arn)
            received = source.receive(num_messages=1, visibility_timeout=1)
            if received.dead_letter_messages:
                raise NotImplementedError("a dead-letter queue whose messages die in turn cannot be redriven here")
            if not received.successful:
                break
            dead, handle = received.successful[0], received.receipt_handles[0]
            target = self._get_queue_by_arn(move_task.destination_arn or dead.dead_letter_queue_source_arn)
            target.put(
                message=renewed(dead.message),
                message_group_id=dead.message_group_id,
                message_deduplication_id=dead.message_deduplication_id,
            )
            source.remove(handle)
            move_task.approximate_number_of_messages_moved += 1
            if rate := move_task.max_number_of_messages_per_second:
                move_task.cancel_event.wait(timeout=1 / rate)
    except Exception as error:  # noqa: BLE001 - the task's own outcome
        LOG.warning("Messages of %s were not all moved: %s", move_task.source_arn, error)
        self._fail_task(move_task, error)
    else:
        cancelled = move_task.cancel_event.is_set()
        move_task.status = MessageMoveTaskStatus.CANCELLED if cancelled else MessageMoveTaskStatus.COMPLETED


def cancel(self: Any, move_task: Any) -> None:
    """Tell the loop to end; only a running task can be cancelled.

    LocalStack's own marks the task as being cancelled, for ever when the loop had ended just then, and with that no
    further task could be started for the queue.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CancelMessageMoveTask.html
    """
    with self.mutex:
        if move_task.status != MessageMoveTaskStatus.RUNNING:
            raise ResourceNotFoundException("Only active tasks can be cancelled.", status_code=404)
        move_task.cancel_event.set()


def renewed(message: Any) -> Any:
    """The message as it is sent anew: same body and attributes, never received."""
    attributes = {k: v for k, v in message.get("Attributes", {}).items() if k not in _OF_ITS_FORMER_LIFE}
    attributes[MessageSystemAttributeName.SentTimestamp] = str(now(millis=True))
    fresh = {key: value for key, value in message.items() if key != "ReceiptHandle"}
    return fresh | {"MessageId": long_uid(), "Attributes": attributes}
