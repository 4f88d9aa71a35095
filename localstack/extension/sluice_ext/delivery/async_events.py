"""Asynchronous invocations: a queue in memory for each function version, with Lambda's own retry rules.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html

Replaces LocalStack's LambdaEventManager, which keeps events in an SQS queue of its own and fetches them by long polls.
An event is tried at once; a function error is retried after 1 and 2 times LAMBDA_RETRY_BASE_DELAY (60 s on AWS); a
throttle or system error goes back to the queue with delays from 1 s to 5 min until the event is too old (6 h).
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from localstack.aws.api.lambda_ import TooManyRequestsException
from localstack.services.lambda_.invocation.event_manager import Poller, SQSInvocation
from localstack.services.lambda_.invocation.lambda_models import Invocation, InvocationResult

from localstack import config
from sluice_ext import settings

LOG = logging.getLogger(__name__)

_MAX_AGE_SECONDS = 6 * 3600
_MAX_RETRIES = 2
_MAX_BACKOFF_SECONDS = 300
# A worker without work ends after this long (s).
_IDLE_SECONDS = 5.0


@dataclass
class _Event:
    """One queued event. ``retries`` after function errors, ``refusals`` throttles and system errors in a row."""

    invocation: Invocation
    retries: int = 0
    refusals: int = 0


@dataclass
class EventQueue:
    """Events of one function version, with as many workers as there is work (and leave) for."""

    handle: Callable[[_Event], float | None]
    limit: Callable[[], int]
    _due: list[tuple[float, int, _Event]] = field(default_factory=list)
    _number: Any = field(default_factory=itertools.count)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _workers: int = 0
    _idle: int = 0
    _closed: bool = False

    def put(self, event: _Event, delay: float = 0.0) -> None:
        """Queue an event for ``delay`` seconds from now."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._number), event))
            if self._idle:
                self._changed.notify()
            elif not self._workers or (not delay and self._workers < max(1, self.limit())):
                self._workers += 1
                threading.Thread(target=self._work, name="lambda-async", daemon=True).start()

    def close(self) -> None:
        """The function is gone: drop what is queued."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._due)

    def _take(self) -> _Event | None:
        give_up = time.monotonic() + _IDLE_SECONDS
        with self._changed:
            while not self._closed and self._workers <= max(1, self.limit()):
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    return heapq.heappop(self._due)[2]
                # One worker stays as long as something is to be retried later.
                if now >= give_up and (self._idle or not self._due):
                    break
                until = self._due[0][0] if self._due else give_up
                self._idle += 1
                self._changed.wait(until - now)
                self._idle -= 1
            self._workers -= 1
            return None

    def _work(self) -> None:
        while event := self._take():
            try:
                delay = self.handle(event)
            except Exception:
                LOG.exception("Event %s is lost", event.invocation.request_id)
                delay = None
            if delay is not None:
                self.put(event, delay)


class AsyncEventManager:
    """Takes the place of LocalStack's LambdaEventManager: one for each running function version."""

    # Queues outlive an update of the function: (qualified ARN, instance of the function) -> queue.
    _queues: ClassVar[dict[tuple[str, str], EventQueue]] = {}
    _current: ClassVar[dict[tuple[str, str], "AsyncEventManager"]] = {}

    def __init__(self, version_manager: Any) -> None:
        self.version_manager = version_manager
        identity = version_manager.function_version.id
        self._key = (identity.qualified_arn(), version_manager.function.instance_id)
        # Only its destination and dead-letter code is used.
        self._destinations = Poller.__new__(Poller)
        self._destinations.version_manager = version_manager

    def start(self) -> None:
        """Take over the queue of the version this one replaces, or begin a new one."""
        self._current[self._key] = self
        if self._key not in self._queues:
            key = self._key
            self._queues[key] = EventQueue(
                handle=lambda event: self._current[key]._handle(event), limit=lambda: self._current[key]._concurrency()
            )

    def stop_for_update(self) -> None:
        """The version that replaces this one goes on with the queue."""

    def stop(self) -> None:
        """The function is deleted or the engine goes down."""
        queue = self._queues.pop(self._key, None)
        if queue:
            queue.close()

    def enqueue_event(self, invocation: Invocation) -> None:
        """Accept an event (the caller has its 202 when this returns)."""
        self._queues[self._key].put(_Event(invocation))

    def _concurrency(self) -> int:
        reserved = self.version_manager.function.reserved_concurrent_executions
        # Never more workers than may run, so a burst queues up here instead of being throttled.
        return settings.MAX_ENVIRONMENTS if reserved is None else min(settings.MAX_ENVIRONMENTS, max(1, reserved))

    def _handle(self, event: _Event) -> float | None:
        """Try an event once. Returns after how many seconds to try again, None when it is finished with."""
        function = self.version_manager.function
        options = function.event_invoke_configs.get(self.version_manager.function_version.id.qualifier)
        invocation = event.invocation
        if event.retries == 0 and self._age(event) > self._max_age(options):
            return self._give_up(event, None, options, "EventAgeExceeded")
        try:
            result = self.version_manager.invoke(invocation=invocation)
        except Exception as error:  # noqa: BLE001 - whatever it was, the event must not be lost
            if function.reserved_concurrent_executions == 0:
                return self._give_up(event, None, options, "ZeroReservedConcurrency")
            if not isinstance(error, TooManyRequestsException):
                LOG.warning("Event %s: %s; trying again", invocation.request_id, error)
            delay = float(min(2**event.refusals, _MAX_BACKOFF_SECONDS))
            event.refusals += 1
            if self._age(event) + delay > self._max_age(options):
                return self._give_up(event, None, options, "EventAgeExceeded")
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
            return self._give_up(event, result, options, "RetriesExhausted")
        delay = float((event.retries + 1) * config.LAMBDA_RETRY_BASE_DELAY_SECONDS)
        if self._age(event) + delay > self._max_age(options):
            return self._give_up(event, result, options, "EventAgeExceeded")
        event.retries += 1
        return delay

    def _give_up(self, event: _Event, result: InvocationResult | None, options: Any, cause: str) -> None:
        """Hand the event to the failure destination and the dead-letter queue, when there are such."""
        if result is None:
            result = InvocationResult(event.invocation.request_id, b"null", is_error=True, logs="")
        wrapped = SQSInvocation(event.invocation, retries=event.retries)
        self._destinations.process_failure_destination(wrapped, result, options, cause)
        if self.version_manager.function_version.config.dead_letter_arn:
            self._destinations.process_dead_letter_queue(wrapped, result)

    @staticmethod
    def _age(event: _Event) -> float:
        return (datetime.now() - event.invocation.invoke_time).total_seconds()

    @staticmethod
    def _max_age(options: Any) -> float:
        age = options.maximum_event_age_in_seconds if options else None
        return float(_MAX_AGE_SECONDS if age is None else age)
