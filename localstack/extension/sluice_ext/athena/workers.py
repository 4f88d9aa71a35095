"""The processes that run queries. A process runs one at a time; stopping a query kills its process."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sluice_ext import processes, settings


class WorkerLost(Exception):
    """The process ended in the middle of a query: it was stopped, or it needed more memory than there is."""


def nothing(what: str, _parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer to a worker that has nothing to ask."""
    return {"refused": f"{what} is not asked for here"}


class Worker:
    """One process and the folder that it may use. ``module``: what it runs."""

    def __init__(self, module: str = "sluice_ext.athena.worker") -> None:
        self._module = module
        self.folder = Path(tempfile.mkdtemp(prefix="athena-"))
        self._process = self._start()
        self._receive()  # ready

    def _start(self) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "TZ": "UTC",
        }
        return processes.start(
            [sys.executable, "-I", "-m", self._module, str(self.folder)],
            env=environment,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, message: dict[str, Any], answer: Callable[[str, dict[str, Any]], Any] = nothing) -> dict[str, Any]:
        """Send a message; ``answer`` is called for each of the worker's questions. Returns its last message.

        Raises WorkerLost.
        """
        self._send(message)
        while True:
            received = self._receive()
            if "ask" not in received:
                return received
            self._send(answer(received["ask"], received["parameters"]))

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process at once, and remove its folder."""
        processes.kill(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message, default=str) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise WorkerLost from error

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
        except (OSError, ValueError) as error:
            raise WorkerLost from error
        if not line:
            raise WorkerLost
        return dict(json.loads(line))


class Workers:
    """Processes of one module that wait for the next query. Thread-safe."""

    def __init__(self, module: str = "sluice_ext.athena.worker") -> None:
        self._module = module
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._lock = threading.Lock()

    def take(self) -> Worker:
        """An idle process, or a new one."""
        with self._lock:
            while self._idle:
                found = self._idle.pop()
                if found.alive:
                    return found
                self._all.discard(found)
        made = Worker(self._module)
        with self._lock:
            self._all.add(made)
        return made

    def give_back(self, worker: Worker, lost: bool = False) -> None:
        """After a query. More than one idle process for each core is ended."""
        with self._lock:
            if not lost and len(self._idle) < settings.cores():
                self._idle.append(worker)
                return
            self._all.discard(worker)
        worker.kill()

    def stop(self) -> None:
        """End all of them; called when the engine stops."""
        with self._lock:
            found, self._all, self._idle = list(self._all), set(), []
        for worker in found:
            worker.kill()


WORKERS = Workers()
