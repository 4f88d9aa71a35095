"""Queues while the engine is paused (see `sluice_ext.pausing`).

Replaced: `InterruptibleQueue.get`, so that a call that waits for messages does not delay a pause, and
`QueueUpdateWorker.do_update_all_queues`, so that no message becomes visible during one.
"""

import time
from queue import Empty
from typing import Any

from localstack.services.sqs.provider import QueueUpdateWorker
from localstack.services.sqs.queue import InterruptibleQueue

from sluice_ext.patching import replace
from sluice_ext.pausing import GATE


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def get(self: Any, block: bool = True, timeout: float | None = None) -> Any:
        if not block or not timeout:
            return original_get(self, block, timeout)
        end = time.monotonic() + timeout
        while True:
            if not self._qsize():
                with GATE.aside(), self.not_empty:
                    while not self._qsize() and not self.is_shutdown and (left := end - time.monotonic()) > 0:
                        self.not_empty.wait(left)
            try:
                return original_get(self, False, None)
            except Empty:
                if self.is_shutdown or time.monotonic() >= end:
                    raise

    def update(self: Any) -> None:
        with GATE.work("making messages visible"):
            original_update(self)

    original_get = replace(InterruptibleQueue, "get", get, expect="(self, block, timeout)")
    original_update = replace(QueueUpdateWorker, "do_update_all_queues", update, expect="(self)")
