"""Asynchronous invocations: a queue in memory for each function version, with Lambda's own retry rules.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html

Replaces LocalStack's LambdaEventManager, which stores events in an internal SQS queue and fetches them by long polls.
An event is tried at once. A function error is retried after 1 and 2 times LAMBDA_RETRY_BASE_DELAY (60 s on AWS). After
a throttle or a system error the event returns to the queue, with delays from 1 s to 5 min until it is too old (6 h).
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from localstack.aws.api.lambda_ import TooManyRequestsException
from localstack.services.lambda_.invocation.event_manager import Poller, SQSInvocation
from localstack.services.lambda_.invocation.lambda_models import Invocation, InvocationResult

from localstack import config
from sluice_ext import settings
from sluice_ext.pausing import GATE

LOG = logging.getLogger(__name__)

_MAX_AGE_SECONDS = 6 * 3600
_MAX_RETRIES = 2
_MAX_BACKOFF_SECONDS = 300
# A worker without work ends after this long (s).
_IDLE_SECONDS = 5.0


@dataclass
class _Event:
    """One queued event. ``retries``: after function errors; ``refusals``: throttles and system errors in a row."""

    invocation: Invocation
    retries: int = 0
    refusals: int = 0


@dataclass
class EventQueue:
    """Events of one function version. It has as many workers as there are events, up to its concurrency limit."""

    handle: Callable[[_Event], float | None]
    limit: Callable[[], int]
    _due: list[tuple[float, int, _Event]] = field(default_factory=list)
    _number: Any = field(default_factory=itertools.count)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _handled: dict[int, _Event] = field(default_factory=dict)  # events that a worker tries now
    _workers: int = 0
    _idle: int = 0
    _closed: bool = False

    def put(self, event: _Event, delay: float = 0.0) -> None:
        """Queue an event that is due in ``delay`` seconds."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._number), event))
            if self._idle:
                self._changed.notify()
            elif not self._workers or (not delay and self._workers < max(1, self.limit())):
                self._workers += 1
                threading.Thread(target=self._work, name="lambda-async", daemon=True).start()

    def close(self) -> None:
        """The function is deleted: drop its queued events."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._due)

    def _take(self) -> _Event | None:
        idle_end = time.monotonic() + _IDLE_SECONDS
        with self._changed:
            while not self._closed and self._workers <= max(1, self.limit()):
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    event = heapq.heappop(self._due)[2]
                    self._handled[id(event)] = event
                    return event
                # One worker waits as long as an event is due later.
                if now >= idle_end and (self._idle or not self._due):
                    break
                until = self._due[0][0] if self._due else idle_end
                self._idle += 1
                self._changed.wait(until - now)
                self._idle -= 1
            self._workers -= 1
            return None

    def _work(self) -> None:
        while event := self._take():
            with GATE.work(f"event {event.invocation.request_id}", source=True):
                try:
                    delay = self.handle(event)
                except Exception:
                    LOG.exception("Event %s is lost", event.invocation.request_id)
                    delay = None
                del self._handled[id(event)]
                if delay is not None:
                    self.put(event, delay)

    def dump(self) -> list[tuple[float, _Event]]:
        """(Unix time when it is due, event) of all events; those that are tried now are due now."""
        now, wall = time.monotonic(), time.time()
        with self._changed:
            waiting = [(wall + max(0.0, due - now), event) for due, _, event in self._due]
            return waiting + [(wall, event) for event in self._handled.values()]


class Queues:
    """The queues of all function versions, for saving and restoring state."""

    def dump(self) -> dict[str, list[tuple[float, _Event]]]:
        """The events of each version, by its qualified ARN."""
        found = {arn: queue.dump() for (arn, _), queue in list(AsyncEventManager._queues.items())}
        return {arn: events for arn, events in found.items() if events}

    def load(self, saved: dict[str, list[tuple[float, _Event]]]) -> None:
        """Put events back; the versions run already. What became due meanwhile is tried at once, and once."""
        for (arn, _), queue in list(AsyncEventManager._queues.items()):
            for due, event in saved.get(arn, ()):
                queue.put(event, max(0.0, due - time.time()))


QUEUES = Queues()


class AsyncEventManager:
    """Takes the place of LocalStack's LambdaEventManager: one for each running function version."""

    # An update of the function leaves its queue alone: (qualified ARN, instance of the function) -> queue.
    _queues: ClassVar[dict[tuple[str, str], EventQueue]] = {}
    _current: ClassVar[dict[tuple[str, str], "AsyncEventManager"]] = {}

    def __init__(self, version_manager: Any) -> None:
        self.version_manager = version_manager
        identity = version_manager.function_version.id
        self._key = (identity.qualified_arn(), version_manager.function.instance_id)
        # Used only to send to destinations and dead-letter queues.
        self._destinations = Poller.__new__(Poller)
        self._destinations.version_manager = version_manager

    def start(self) -> None:
        """Take over the queue of the version that this one replaces, or create a queue."""
        self._current[self._key] = self
        if self._key not in self._queues:
            key = self._key
            self._queues[key] = EventQueue(
                handle=lambda event: self._current[key]._handle(event), limit=lambda: self._current[key]._concurrency()
            )

    def stop_for_update(self) -> None:
        """Nothing to do: the version that replaces this one takes over the queue."""

    def stop(self) -> None:
        """The function is deleted or the engine stops."""
        queue = self._queues.pop(self._key, None)
        if queue:
            queue.close()

    def enqueue_event(self, invocation: Invocation) -> None:
        """Accept an event; the caller is answered 202 when this returns."""
        self._queues[self._key].put(_Event(invocation))

    def _concurrency(self) -> int:
        reserved = self.version_manager.function.reserved_concurrent_executions
        # Not more workers than may run at once, so a burst waits here instead of being throttled.
        return settings.MAX_ENVIRONMENTS if reserved is None else min(settings.MAX_ENVIRONMENTS, max(1, reserved))

    def _handle(self, event: _Event) -> float | None:
        """Try an event once. Returns the seconds until the next try; None when the event is done."""
        function, invocation = self.version_manager.function, event.invocation
        options = function.event_invoke_configs.get(_invoked(invocation.invoked_arn))
        if event.retries == 0 and self._age(event) > self._max_age(options):
            self._fail(event, None, options, "EventAgeExceeded")
            return None
        try:
            result = self.version_manager.invoke(invocation=invocation)
        except Exception as error:  # noqa: BLE001 - after any error, the event must not be lost
            if function.reserved_concurrent_executions == 0:
                self._fail(event, None, options, "ZeroReservedConcurrency")
                return None
            if not isinstance(error, TooManyRequestsException):
                LOG.warning("Event %s: %s; trying again", invocation.request_id, error)
            delay = float(min(2**event.refusals, _MAX_BACKOFF_SECONDS))
            event.refusals += 1
            if self._age(event) + delay > self._max_age(options):
                self._fail(event, None, options, "EventAgeExceeded")
                return None
            return delay
        event.refusals = 0
        wrapped = SQSInvocation(invocation, retries=event.retries)
        if not result.is_error:
            self._destinations.process_success_destination(wrapped, result, options)
            return None
        allowed = (
            _MAX_RETRIES
            if options is None or options.maximum_retry_attempts is None
            else options.maximum_retry_attempts
        )
        if event.retries >= allowed:
            self._fail(event, result, options, "RetriesExhausted")
            return None
        delay = float((event.retries + 1) * config.LAMBDA_RETRY_BASE_DELAY_SECONDS)
        if self._age(event) + delay > self._max_age(options):
            self._fail(event, result, options, "EventAgeExceeded")
            return None
        event.retries += 1
        return delay

    def _fail(self, event: _Event, result: InvocationResult | None, options: Any, cause: str) -> None:
        """The event has failed for good: send it to the failure destination and the dead-letter queue, if any."""
        if result is None:
            result = InvocationResult(event.invocation.request_id, b"null", is_error=True, logs="")
        wrapped = SQSInvocation(event.invocation, retries=event.retries)
        self._destinations.process_failure_destination(wrapped, result, options, cause)
        if self.version_manager.function_version.config.dead_letter_arn:
            self._destinations.process_dead_letter_queue(wrapped, result)

    @staticmethod
    def _age(event: _Event) -> float:
        age: timedelta = datetime.now() - event.invocation.invoke_time
        return age.total_seconds()

    @staticmethod
    def _max_age(options: Any) -> float:
        age = options.maximum_event_age_in_seconds if options else None
        return float(_MAX_AGE_SECONDS if age is None else age)


def _invoked(arn: str) -> str:
    """The alias or version that was invoked, whose options count; $LATEST where the ARN names none.

    https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html (Qualifier)
    """
    parts = arn.split(":")
    return parts[7] if len(parts) > 7 else "$LATEST"
