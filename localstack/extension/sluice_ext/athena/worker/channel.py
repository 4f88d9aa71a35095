"""The worker's end of the pipe to the engine: JSON, one message a line.

The engine sends a query; the worker asks for tables and files until it can send the answer.
"""

import json
import os
import sys
import threading
from queue import Queue
from typing import Any, Protocol

from sluice_ext.athena.worker.errors import QueryFailed


class Engine(Protocol):
    """What a query asks the engine for."""

    def ask(self, what: str, **parameters: Any) -> Any:
        """The engine's answer. Raises QueryFailed with the engine's message when it refuses."""


class Pipe:
    """Standard input and output. The process ends when the engine does, also in the middle of a query."""

    def __init__(self) -> None:
        self._received: Queue[dict[str, Any]] = Queue()
        # DuckDB and libraries must not write between our lines.
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            self._received.put(json.loads(line))
        os._exit(0)

    def receive(self) -> dict[str, Any]:
        """The next message."""
        return self._received.get()

    def send(self, **message: Any) -> None:
        """Send a message."""
        self._out.write(json.dumps(message, default=str) + "\n")
        self._out.flush()

    def ask(self, what: str, **parameters: Any) -> Any:
        """See `Engine`."""
        self.send(ask=what, parameters=parameters)
        answer = self.receive()
        if "refused" in answer:
            raise QueryFailed(answer["refused"], answer.get("category", 2))
        return answer["answer"]
