"""When a message that failed is tried again: soon, not after six times the function's timeout."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Redelivery:
    """Shortens the visibility of failed messages. ``most``: receives after which SQS puts one aside.

    Waits grow as powers of ``base`` seconds and end at ``longest``.
    """

    sqs: Any
    queue_url: str
    most: int
    base: int = 2
    longest: int = 30

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self.queue_url.rsplit("/", 1)[-1]

    def now(self, handle: str) -> None:
        """For what no retry can mend: the message is received again at once, and so ends as a dead letter soon.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
        """
        self._after(handle, 0)

    def later(self, handle: str, receives: int) -> None:
        """For what may pass: 1, base, base², ... seconds after the first, second, ... receive; the last, at once."""
        self._after(handle, 0 if receives >= self.most else min(self.longest, self.base ** (receives - 1)))

    def _after(self, handle: str, seconds: int) -> None:
        self.sqs.change_message_visibility(QueueUrl=self.queue_url, ReceiptHandle=handle, VisibilityTimeout=seconds)
