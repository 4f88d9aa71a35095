"""Runs in the engine's interpreter: asks the pool of environments for one, from many threads, and says who got it.

`order`: there is one environment (SLUICE_MAX_ENVIRONMENTS=1). Ten ask for it one after the other while it is busy; the
one that has it gives it back and asks again at once. Prints the order in which they got it, as JSON.

`room`: there are four, all busy with one function, when another asks for its first. The four are given back at the same
moment. Prints how many of them were stopped to make room.

`idle`: environments wait while a clock of ours goes on; they end after 300 s, and before that the longest unused of
those that together hold more than 512 MB. Prints which are left after each step (see `idle`).
"""

import contextlib
import json
import sys
import threading
import time
import uuid
from types import SimpleNamespace
from typing import Any

from localstack.services.lambda_.invocation.execution_environment import RuntimeStatus
from localstack.services.lambda_.invocation.lambda_models import InitializationType

from sluice_ext.executor import pool


class Fake:
    """An environment that starts at once."""

    stopped = 0

    def __init__(self, version: Any, kind: Any, _on_timeout: Any, manager: str) -> None:
        self.id, self.function_version, self.version_manager_id = uuid.uuid4().hex, version, manager
        self.initialization_type, self.last_used, self.status = kind, 0.0, RuntimeStatus.STARTING
        self.runtime_executor = SimpleNamespace(
            await_init=lambda: None,
            healthy=True,
            close=lambda: None,
            memory=lambda: 200_000_000,
            cpu_seconds=time.monotonic,  # it works all the time, so nothing waits for another
        )

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop; counted."""
        Fake.stopped += 1

    def release(self) -> None:
        self.status, self.last_used = RuntimeStatus.READY, pool.time.monotonic()


def ask(environments: pool.Pool, manager: str) -> contextlib.AbstractContextManager[Any]:
    """An environment of a function."""
    return environments.get_environment(manager, None, InitializationType.on_demand)


def order(environments: pool.Pool) -> list[int]:
    """Who got the only one, in order."""
    found: list[int] = []
    threads = []

    def wait_and_use(number: int) -> None:
        with ask(environments, "manager"):
            found.append(number)

    with ask(environments, "manager"):
        for number in range(1, 11):
            threads.append(threading.Thread(target=wait_and_use, args=(number,)))
            threads[-1].start()
            while len(environments._waiting["manager"]) < number:
                time.sleep(0.001)
    wait_and_use(0)
    for thread in threads:
        thread.join(10)
    return found


def room(environments: pool.Pool) -> int:
    """How many were stopped for one."""
    held = contextlib.ExitStack()
    for _ in range(4):
        held.enter_context(ask(environments, "many"))

    def first() -> None:
        with ask(environments, "first"):
            pass

    thread = threading.Thread(target=first)
    thread.start()
    while "first" not in environments._starving:
        time.sleep(0.001)
    with environments._lock:
        held.close()
    thread.join(10)
    return Fake.stopped


class Clock:
    """Stands for the pool's `time`."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def idle(environments: pool.Pool) -> list[list[str]]:
    """Which functions have an environment: at the start, when b is busy and the others have been idle for 40 s (a) to
    8 s (e), 200 MB each; twice looked at then; 20 s later; with b idle; 301 s later with e used at the end; and again
    301 s later."""
    clock = pool.time = Clock()  # type: ignore[assignment]
    held = contextlib.ExitStack()
    steps = []

    def look() -> None:
        steps.append(sorted(name for name, group in environments.environments.items() if group))

    for name in "abcde":
        if name == "b":
            held.enter_context(ask(environments, name))
        else:
            with ask(environments, name):
                pass
        clock.now += 8
    look()
    for seconds in (0, 0, 20):
        clock.now += seconds
        environments.expire()
        look()
    held.close()
    look()
    clock.now += 301
    with ask(environments, "e"):
        pass
    environments.expire()
    look()
    clock.now += 301
    environments.expire()
    look()
    return steps


def main() -> None:
    pool.Environment = Fake  # type: ignore[assignment, misc]
    scenario = {"order": order, "room": room, "idle": idle}[sys.argv[1]]
    print(json.dumps(scenario(pool.Pool())))


if __name__ == "__main__":
    main()
