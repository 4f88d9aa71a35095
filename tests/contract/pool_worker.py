"""Runs in the engine's interpreter: asks the pool of environments for one, from many threads, and says who got it.

There is one environment (SLUICE_MAX_ENVIRONMENTS=1). Ten ask for it one after the other while it is busy; the one that
has it gives it back and asks again at once. Prints the order in which they got it, as JSON.
"""

import contextlib
import json
import threading
import time
from types import SimpleNamespace
from typing import Any

from localstack.services.lambda_.invocation.execution_environment import RuntimeStatus
from localstack.services.lambda_.invocation.lambda_models import InitializationType

from sluice_ext.executor import pool


class Fake:
    """An environment that starts at once."""

    def __init__(self, version: Any, kind: Any, _on_timeout: Any, manager: str) -> None:
        self.id, self.function_version, self.version_manager_id = "one", version, manager
        self.initialization_type, self.last_used, self.status = kind, 0.0, RuntimeStatus.STARTING
        self.runtime_executor = SimpleNamespace(await_init=lambda: None, healthy=True, close=lambda: None)

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def release(self) -> None:
        self.status, self.last_used = RuntimeStatus.READY, time.monotonic()


def main() -> None:
    pool.Environment = Fake  # type: ignore[assignment, misc]
    environments = pool.Pool()
    order: list[int] = []
    threads = []

    def one() -> contextlib.AbstractContextManager[Any]:
        return environments.get_environment("manager", None, InitializationType.on_demand)

    def wait_and_use(number: int) -> None:
        with one():
            order.append(number)

    with one():
        for number in range(1, 11):
            threads.append(threading.Thread(target=wait_and_use, args=(number,)))
            threads[-1].start()
            while len(environments._waiting["manager"]) < number:
                time.sleep(0.001)
    wait_and_use(0)
    for thread in threads:
        thread.join(10)
    print(json.dumps(order))


if __name__ == "__main__":
    main()
