"""Execution environments: reuse, start, bound and expire them.

Replaces LocalStack's AssignmentService. What is different: the number of living environments
is bounded (work waits instead of failing, first come, first served), idle ones of other functions give way, an
environment whose process ended is not used again, and one thread expires idle environments where LocalStack starts a
timer thread for every invocation.
"""

import contextlib
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

from localstack.services.lambda_.invocation.assignment import AssignmentException, AssignmentService
from localstack.services.lambda_.invocation.execution_environment import RuntimeStatus
from localstack.services.lambda_.invocation.lambda_models import InitializationType

from localstack import config
from sluice_ext import settings
from sluice_ext.executor.execution_environment import Environment

LOG = logging.getLogger(__name__)
# An environment idle for this long (s) may be stopped in favour of a function that already has one.
_REST_SECONDS = 5.0
_ON_DEMAND = InitializationType.on_demand


class _Ticket:
    """One who waits for an environment. ``given`` is put there by whoever has one; ``called`` wakes this one alone."""

    def __init__(self, lock: threading.RLock) -> None:
        self.called = threading.Condition(lock)
        self.given: Environment | None = None


class Pool(AssignmentService):  # type: ignore[misc]
    """All environments of the engine. ``environments``: version manager id -> environment id -> environment."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._closed = threading.Event()
        # Versions that wait and have no environment at all: others make room for them.
        self._starving: set[str] = set()
        # Who waits for an environment of a version, the longest first.
        self._waiting: defaultdict[str, deque[_Ticket]] = defaultdict(deque)
        # Why the last start for a version failed; goes to one of those who wait for it.
        self._errors: dict[str, Exception] = {}
        threading.Thread(target=self._expire_forever, name="lambda-keepalive", daemon=True).start()

    @contextlib.contextmanager
    def get_environment(
        self, version_manager_id: str, function_version: Any, provisioning_type: InitializationType
    ) -> Iterator[Environment]:
        """An environment for one invocation; waits while too many are alive."""
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
                if idle := self._idle(manager, kind):
                    return self._use(idle)
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
    def _use(idle: list[Environment]) -> Environment:
        best = max(idle, key=lambda e: e.last_used)
        best.status = RuntimeStatus.INVOKING
        return best

    def _hand_out(self, manager: str) -> None:
        """Give idle environments of a version to those who wait for it, in order. The lock is held."""
        queue = self._waiting.get(manager)
        while queue and (idle := self._idle(manager, _ON_DEMAND)):
            first = queue.popleft()
            first.given = self._use(idle)
            first.called.notify()

    def _call_first(self) -> None:
        """Something else has changed: the first in every queue looks what it can do. The lock is held."""
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
                mine = self.environments[manager]
                if error := self._errors.pop(manager, None):
                    raise AssignmentException(f"Could not start new environment: {type(error).__name__}: {error}")
                everyone = [e for group in self.environments.values() for e in group.values()]
                # More processes than cores only help functions that wait; each further one needs a longer wait.
                excess = len(mine) - settings.cores() + 1
                patience = asked + settings.SCALE_UP_SECONDS * max(0, excess)
                waited = time.monotonic() >= patience
                starting = sum(e.status == RuntimeStatus.STARTING for e in mine.values())
                if starting >= len(self._waiting[manager]):
                    pass  # the one for this event is on its way
                elif waited and len(everyone) < settings.MAX_ENVIRONMENTS:
                    new = self._add(manager, version)
                    asked = time.monotonic()
                elif waited:
                    # Idle ones of other functions give way, but not back and forth.
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
                # Started beside the wait: whichever environment is ready first takes the event.
                threading.Thread(target=self._start, args=(new,), name="lambda-cold-start", daemon=True).start()
            if victim:
                self._stop(victim)

    def _start(self, new: Environment) -> None:
        """Start an environment and hand it to whoever waits."""
        error: Exception | None = None
        try:
            new.start()
            new.runtime_executor.await_init()
        except Exception as caught:  # noqa: BLE001 - goes to one of those who wait
            error = caught
        with self._lock:
            stopped = new.status == RuntimeStatus.STOPPED
            if error:
                self._remove(new)
                if not stopped:
                    self._errors[new.version_manager_id] = error
            elif not stopped:
                new.status, new.last_used = RuntimeStatus.READY, time.monotonic()
                self._hand_out(new.version_manager_id)
            if error or stopped:
                self._call_first()
        if error or stopped:
            new.stop()
            new.runtime_executor.close()

    @staticmethod
    def _evictable(environment: Environment, unused_since: float) -> bool:
        idle = environment.status == RuntimeStatus.READY and environment.last_used <= unused_since
        return idle and environment.initialization_type == _ON_DEMAND

    def _add(self, manager: str, version: Any) -> Environment:
        new = Environment(version, _ON_DEMAND, self.on_timeout, manager)
        new.status = RuntimeStatus.STARTING
        self.environments[manager][new.id] = new
        return new

    def _give_back(self, used: Environment) -> None:
        broken = not used.runtime_executor.healthy
        with self._lock:
            stopped = used.status == RuntimeStatus.STOPPED
            used.release()
            others = self._starving - {used.version_manager_id}
            if used.initialization_type == _ON_DEMAND and others:
                self._starving.discard(others.pop())  # one gives way to one
                broken = True
            if broken or stopped:
                self._remove(used)
            self._hand_out(used.version_manager_id)
            # There may be room now, or an idle environment that can give way.
            self._call_first()
        if broken and not stopped:
            used.stop()
        if broken or stopped:
            used.runtime_executor.close()

    def _remove(self, gone: Environment) -> None:
        self.environments.get(gone.version_manager_id, {}).pop(gone.id, None)

    def _stop(self, gone: Environment) -> None:
        """Stop an environment that no thread uses."""
        gone.stop()
        gone.runtime_executor.close()

    def stop_environment(self, gone: Environment) -> None:
        """Stop an environment at once, even in mid-invocation."""
        with self._lock:
            busy = gone.status in (RuntimeStatus.INVOKING, RuntimeStatus.STARTING)
            self._remove(gone)
            self._call_first()
        if busy:
            gone.stop()
        elif gone.status != RuntimeStatus.STOPPED:
            self._stop(gone)

    def stop_environments_for_version(self, version_manager_id: str) -> None:
        """The version was deleted or replaced. A running invocation is left to finish, as on AWS."""
        with self._lock:
            group = self.environments.pop(version_manager_id, {})
            idle = [e for e in group.values() if e.status == RuntimeStatus.READY]
            for busy in group.values():
                if busy.status == RuntimeStatus.INVOKING:
                    busy.runtime_executor.healthy = False
                elif busy.status == RuntimeStatus.STARTING:
                    busy.status = RuntimeStatus.STOPPED
            self._call_first()
        for unused in idle:
            self._stop(unused)

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
        """The engine goes down: kill everything, busy or not."""
        self._closed.set()
        super().stop()
        with self._lock:
            everyone = [e for group in self.environments.values() for e in group.values()]
            self.environments.clear()
        for remaining in everyone:
            remaining.stop()

    def _expire_forever(self) -> None:
        keep = config.LAMBDA_KEEPALIVE_MS / 1000
        while not self._closed.wait(min(5.0, max(0.1, keep / 4))):
            with self._lock:
                limit = time.monotonic() - keep
                old = [
                    e
                    for group in self.environments.values()
                    for e in group.values()
                    if e.status == RuntimeStatus.READY and e.initialization_type == _ON_DEMAND and e.last_used < limit
                ]
                for expired in old:
                    self._remove(expired)
                if old:
                    self._call_first()
            for expired in old:
                self._stop(expired)
