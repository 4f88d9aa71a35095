"""What became of a message whose function did not survive its last receive.

SQS moves such a message to the dead-letter queue, and no worker is left to record it. So the function sends a message
to itself before it begins the last try, delayed until after its own end; that one finds the chunk done, or records how
the function ended.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from sluice_pipeline.consumer.ending import ending
from sluice_pipeline.events.messages import ChunkMessage, MalformedMessage

SCHEMA: Final = "sluice.last-try/1"
_SPARE_SECONDS: Final = 5  # for the end of the invocation to reach its log
_MOST_SECONDS: Final = 900  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html


@dataclass(frozen=True, slots=True)
class LastTry:
    """The last receive of a chunk message, and the log in which the end of its invocation is written."""

    message: ChunkMessage
    log_group: str
    log_stream: str
    request_id: str

    def to_json(self) -> str:
        fields = {name: getattr(self, name) for name in ("log_group", "log_stream", "request_id")}
        return json.dumps({"schema": SCHEMA, "message": self.message.to_json()} | fields, ensure_ascii=False)


def parse(body: str) -> ChunkMessage | LastTry:
    """A message of the chunk queue; raises MalformedMessage as ChunkMessage.from_json does."""
    if SCHEMA not in body[:100]:
        return ChunkMessage.from_json(body)
    try:
        raw = json.loads(body)
        fields = [raw[name] for name in ("message", "log_group", "log_stream", "request_id")]
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedMessage(f"not a {SCHEMA}: {error!r}") from error
    if not all(isinstance(value, str) for value in fields):
        raise MalformedMessage(f"a field of {SCHEMA} is no text")
    return LastTry(ChunkMessage.from_json(fields[0]), *fields[1:])


def send(sqs: Any, queue_url: str, message: ChunkMessage, context: LambdaContext) -> None:
    """Sends it to arrive after the invocation's end, whatever that will be."""
    last = LastTry(message, context.log_group_name, context.log_stream_name, context.aws_request_id)
    delay = math.ceil(context.get_remaining_time_in_millis() / 1000) + _SPARE_SECONDS
    sqs.send_message(QueueUrl=queue_url, MessageBody=last.to_json(), DelaySeconds=min(delay, _MOST_SECONDS))


def how_it_ended(logs: Any, last: LastTry) -> str:
    """What Lambda's REPORT line says of the invocation; that it gave no answer when there is none to read."""
    return ending(_report(logs, last)) or "it gave no answer"


def _report(logs: Any, last: LastTry) -> str:
    try:
        events = logs.get_log_events(
            logGroupName=last.log_group, logStreamName=last.log_stream, limit=1000, startFromHead=False
        )["events"]
    except (ClientError, BotoCoreError):  # that it ended is recorded all the same
        return ""
    lines = (event["message"] for event in reversed(events))
    return next((line for line in lines if line.startswith("REPORT") and last.request_id in line), "")
