"""Execution environments: start, reuse, limit and expire them.

Replaces LocalStack's AssignmentService. Differences: the number of environments is limited, and invocations wait for
one instead of failing, first come, first served, unless those that hold them wait for this one (see `nesting`); idle
environments of other functions are stopped to make room; an environment whose process ended is not used again; and
one thread expires idle environments, where LocalStack starts a timer thread for every invocation.
"""

import contextlib
import logging
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

from localstack.services.lambda_.invocation.assignment import AssignmentException, AssignmentService
from localstack.services.lambda_.invocation.execution_environment import RuntimeStatus
from localstack.services.lambda_.invocation.lambda_models import InitializationType

from sluice_ext import settings
from sluice_ext.executor import fork_servers, idle, nesting
from sluice_ext.executor.execution_environment import Environment

LOG = logging.getLogger(__name__)
# An environment idle for this long (s) may be stopped in favour of a function that already has one.
_REST_SECONDS = 5.0
# One idle for less is not ended for its memory: the next event of a steady load is likely to need it.
_IDLE_REST_SECONDS = 30.0
_ON_DEMAND = InitializationType.on_demand


class VersionStopped(Exception):
    """The version was deleted or replaced before the invocation got an environment."""


class _Ticket:
    """An invocation that waits. ``given`` is the environment it gets; ``called`` wakes this invocation only."""

    def __init__(self, lock: threading.RLock) -> None:
        self.called = threading.Condition(lock)
        self.given: Environment | None = None
        self.nested = nesting.inside()


class Pool(AssignmentService):  # type: ignore[misc]
    """All environments of the engine. ``environments``: version manager id -> environment id -> environment."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._closed = threading.Event()
        # Versions that wait and have no environment at all: other versions make room for them.
        self._starving: set[str] = set()
        # Invocations that wait for an environment of a version, the longest wait first.
        self._waiting: defaultdict[str, deque[_Ticket]] = defaultdict(deque)
        self._progress = nesting.Progress()
        # Versions that were deleted or replaced, by their managers: they get no environments any more.
        self._stopped: set[str] = set()
        # Why the last start for a version failed; raised in one of the invocations that wait for it.
        self._errors: dict[str, Exception] = {}
        threading.Thread(target=self._expire_forever, name="lambda-keepalive", daemon=True).start()

    @contextlib.contextmanager
    def get_environment(
        self, version_manager_id: str, function_version: Any, provisioning_type: InitializationType
    ) -> Iterator[Environment]:
        """An environment for one invocation; waits while there are too many. Raises VersionStopped."""
        chosen = self._take(version_manager_id, function_version, provisioning_type)
        try:
            yield chosen
        except BaseException:
            self.stop_environment(chosen)
            raise
        finally:
            self._give_back(chosen)

    def _take(self, manager: str, version: Any, kind: InitializationType) -> Environment:
        if kind == InitializationType.provisioned_concurrency:
            with self._lock:
                if ready := self._idle(manager, kind):
                    return self._use(ready)
            raise AssignmentException("No provisioned concurrency environment available despite lease.")
        ticket = _Ticket(self._lock)
        with self._lock:
            self._waiting[manager].append(ticket)
            self._hand_out(manager)
        try:
            return self._wait_for(ticket, manager, version)
        finally:
            with self._lock:
                if ticket in self._waiting[manager]:
                    self._waiting[manager].remove(ticket)
                if not self._waiting[manager]:
                    del self._waiting[manager]

    def _idle(self, manager: str, kind: InitializationType) -> list[Environment]:
        group = self.environments.get(manager, {})
        return [e for e in group.values() if e.status == RuntimeStatus.READY and e.initialization_type == kind]

    @staticmethod
    def _use(ready: list[Environment]) -> Environment:
        best = max(ready, key=lambda e: e.last_used)
        best.status = RuntimeStatus.INVOKING
        return best

    def _hand_out(self, manager: str) -> None:
        """Give idle environments of a version to the invocations that wait, in order. The lock is held."""
        queue = self._waiting.get(manager)
        while queue and (ready := self._idle(manager, _ON_DEMAND)):
            first = queue.popleft()
            first.given = self._use(ready)
            first.called.notify()

    def _call_first(self) -> None:
        """Wake the first invocation in every queue: it checks again whether it can go on. The lock is held."""
        for queue in self._waiting.values():
            if queue:
                queue[0].called.notify()

    def _wait_for(self, ticket: _Ticket, manager: str, version: Any) -> Environment:
        asked = time.monotonic()
        while True:
            victim = new = None
            with self._lock:
                if ticket.given:
                    return ticket.given
                if manager in self._stopped:
                    raise VersionStopped
                mine = self.environments[manager]
                if error := self._errors.pop(manager, None):
                    raise AssignmentException(f"Could not start new environment: {type(error).__name__}: {error}")
                everyone = [e for group in self.environments.values() for e in group.values()]
                # More processes than cores help only functions that wait for I/O; each further one needs a longer wait.
                excess = len(mine) - settings.cores() + 1
                patience = asked + settings.SCALE_UP_SECONDS * max(0, excess)
                waited = time.monotonic() >= patience
                starting = sum(e.status == RuntimeStatus.STARTING for e in mine.values())
                if starting >= len(self._waiting[manager]):
                    pass  # an environment for this event is starting
                elif waited and (len(everyone) < settings.MAX_ENVIRONMENTS or self._must_exceed(ticket, everyone)):
                    new = self._add(manager, version)
                    asked = time.monotonic()
                elif waited:
                    # Idle environments of other functions are stopped, but not by functions that stop each other's.
                    rested = time.monotonic() - (_REST_SECONDS if mine else 0.0)
                    others = [e for e in everyone if self._evictable(e, rested)]
                    if others:
                        victim = min(others, key=lambda e: e.last_used)
                        self._remove(victim)
                if new is None and victim is None:
                    if not mine:
                        self._starving.add(manager)
                    ticket.called.wait(0.5 if waited else max(0.001, patience - time.monotonic()))
                    self._starving.discard(manager)
            if new:
                # Started in another thread: the first environment that is ready takes the event.
                threading.Thread(target=self._start, args=(new,), name="lambda-cold-start", daemon=True).start()
            if victim:
                self._stop(victim)

    def _start(self, new: Environment) -> None:
        """Start an environment and give it to the first invocation that waits."""
        error: Exception | None = None
        try:
            new.start()
            new.runtime_executor.await_init()
            if new.initialization_type != _ON_DEMAND and (reason := new.runtime_executor.init_failure()):
                raise AssignmentException(f"The init phase of a provisioned environment failed: {reason}")
        except Exception as caught:  # noqa: BLE001 - raised in one of the invocations that wait
            error = caught
        with self._lock:
            stopped = new.status == RuntimeStatus.STOPPED
            if error:
                self._remove(new)
                if not stopped and new.initialization_type == _ON_DEMAND:
                    self._errors[new.version_manager_id] = error
            elif not stopped:
                new.status, new.last_used = RuntimeStatus.READY, time.monotonic()
                self._hand_out(new.version_manager_id)
            if error or stopped:
                self._call_first()
        if error or stopped:
            new.stop()
            new.runtime_executor.close()
        if error and new.initialization_type != _ON_DEMAND:
            raise error  # the state of the provisioned concurrency is FAILED

    def _must_exceed(self, ticket: _Ticket, everyone: list[Environment]) -> bool:
        """Whether this event gets an environment beyond the limit, because those there may be waiting for it.

        A function that invokes another and waits holds its own environment; with all of them held so, none would ever
        be free. The lock is held.
        """
        busy = [e for e in everyone if e.status == RuntimeStatus.INVOKING]
        if len(busy) < len(everyone) or len(everyone) >= nesting.FACTOR * settings.MAX_ENVIRONMENTS:
            return False
        return ticket.nested or self._progress.stuck(e.runtime_executor.cpu_seconds() for e in busy)

    @staticmethod
    def _evictable(environment: Environment, unused_since: float) -> bool:
        unused = environment.status == RuntimeStatus.READY and environment.last_used <= unused_since
        return unused and environment.initialization_type == _ON_DEMAND

    def _add(self, manager: str, version: Any) -> Environment:
        new = Environment(version, _ON_DEMAND, self.on_timeout, manager)
        new.status = RuntimeStatus.STARTING
        self.environments[manager][new.id] = new
        return new

    def _give_back(self, used: Environment) -> None:
        unusable = not used.runtime_executor.healthy
        with self._lock:
            stopped = used.status == RuntimeStatus.STOPPED
            used.release()
            others = self._starving - {used.version_manager_id}
            self._progress.made()
            if used.initialization_type == _ON_DEMAND and not self._waiting.get(used.version_manager_id):
                # One that was started beyond the limit goes as soon as nothing waits for it.
                unusable = unusable or self._count() > settings.MAX_ENVIRONMENTS
            if used.initialization_type == _ON_DEMAND and others:
                self._starving.discard(others.pop())  # one stopped environment makes room for one version
                unusable = True
            if unusable or stopped:
                self._remove(used)
            self._hand_out(used.version_manager_id)
            # There may be room now, or an idle environment that can be stopped.
            self._call_first()
        if unusable and not stopped:
            used.stop()
        if unusable or stopped:
            used.runtime_executor.close()

    def _count(self) -> int:
        return sum(len(group) for group in self.environments.values())

    def _remove(self, gone: Environment) -> None:
        self.environments.get(gone.version_manager_id, {}).pop(gone.id, None)

    def _stop(self, gone: Environment) -> None:
        """Stop an environment that no thread uses."""
        gone.stop()
        gone.runtime_executor.close()

    def stop_environment(self, gone: Environment) -> None:
        """Stop an environment at once, even in an invocation."""
        with self._lock:
            busy = gone.status in (RuntimeStatus.INVOKING, RuntimeStatus.STARTING)
            self._remove(gone)
            self._call_first()
        if busy:
            gone.stop()
        elif gone.status != RuntimeStatus.STOPPED:
            self._stop(gone)

    def stop_environments_for_version(self, version_manager_id: str) -> None:
        """It was deleted or replaced. A running invocation may finish, as on AWS; one that waits is refused."""
        with self._lock:
            self._stopped.add(version_manager_id)
            for ticket in self._waiting.get(version_manager_id, ()):
                ticket.called.notify()
            group = self.environments.pop(version_manager_id, {})
            unused = [e for e in group.values() if e.status == RuntimeStatus.READY]
            for busy in group.values():
                if busy.status == RuntimeStatus.INVOKING:
                    busy.runtime_executor.healthy = False
                elif busy.status == RuntimeStatus.STARTING:
                    busy.status = RuntimeStatus.STOPPED
            self._call_first()
        for one in unused:
            self._stop(one)

    def scale_provisioned_concurrency(self, version_manager_id: str, function_version: Any, target: int) -> list[Any]:
        """Replace all provisioned environments of a version by ``target`` new ones."""
        with self._lock:
            group = self.environments[version_manager_id]
            kind = InitializationType.provisioned_concurrency
            old = [e for e in group.values() if e.initialization_type == kind]
            new = [Environment(function_version, kind, self.on_timeout, version_manager_id) for _ in range(target)]
            group.update({e.id: e for e in new})
        for fresh in new:
            fresh.status = RuntimeStatus.STARTING
        starts = [self.provisioning_pool.submit(self._start, e) for e in new]
        return starts + [self.provisioning_pool.submit(self.stop_environment, e) for e in old]

    def stop(self) -> None:
        """The engine stops: kill every environment, busy or not."""
        self._closed.set()
        super().stop()
        with self._lock:
            everyone = [e for group in self.environments.values() for e in group.values()]
            self.environments.clear()
        for remaining in everyone:
            remaining.stop()

    def _expire_forever(self) -> None:
        tick = min(5.0, max(0.1, settings.IDLE_SECONDS / 4))
        while not self._closed.wait(tick):
            self.expire()
            fork_servers.expire()

    def expire(self) -> int:
        """End environments that are idle for too long, or too many; returns how many. See `idle`."""
        with self._lock:
            ready = [
                (environment, environment.last_used)
                for group in self.environments.values()
                for environment in group.values()
                if self._evictable(environment, math.inf)
            ]
        # Measured without the lock, which every invocation needs.
        found = [idle.Idle(one, used, one.runtime_executor.memory()) for one, used in ready]
        limits = idle.Limits(settings.IDLE_SECONDS, settings.IDLE_MEMORY, _IDLE_REST_SECONDS)
        with self._lock:
            # One that has had an event meanwhile stays.
            since = dict(ready)
            ending = [
                one
                for one in idle.to_end(found, time.monotonic(), limits)
                if self._evictable(one, since[one]) and one.id in self.environments.get(one.version_manager_id, {})
            ]
            for one in ending:
                self._remove(one)
            if ending:
                self._call_first()
        for one in ending:
            self._stop(one)
        return len(ending)
