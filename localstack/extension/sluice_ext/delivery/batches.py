"""Which messages of a batch failed, from the function's answer; and how large a batch may be.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
"""

import json
from collections.abc import Iterator
from typing import Any

# The event of a synchronous invocation may have 6 MB; a record without its body is well under 2 kB.
_PAYLOAD_BYTES, _RECORD_BYTES = 6_291_456, 2_048


def failed_messages(answer: bytes, message_ids: set[str]) -> set[str]:
    """Ids of the messages that failed, from the answer of a function that reports batch item failures.

    An empty or missing list is success. An unknown, empty or null id, a wrong key or an answer that is not a JSON
    object fails the whole batch.
    """
    try:
        value = json.loads(answer) if answer else None
    except ValueError:
        return message_ids
    if value is None or value == {} or value == "":
        return set()
    if not isinstance(value, dict):
        return message_ids
    failures = value.get("batchItemFailures")
    if failures is None:
        return set()
    if not isinstance(failures, list):
        return message_ids
    failed = set()
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if not isinstance(identifier, str) or identifier not in message_ids:
            return message_ids
        failed.add(identifier)
    return failed


def by_payload(messages: list[Any]) -> Iterator[list[Any]]:
    """Split received messages into batches that fit into one invocation."""
    batch: list[Any] = []
    size = 0
    for message in messages:
        # json.dumps writes non-ASCII characters as \\uXXXX; this measures what is sent.
        length = len(json.dumps(message.get("Body", ""))) + _RECORD_BYTES
        if batch and size + length > _PAYLOAD_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch
