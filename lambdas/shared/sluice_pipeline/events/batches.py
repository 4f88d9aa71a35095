"""Messages to a queue of SQS, ten with a call: each counts as sent only when SQS says so."""

import json
from collections.abc import Iterable
from itertools import batched
from typing import Any, Final

_BATCH: Final = 10  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html


def send_all(sqs: Any, url: str, bodies: Iterable[str], what: str) -> None:
    """Sends them in order; ``what`` names them in an error.

    Raises:
        RuntimeError: SQS rejected a message; others, also of its call, may have been sent.
    """
    for batch in batched(bodies, _BATCH, strict=False):
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)]
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        if failed := answer.get("Failed"):
            raise RuntimeError(f"SQS rejected {len(failed)} of {len(entries)} {what}: {json.dumps(failed)}")
