"""When SQS delivers a failed message again: soon, not after the queue's visibility timeout (six function timeouts)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final, Self

from sluice_pipeline.objects.failures import UNSEEN_AT_MOST

_BATCH: Final = 10  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html


@dataclass(frozen=True, slots=True)
class Redelivery:
    """Shortens the visibility timeout of failed messages.

    ``max_receives`` is the queue's maxReceiveCount: after that many receives SQS moves a message to the dead-letter
    queue. Waits are powers of ``base`` in seconds, at most ``longest``.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
    """

    sqs: Any
    queue_url: str
    max_receives: int
    base: int = 2
    longest: int = 30

    @classmethod
    def outlasting(cls, seconds: int, sqs: Any, queue_url: str, max_receives: int) -> Self:
        """The last wait is longer than ``seconds``: a function that died at its work held a lock on it for as long.

        ``max_receives`` is at least 5.
        """
        longest = seconds + 1
        base = next(base for base in range(2, longest + 2) if base ** (max_receives - 2) >= longest)
        return cls(sqs, queue_url, max_receives, base, longest)

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self.queue_url.rsplit("/", 1)[-1]

    def now(self, handle: str) -> None:
        """For a permanent error: the next receives follow at once, so the message soon is in the dead-letter queue.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
        """
        self._after(handle, 0)

    def later(self, handle: str, receives: int) -> None:
        """For a transient error: after 1, base, base², ... seconds; after the last receive at once."""
        self._after(handle, 0 if receives >= self.max_receives else min(self.longest, self.base ** (receives - 1)))

    def until_seen(self, handle: str, receives: int) -> None:
        """For what S3 may not show yet: soon at first, and the last receive is when S3 shows whatever is there."""
        left = self.max_receives - 1 - receives
        self._after(handle, max(1, int(UNSEEN_AT_MOST.total_seconds()) >> (3 * left)) if left >= 0 else 0)

    def lease(self, seconds: Mapping[str, int]) -> None:
        """Sets after how many seconds each of these messages, by receipt handle, comes again when this worker dies.

        Messages for which SQS refuses it come after the queue's visibility timeout.
        """
        for batch in batched(seconds.items(), _BATCH, strict=False):
            entries = [
                {"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": wait}
                for n, (handle, wait) in enumerate(batch)
            ]
            self.sqs.change_message_visibility_batch(QueueUrl=self.queue_url, Entries=entries)

    def acknowledge(self, handles: Sequence[str]) -> None:
        """Deletes messages before Lambda does: they do not come again when this worker dies.

        One that SQS does not delete comes again, and its work is found done.
        """
        for batch in batched(handles, _BATCH, strict=False):
            entries = [{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(batch)]
            self.sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=entries)

    def _after(self, handle: str, seconds: int) -> None:
        self.sqs.change_message_visibility(QueueUrl=self.queue_url, ReceiptHandle=handle, VisibilityTimeout=seconds)
