"""AWS/SQS metrics: depths and ages on an interval, sent, received and deleted messages as they happen.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html

LocalStack calls CloudWatch for every message, which takes longer than the message; this only counts in memory.
"""

import logging
import threading
import time
from typing import Any

from localstack.services.sqs.models import FifoQueue, SqsMessage, SqsQueue, StandardQueue, sqs_stores
from localstack.services.sqs.provider import SqsProvider

from sluice_ext import settings
from sluice_ext.metrics.store import STORE, Metric
from sluice_ext.patching import replace

LOG = logging.getLogger(__name__)
# "If a message is received three times or more and not processed, the metric points at the second-oldest message"
_POISON_RECEIVES = 3


def install() -> None:
    """Count messages as they pass, and publish depths and ages on an interval."""
    signature = (
        "(self, queue, context, message_body, delay_seconds, message_attributes, message_system_attributes, "
        "message_deduplication_id, message_group_id)"
    )

    def put(self: Any, queue: SqsQueue, *args: Any, **kwargs: Any) -> SqsMessage:
        message = original_put(self, queue, *args, **kwargs)
        _add(queue, "NumberOfMessagesSent", 1)
        _add(queue, "SentMessageSize", _size(message.message), "Bytes")
        return message

    original_put = replace(SqsProvider, "_put_message", put, expect=signature)
    for kind in (StandardQueue, FifoQueue):
        _count_receives(kind)
        _count_deletes(kind)
    threading.Thread(target=_run, name="sqs-metrics", daemon=True).start()


def publish() -> None:
    """Publish the present depths and ages of every queue."""
    for _account, _region, store in sqs_stores.iter_stores():
        for queue in list(store.queues.values()):
            _add(queue, "ApproximateNumberOfMessagesVisible", queue.approximate_number_of_messages)
            _add(queue, "ApproximateNumberOfMessagesNotVisible", queue.approximate_number_of_messages_not_visible)
            _add(queue, "ApproximateNumberOfMessagesDelayed", queue.approximate_number_of_messages_delayed)
            _add(queue, "ApproximateAgeOfOldestMessage", _oldest(queue), "Seconds")


def _size(message: Any) -> int:
    """Bytes of a message: its body and its attributes' names, types and values."""
    size = len(message["Body"].encode())
    for name, attribute in (message.get("MessageAttributes") or {}).items():
        text, binary = attribute.get("StringValue") or "", attribute.get("BinaryValue") or b""
        size += len(name.encode()) + len(attribute["DataType"].encode()) + len(text.encode()) + len(binary)
    return size


def _oldest(queue: SqsQueue) -> int:
    """Age of the oldest message that waits or is in flight (s); 0 when there is none."""
    if isinstance(queue, FifoQueue):
        waiting = [message for group in list(queue.message_groups.values()) for message in list(group.messages)]
    else:
        waiting = list(queue.visible.queue)
    created = [m.created for m in [*waiting, *list(queue.inflight)] if m.receive_count <= _POISON_RECEIVES]
    return max(0, int(time.time() - min(created))) if created else 0


def _run() -> None:
    while True:
        time.sleep(settings.METRIC_SECONDS)
        try:
            publish()
        except Exception as error:  # noqa: BLE001 - a queue that is deleted meanwhile must not end the metrics
            LOG.warning("Cannot publish the metrics of queues: %s", error)


def _count_receives(kind: type[SqsQueue]) -> None:
    def receive(self: SqsQueue, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        if result.successful:
            _add(self, "NumberOfMessagesReceived", len(result.successful))
        else:
            _add(self, "NumberOfEmptyReceives", 1)
        return result

    signature = "(self, num_messages, wait_time_seconds, visibility_timeout, poll_empty_queue)"
    original = replace(kind, "receive", receive, expect=signature)


def _count_deletes(kind: type[SqsQueue]) -> None:
    def remove(self: SqsQueue, message: SqsMessage) -> None:
        original(self, message)
        _add(self, "NumberOfMessagesDeleted", 1)

    original = replace(kind, "_on_remove_message", remove, expect="(self, message)")


def _add(queue: SqsQueue, name: str, value: float, unit: str = "Count") -> None:
    STORE.add(Metric(queue.account_id, queue.region, "AWS/SQS", name, (("QueueName", queue.name),)), value, unit)
