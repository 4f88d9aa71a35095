"""Chunk messages in the dead-letter queue, where they stay, and what the log of their function says."""

import time
from collections.abc import Iterator
from itertools import batched
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sluice_pipeline.consumer.ending import REPORTS, ending
from sluice_pipeline.events.messages import ChunkMessage, MalformedMessage

LOOK_BACK_SECONDS: Final = 15 * 60  # into the log: more than a function's time
_BATCH: Final = 10
_BATCHES: Final = 50  # that are received in one invocation; SQS gives other ones the next time
_HIDDEN_SECONDS: Final = 20  # from other readers, if the function dies before it releases them
_LINES: Final = 1000
_NOTHING: Final = "its log says nothing of it, as when there is no concurrency left to start it"


def dead_chunks(sqs: Any, url: str) -> list[ChunkMessage]:
    """The chunks whose messages are in the dead-letter queue; other readers see them again at once."""
    found: dict[str, Any] = {}
    try:
        for _ in range(_BATCHES):
            answer = sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=_BATCH, VisibilityTimeout=_HIDDEN_SECONDS, WaitTimeSeconds=1
            )
            fresh = {one["MessageId"]: one for one in answer.get("Messages", []) if one["MessageId"] not in found}
            if not fresh:
                break
            found |= fresh
    finally:
        for batch in batched(found.values(), _BATCH, strict=False):
            entries = [
                {"Id": str(n), "ReceiptHandle": one["ReceiptHandle"], "VisibilityTimeout": 0}
                for n, one in enumerate(batch)
            ]
            sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
    return list(_chunks(one["Body"] for one in found.values()))


def _chunks(bodies: Iterator[str]) -> Iterator[ChunkMessage]:
    for body in bodies:
        try:
            yield ChunkMessage.from_json(body)
        except MalformedMessage:
            continue  # notified when it was received


def how_it_ended(logs: Any, log_group: str) -> str:
    """What the log says of the function's last invocation that gave no answer, or of its last start that failed."""
    since = int((time.time() - LOOK_BACK_SECONDS) * 1000)
    try:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=log_group,
            startTime=since,
            filterPattern='"Status:"',
            PaginationConfig={"MaxItems": _LINES},
        )
        events = [event for page in pages for event in page["events"]]
    except (ClientError, BotoCoreError):  # that it ended is recorded all the same
        return _NOTHING
    endings = [_ending(lines) for lines in _by_stream(events)]
    return max(endings, default=(0, ""))[1] or _NOTHING


def _by_stream(events: list[dict[str, Any]]) -> list[list[tuple[int, str]]]:
    """The lines that say how invocations ended, with their times, of each log stream in the order of the log."""
    streams: dict[str, list[tuple[int, str]]] = {}
    for event in events:
        if event["message"].startswith(REPORTS) and ending(event["message"]):
            streams.setdefault(event["logStreamName"], []).append((event["timestamp"], event["message"]))
    return list(streams.values())


def _ending(lines: list[tuple[int, str]]) -> tuple[int, str]:
    """When and how the last invocation ended. One that tried in vain to start has a report of that before its own."""
    (_, before), (when, line) = ([(0, ""), *lines])[-2:]
    return when, ending(before if before.startswith("INIT_REPORT") else line)
