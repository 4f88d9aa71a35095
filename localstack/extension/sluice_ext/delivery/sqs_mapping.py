"""SQS event source mappings: wait on the queue itself, run several batches at a time.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html

Replaces LocalStack's SqsPoller (one batch at a time, polls with growing pauses). A batch is received only when it may
run, so MaximumConcurrency holds without throttling. After a throttle by reserved concurrency, a function error or a
crash, the messages return after the visibility timeout, as on AWS.
"""

import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localstack.aws.api.lambda_ import InvocationType, TooManyRequestsException
from localstack.services.lambda_.api_utils import function_locators_from_arn
from localstack.services.lambda_.event_source_mapping.esm_worker import EsmWorker
from localstack.services.lambda_.event_source_mapping.pollers.sqs_poller import SqsPoller, transform_into_events
from localstack.services.sqs.models import FifoQueue, SqsQueue
from localstack.services.sqs.provider import to_sqs_api_message
from localstack.utils.strings import long_uid

from sluice_ext import settings
from sluice_ext.delivery import mapping_filters
from sluice_ext.delivery.batches import by_payload, failed_messages
from sluice_ext.delivery.service import lambda_service
from sluice_ext.iam import behalf
from sluice_ext.pausing import GATE
from sluice_ext.sqs.queues import queue_of

LOG = logging.getLogger(__name__)
_MAX_THROTTLE_PAUSE = 5.0


class PromptSqsPoller(SqsPoller):  # type: ignore[misc]
    """`poll_events` runs until the mapping is stopped; before it starts, the worker sets ``stop`` and ``mapping``."""

    stop: threading.Event
    mapping: dict[str, Any]
    _pause = 0.0

    def poll_events(self) -> None:
        """Deliver until ``stop`` is set. Raises LookupError when the queue is deleted; the worker tries again later."""
        scaling = self.mapping.get("ScalingConfig") or {}
        limit = scaling.get("MaximumConcurrency") or settings.MAX_ENVIRONMENTS
        free = threading.Semaphore(limit)
        with_name = f"sqs-mapping-{self.mapping['UUID'][:8]}"
        batches = ThreadPoolExecutor(limit, thread_name_prefix=with_name)
        try:
            while not self.stop.is_set():
                if not free.acquire(timeout=1.0):
                    continue
                messages = self._receive()
                if not messages:
                    free.release()
                    continue
                batches.submit(GATE.follow_up(f"mapping of {self.source_arn}", self._run), messages, free)
        finally:
            batches.shutdown(wait=False)

    def wake(self) -> None:
        """Wake a waiting `poll_events`, so that it checks its stop event."""
        try:
            ready = _ready(queue_of(self.source_arn))
        except LookupError:
            return
        with ready.not_empty:
            ready.not_empty.notify_all()

    # Receiving

    def _receive(self) -> list[dict[str, Any]]:
        """Wait for messages and receive a batch; empty when stopped, or when another consumer was faster."""
        queue = queue_of(self.source_arn)
        if self._pause and self.stop.wait(self._pause):
            return []
        if not self._wait(queue, time.monotonic() + 1.0):
            return []
        messages = self._receive_now(queue, self.batch_size)
        if messages and self.maximum_batching_window:
            deadline = time.monotonic() + self.maximum_batching_window
            while len(messages) < self.batch_size and self._wait(queue, deadline):
                messages += self._receive_now(queue, self.batch_size - len(messages))
        return messages

    def _wait(self, queue: SqsQueue, deadline: float) -> bool:
        ready = _ready(queue)
        with ready.not_empty:
            while not ready._qsize():
                left = deadline - time.monotonic()
                if left <= 0 or self.stop.is_set() or ready.is_shutdown:
                    return False
                ready.not_empty.wait(left)
            if self.stop.is_set():
                ready.not_empty.notify()  # for another consumer, as this one stops
                return False
        return True

    def _receive_now(self, queue: SqsQueue, count: int) -> list[dict[str, Any]]:
        with GATE.work(f"mapping of {self.source_arn}", source=True):
            return self._receive_batch(queue, count)

    def _receive_batch(self, queue: SqsQueue, count: int) -> list[dict[str, Any]]:
        if settings.IAM_RECORDED:
            behalf.demand(behalf.role_of_function(self.mapping["FunctionArn"]), behalf.POLL, self.source_arn)
        result = queue.receive(count, 0, None)
        for dead in result.dead_letter_messages:
            target = queue_of(queue.redrive_policy["deadLetterTargetArn"])
            dead.message["Attributes"]["DeadLetterQueueSourceArn"] = queue.arn
            target.put(
                message=dead.message,
                message_deduplication_id=dead.message_deduplication_id,
                message_group_id=dead.message_group_id,
            )
            if isinstance(queue, FifoQueue):
                queue.update_message_group_visibility(queue.get_message_group(dead.message_group_id))
        messages = []
        for received, handle in zip(result.successful, result.receipt_handles, strict=True):
            message = to_sqs_api_message(received, ["All"], ["All"])
            message["ReceiptHandle"] = handle
            messages.append(message)
        return messages

    # Delivering

    def _run(self, messages: list[dict[str, Any]], free: threading.Semaphore) -> None:
        try:
            for batch in by_payload(messages):
                self._deliver(batch)
        except Exception:
            LOG.exception("Batch of %s failed; its messages return after the visibility timeout", self.source_arn)
        finally:
            free.release()

    def _deliver(self, messages: list[dict[str, Any]]) -> None:
        events = self._matching(transform_into_events(messages))
        wanted = {event["messageId"] for event in events}
        # Messages that the filter does not match are deleted at once.
        self._delete([m for m in messages if m["MessageId"] not in wanted])
        if not events:
            return
        answer = self._invoke({"Records": self.add_source_metadata(events)})
        if answer is None:
            return
        failed: set[str] = set()
        if "ReportBatchItemFailures" in (self.mapping.get("FunctionResponseTypes") or []):
            failed = failed_messages(answer, wanted)
        self._delete([m for m in messages if m["MessageId"] in wanted - failed])

    def _matching(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        wanted = mapping_filters.of(self.source_parameters.get("FilterCriteria"))
        return [event for event in events if mapping_filters.wants(wanted, event)] if wanted else events

    def _invoke(self, payload: dict[str, Any]) -> bytes | None:
        """The function's answer; None when it failed or was throttled."""
        arn = self.mapping["FunctionArn"]
        name, qualifier, account, region = function_locators_from_arn(arn)
        try:
            result = lambda_service().invoke(
                function_name=name,
                qualifier=qualifier,
                region=region,
                account_id=account,
                invocation_type=InvocationType.RequestResponse,
                client_context=None,
                request_id=long_uid(),
                payload=json.dumps(payload).encode(),
            )
        except TooManyRequestsException:
            self._pause = min(_MAX_THROTTLE_PAUSE, self._pause * 2 or 0.2)
            return None
        self._pause = 0.0
        return None if result.is_error else bytes(result.payload or b"")

    def _delete(self, messages: list[dict[str, Any]]) -> None:
        if not messages:
            return
        queue = queue_of(self.source_arn)
        for message in messages:
            try:
                queue.remove(message["ReceiptHandle"])
            except Exception as error:  # noqa: BLE001 - an expired FIFO receipt: the message is received again
                LOG.warning("Cannot delete message %s of %s: %s", message["MessageId"], self.source_arn, error)


class PromptEsmWorker(EsmWorker):  # type: ignore[misc]
    """LocalStack's worker (it holds the mapping's state) that stops a `PromptSqsPoller` at once."""

    def __init__(self, esm_config: Any, poller: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(esm_config, poller, *args, **kwargs)
        if isinstance(poller, PromptSqsPoller):
            poller.stop, poller.mapping = self._shutdown_event, esm_config

    def stop(self) -> None:
        super().stop()
        self._wake()

    def delete(self) -> None:
        super().delete()
        self._wake()

    def stop_for_shutdown(self) -> None:
        super().stop_for_shutdown()
        self._wake()

    def _wake(self) -> None:
        if isinstance(self.poller, PromptSqsPoller):
            self.poller.wake()


def _ready(queue: SqsQueue) -> Any:
    """LocalStack's queue of what can be received now: messages, or message groups of a FIFO queue."""
    return queue.message_group_queue if isinstance(queue, FifoQueue) else queue.visible
