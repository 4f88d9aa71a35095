"""The consumer of an SQS queue: what happens to a message that is malformed, fails once, or fails every time.

A function says what its messages are and what to do with one (``Work``); the rest is the same for all of them.

A batch is processed in the order of its receive counts. One that was received before may be the one that its function
did not survive, so it is processed alone: what is done is acknowledged before, and what waits comes again soon.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice_pipeline.consumer.deadline import Deadline, OutOfTime
from sluice_pipeline.consumer.redelivery import Redelivery
from sluice_pipeline.events.messages import MalformedMessage
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.objects.failures import ObjectUnseen
from sluice_pipeline.runtime.telemetry import correlate, measure

_REMEMBERED: Final = 1000  # messages whose last receive an execution environment remembers
_LEASE_SECONDS: Final = 10  # after which messages come again that wait for one which may kill the function
_SPARE_SECONDS: Final = 5  # between the end of the function's time and the next receive of what it died of


class TimedOut(RuntimeError):
    """The function's time was over before the message was done."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One receive of a message. ``is_last``: retries are exhausted, so a failure is to be recorded and notified."""

    receives: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class Work[M]:
    """What a function does with messages of type ``M``.

    ``parse`` raises MalformedMessage. ``object_id`` is the correlation id of logs and traces. ``process`` raises for
    whatever did not succeed. ``on_failure`` records and notifies what the error calls for. A message to which the work
    does not apply is acknowledged. An error is transient unless ``is_permanent`` says that no retry can help.
    ``before_last_try`` is called before a message is processed for the last time: the function may not survive it.
    ``process_again`` is called instead of ``process`` for a message that was received before.
    ``ahead`` is called before the first message is processed, with those of a batch that come the first time when they
    are two or more: it does for several at once what ``process`` then finds done. It must not raise for one of them.
    ``is_interruptible``: the end of the function's time may interrupt ``process`` and ``process_again`` anywhere
    (TimedOut, transient).
    """

    parse: Callable[[str], M]
    object_id: Callable[[M], str]
    process: Callable[[M], None]
    on_failure: Callable[[M, Exception, Delivery], None]
    applies_to: Callable[[M], bool] = lambda _message: True
    is_permanent: Callable[[Exception], bool] = lambda _error: False
    before_last_try: Callable[[M, LambdaContext], None] | None = None
    process_again: Callable[[M], None] | None = None
    ahead: Callable[[Sequence[M]], None] | None = None
    is_interruptible: bool = False


@dataclass
class _Batch:
    """The receipt handles of a batch: those that wait for their turn, and those that are done."""

    deadline: Deadline
    waiting: list[str]
    done: list[str] = field(default_factory=list)


class Consumer[M]:
    """Takes a batch of messages; those that fail stay on the queue, each with a wait of its own.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """

    def __init__(self, work: Work[M], redelivery: Redelivery, notices: Notices, logger: Logger) -> None:
        self._work = work
        self._redelivery = redelivery
        self._notices = notices
        self._logger = logger
        self._processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
        self._reported: dict[str, None] = {}  # message ids, oldest first
        self._batch = _Batch(Deadline(None), [])

    def handle(self, event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
        """Lambda's event with a batch of messages; the answer names those that failed."""
        records = sorted(event["Records"], key=_receives)
        seconds = context.get_remaining_time_in_millis() / 1000 if context else None
        self._batch = _Batch(Deadline(seconds if self._work.is_interruptible else None), [])
        self._batch.waiting = [record["receiptHandle"] for record in records]
        with self._batch.deadline.watched():
            self._announce_last_tries(records, context)
            self._go_ahead(records)
            return process_partial_response(
                event=event | {"Records": records},
                record_handler=lambda record: self._process_in_turn(record, seconds),
                processor=self._processor,
                context=context,
            )

    def _announce_last_tries(self, records: list[dict[str, Any]], context: LambdaContext) -> None:
        if self._work.before_last_try is None:
            return
        for record in map(SQSRecord, records):
            if self._delivery(record).is_last:
                try:
                    self._work.before_last_try(self._work.parse(record.body), context)
                except MalformedMessage:
                    continue
                except Exception:
                    self._logger.exception("if the function dies now, its object stays unfinished")

    def _go_ahead(self, records: Iterable[dict[str, Any]]) -> None:
        """What comes again is left out: one of it may be what its function did not survive."""
        if self._work.ahead is None:
            return
        messages = []
        for record in records:
            try:
                message = self._work.parse(record["body"])
            except MalformedMessage:
                continue
            if _receives(record) == 1 and self._work.applies_to(message):
                messages.append(message)
        if len(messages) > 1:
            try:
                self._work.ahead(messages)
            except Exception:
                self._logger.exception("the messages are processed one by one")

    def _process_in_turn(self, record: SQSRecord, seconds: float | None) -> None:
        """The next message of the batch, unless the function's time is over."""
        batch, handle = self._batch, record.receipt_handle
        batch.waiting.remove(handle)
        if batch.deadline.passed:
            self._redelivery.now(handle)
            raise TimedOut("not begun, the function's time is over")
        if int(record.attributes.approximate_receive_count) > 1 and seconds is not None:
            self._redelivery.acknowledge(batch.done)
            batch.done.clear()
            leases = dict.fromkeys(batch.waiting, _LEASE_SECONDS)
            self._redelivery.lease({handle: math.ceil(seconds) + _SPARE_SECONDS} | leases)
        self.process_record(record)
        batch.done.append(handle)

    def process_record(self, record: SQSRecord) -> None:
        """One message; an exception leaves it, and only it, on the queue.

        Lambda's own metric `Errors` does not count it, because the function answers: HandledErrors does.
        """
        try:
            self._process_delivery(record)
        except Exception:
            measure(HandledErrors=1)
            raise

    def _process_delivery(self, record: SQSRecord) -> None:
        delivery = self._delivery(record)
        try:
            message = self._work.parse(record.body)
        except MalformedMessage as malformed:
            if delivery.is_last:  # it names no object, so no other notice can be about it
                self._notices.dead_letter(self._redelivery.queue, record.message_id, str(malformed), record.body)
                self._remember(record.message_id)
            self._redelivery.now(record.receipt_handle)
            raise
        if not self._work.applies_to(message):
            return
        correlate(self._logger, self._work.object_id(message))
        try:
            self._process(message, again=delivery.receives > 1)
        except Exception as error:
            self._work.on_failure(message, error, delivery)
            if delivery.is_last:
                self._remember(record.message_id)
            if self._work.is_permanent(error):
                self._redelivery.now(record.receipt_handle)
            elif isinstance(error, ObjectUnseen):
                self._redelivery.until_seen(record.receipt_handle, delivery.receives)
            else:
                self._redelivery.later(record.receipt_handle, delivery.receives)
            raise

    def _process(self, message: M, *, again: bool) -> None:
        work = (again and self._work.process_again) or self._work.process
        try:
            with self._batch.deadline.interrupts():
                work(message)
        except OutOfTime as late:
            raise TimedOut(f"the function's time of {self._batch.deadline.seconds:.0f} s was over") from late

    def _delivery(self, record: SQSRecord) -> Delivery:
        """The last receive is the first one at or above the limit.

        SQS's count is approximate, and an existing queue may allow more receives than the function knows of, so there
        can be further ones: this environment does not report them again. A count below the limit is a redriven message.
        """
        receives = int(record.attributes.approximate_receive_count)
        if receives < self._redelivery.max_receives:
            self._reported.pop(record.message_id, None)
            return Delivery(receives, is_last=False)
        return Delivery(receives, is_last=record.message_id not in self._reported)

    def _remember(self, message_id: str) -> None:
        self._reported[message_id] = None
        if len(self._reported) > _REMEMBERED:
            del self._reported[next(iter(self._reported))]


def _receives(record: dict[str, Any]) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])
